"""Verdicts, each by the arithmetic of its rule."""

import pytest

from retrace.plan.items import Column, Quoted
from retrace.report.outcome import Outcome
from retrace.report.verdict import WORDS, verdict


def column(**keys) -> Column:
    return Column(key="c", label="c", **({"unit": "%", "decimals": 1} | keys))


def counted(value: float) -> Outcome:
    return Outcome("measured", value=value)


def trained(value: float, half_width: float = 0.0, coverage: float = 1.0) -> Outcome:
    low, high = value - half_width, value + half_width
    return Outcome(
        "measured", "", value, low, high, 1.0, n_seeds=5, n_clips=500, coverage=coverage, scaled=True
    )


def word(published, found: Outcome, where: Column | None = None, comparable: bool = True) -> str:
    return verdict(published, found, where, comparable=comparable).word


@pytest.mark.parametrize(
    ("ours", "said"), [(1573, "match"), (1574, "above"), (1572, "below"), (157300, "above")]
)
def test_whole_numbers_have_to_be_equal(ours, said):
    assert word(1573, counted(ours), column(unit="parameters", decimals=0)) == said


def test_a_misprint_shows_as_below_with_its_difference():
    misprint = Quoted(value=20451, source="paper", why="a misprint of 20421")
    found = verdict(misprint, counted(20421), column(unit="parameters", decimals=0), comparable=True)
    assert (found.short, found.difference) == ("below", -30)


@pytest.mark.parametrize(
    ("ours", "said"), [(45.25, "match"), (45.15, "match"), (45.26, "above"), (45.1, "below")]
)
def test_printed_decimals_bound_the_match_by_half_a_unit_of_the_last_one(ours, said):
    assert word(45.2, counted(ours), column(decimals=1)) == said


def test_without_declared_decimals_those_of_the_printed_number_count():
    assert word(0.25, counted(0.254), column(decimals=None)) == "match"
    assert word(0.25, counted(0.256), column(decimals=None)) == "above"
    assert word(1e-05, counted(1.4e-05), column(decimals=None)) == "match"


def test_a_whole_number_printed_for_a_fractional_quantity_is_rounded():
    assert word(33, counted(32.6), column(unit="GMAC", decimals=0)) == "match"
    assert word(33, counted(32.4), column(unit="GMAC", decimals=0)) == "below"


def test_a_declared_tolerance_widens_the_match():
    wide = column(tolerance=1.5)
    assert [word(45.0, counted(ours), wide) for ours in (46.5, 46.6, 43.5)] == ["match", "above", "match"]


@pytest.mark.parametrize(
    ("ours", "said"), [(47.0, "match"), (43.0, "match"), (47.1, "above"), (42.9, "below")]
)
def test_a_trained_number_matches_within_half_its_interval(ours, said):
    assert word(45.0, trained(ours, half_width=2.0), column()) == said


def test_more_than_one_percent_of_the_clips_missing_is_other_data():
    said = [word(45.0, trained(45.0, coverage=share), column()) for share in (1.0, 0.99, 0.989, 1.02)]
    assert said == ["match", "match", "other data", "other data"]


def test_at_a_scale_that_is_not_comparable_trained_numbers_are_demo_and_counts_are_judged():
    assert word(45.0, trained(45.0), column(), comparable=False) == "demo"
    assert verdict(45.0, trained(10.0), column(), comparable=False).difference is None
    assert word(1573, counted(1573), column(decimals=0), comparable=False) == "match"


def test_where_nothing_is_printed_the_number_is_unprinted():
    assert word(None, counted(3), column()) == word(None, trained(3.0), None, comparable=False) == "unprinted"
    assert word("128; 7,7", counted(3), column(unit="text")) == "unprinted"


def test_without_a_number_the_verdict_says_why():
    failed = verdict(45.0, Outcome("failed", "out of memory"), column(), comparable=True)
    not_run = verdict(45.0, Outcome("not run", "no scores yet"), column(), comparable=True)
    assert (failed.word, failed.reason) == ("failed", "out of memory")
    assert (not_run.word, not_run.reason) == ("not run", "no scores yet")
    assert word(45.0, Outcome("cited", "cited"), column()) == "cited"


def test_a_number_that_is_not_printed_in_the_text_is_compared_and_marked():
    recalled = Quoted(value=45.0, source="main_paper", why="recalled")
    assert verdict(recalled, trained(50.0), column(), comparable=True).short == "above (main paper)"
    assert verdict(recalled, trained(45.0), column(), comparable=True).short == "match (main paper)"


def test_every_outcome_gets_one_of_the_known_words():
    outcomes = [counted(1), trained(1.0), Outcome("failed", "x"), Outcome("not run", "x"), Outcome("cited")]
    for found in outcomes:
        for published in (None, 1, 1.0, 2.5, "text"):
            for comparable in (True, False):
                assert word(published, found, column(), comparable) in WORDS
