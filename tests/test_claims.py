"""Claims: planted differences are found, none is undecided, and what is missing is said."""

import csv
from pathlib import Path

import numpy as np
import pytest

from retrace.plan.layout import CLAIMS
from retrace.plan.plan import Plan
from retrace.report import claims
from retrace.report.results import Results
from small_plan import CLIPS, count, first, plant, small_plan, write

AHEAD = "convlstm-ahead"


def decided(plan: Plan, key: str = AHEAD) -> claims.Decision:
    claim = plan.papers["mini"].claims[key]
    return claims.decide(plan, Results(plan.root), "mini", key, claim)


def planted(root: Path, shares: dict[str, float], **changes) -> Plan:
    """Each model is right on a share of the clips, the same ones for all its seeds and sizes."""
    plan = small_plan(root, **changes)
    plant(plan, lambda run, domain: first(shares[run.model.family]))
    return plan


def one_comparison(more: dict, less: dict, by: float = 0.0):
    def change(paper):
        paper["claims"][AHEAD]["comparisons"] = [{"more": more, "less": less, "by": by}]

    return change


@pytest.mark.parametrize(("convlstm", "said"), [(0.8, "holds"), (0.4, "fails"), (0.6, "undecided")])
def test_planted_differences_are_found(tmp_path, convlstm, said):
    decision = decided(planted(tmp_path, {"cnn3d": 0.6, "convlstm": convlstm}))
    assert decision.verdict == said
    assert decision.margin.value == pytest.approx(100 * (convlstm - 0.6))
    assert decision.margin.low <= decision.margin.value <= decision.margin.high


def test_models_are_compared_on_the_same_clips(tmp_path):
    """One clip in ten separates the two; unpaired, the noise of 120 clips would hide it."""
    decision = decided(planted(tmp_path, {"cnn3d": 0.5, "convlstm": 0.6}))
    paired = 100 * 1.96 * np.sqrt(0.1 * 0.9 / CLIPS)
    assert (decision.margin.high - decision.margin.low) / 2 == pytest.approx(paired, rel=0.15)
    assert decision.verdict == "holds"


def test_seeds_that_disagree_leave_a_claim_undecided(tmp_path):
    plan = small_plan(tmp_path)
    shares = {("cnn3d", 1): 0.2, ("cnn3d", 2): 0.8, ("convlstm", 1): 0.5, ("convlstm", 2): 0.6}
    plant(plan, lambda run, domain: first(shares[run.model.family, run.seed]))
    assert decided(plan).verdict == "undecided"


@pytest.mark.parametrize(("by", "said"), [(5.0, "holds"), (30.0, "fails"), (20.0, "undecided")])
def test_a_claim_may_ask_for_a_distance(tmp_path, by, said):
    sides = {"of": "figure-1", "panel": "away", "series": "convlstm"}, {"of": "figure-1", "panel": "away"}
    change = one_comparison(sides[0], sides[1] | {"series": "cnn3d"}, by)
    assert decided(planted(tmp_path, {"cnn3d": 0.4, "convlstm": 0.6}, change=change)).verdict == said


def test_both_sides_are_averaged_over_the_sizes_that_both_have(tmp_path):
    """The demonstration trains the 3D CNN with 2 and 4 units, the ConvLSTM with 4 only."""
    plan = small_plan(tmp_path, "demo")
    shares = {("cnn3d", 2): 0.0, ("cnn3d", 4): 0.6, ("convlstm", 4): 0.5}
    plant(plan, lambda run, domain: first(shares[run.model.family, run.model.hidden]))
    decision = decided(plan)
    assert decision.margin.value == pytest.approx(-10)
    assert decision.compared[0].says.endswith("at x 4")
    assert not any("cnn3d-n2" in run for run in decision.runs())


def test_sizes_chosen_on_purpose_are_compared_though_they_differ(tmp_path):
    side = {"of": "figure-1", "panel": "away", "series": "cnn3d"}
    plan = small_plan(tmp_path, change=one_comparison(side | {"x": "8"}, side | {"x": "2"}))
    plant(plan, lambda run, domain: first(0.1 * run.model.hidden))
    decision = decided(plan)
    assert (decision.verdict, decision.margin.value) == ("holds", pytest.approx(60))


def test_ratios_and_counts_can_be_claimed(tmp_path):
    ratio = one_comparison({"of": "figure-2", "series": "convlstm"}, {"of": "figure-2", "series": "cnn3d"})
    plan = small_plan(tmp_path / "a", change=ratio)
    plant(plan, lambda run, d: first(0.8 if d == "home" or run.model.family == "convlstm" else 0.2))
    assert decided(plan).margin.value == pytest.approx(1 - 0.25)
    side = {"of": "table-2", "column": "p"}
    counts = one_comparison(side | {"row": "convlstm"}, side | {"row": "cnn3d"}, by=-1)
    plan = small_plan(tmp_path / "b", change=counts)
    count(plan, 1000, 1)
    assert (decided(plan).verdict, tuple(decided(plan).margin)) == ("holds", (1, 1, 1))


@pytest.mark.parametrize(("by", "said"), [(0.0, "holds"), (45.0, "fails")])
def test_one_difference_can_be_claimed_to_be_larger_than_another(tmp_path, by, said):
    """Away the ConvLSTM is 30 points ahead, at home 10."""

    def change(paper):
        away, home = ({"of": "figure-1", "panel": panel} for panel in ("away", "home"))
        more = [away | {"series": "convlstm"}, home | {"series": "cnn3d"}]
        less = [away | {"series": "cnn3d"}, home | {"series": "convlstm"}]
        paper["claims"][AHEAD]["comparisons"] = [{"more": more, "less": less, "by": by}]

    plan = small_plan(tmp_path, change=change)
    shares = {
        ("cnn3d", "away"): 0.2,
        ("convlstm", "away"): 0.5,
        ("cnn3d", "home"): 0.6,
        ("convlstm", "home"): 0.7,
    }
    plant(plan, lambda run, domain: first(shares[run.model.family, domain]))
    decision = decided(plan)
    assert (decision.verdict, decision.margin.value) == (said, pytest.approx(20 - by))


def test_one_comparison_that_fails_decides_against_the_claim(tmp_path):
    def change(paper):
        comparison = paper["claims"][AHEAD]["comparisons"][0]
        reverse = {"more": comparison["less"], "less": comparison["more"]}
        paper["claims"][AHEAD]["comparisons"] = [comparison, reverse]

    decision = decided(planted(tmp_path, {"cnn3d": 0.5, "convlstm": 0.8}, change=change))
    assert decision.verdict == "fails" and decision.margin.value == pytest.approx(-30)


def test_what_is_missing_is_said(tmp_path):
    plan = small_plan(tmp_path)
    assert (decided(plan, "untested").verdict, decided(plan, "untested").reason) == (
        "not run",
        "speed is not measured",
    )
    assert decided(plan).reason == "no scores yet; 6 of 6 cells"
    plant(plan, lambda run, domain: first(0.5))
    run = next(run for run in plan.runs.values() if run.model.hidden == 8)
    write(plan, run, "failure.json", {"reason": "out of memory"})
    assert decided(plan).reason == "out of memory (1 of 2 seeds); 1 of 6 cells"


def test_sides_without_a_common_cell_at_this_scale_are_not_run(tmp_path):
    side = {"of": "figure-1", "panel": "away"}
    change = one_comparison(side | {"series": "convlstm", "x": "8"}, side | {"series": "cnn3d", "x": "8"})
    decision = decided(small_plan(tmp_path, "demo", change=change))
    assert decision.verdict == "not run" and "share no cell at scale 'demo'" in decision.reason


def test_the_csv_names_every_claim_with_its_verdict_and_is_the_same_when_made_again(tmp_path):
    plan = planted(tmp_path, {"cnn3d": 0.5, "convlstm": 0.8})
    path = plan.root / CLAIMS.format(scale="paper")
    claims.render(plan)
    text = path.read_text()
    lines = {line["claim"]: line for line in csv.DictReader(text.splitlines())}
    assert [line["verdict"] for line in lines.values()] == ["holds", "not run"]
    assert float(lines[AHEAD]["margin"]) == pytest.approx(30)
    assert len(lines[AHEAD]["runs"].split()) == 12
    claims.render(small_plan(tmp_path))
    assert path.read_text() == text
