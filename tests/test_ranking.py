"""Figure 1 of RSTG: what is drawn of each method, and what of it is only published."""

import numpy as np
import pytest

from pages import ROOT
from retrace.plan.plan import Plan
from retrace.report.outcome import Outcome
from retrace.report.ranking import draw, points

PRINTED = {"conv-lstm": 39.7, "i3d": 90.6, "non-local": 93.5, "rstg": 97.2}
OURS = {"mean-lstm": 20.0, "conv-lstm": 41.0, "rstg": 96.0}


@pytest.fixture(scope="module")
def plan():
    return Plan(ROOT, "paper")


@pytest.fixture(scope="module")
def outcomes(plan):
    """Some methods are measured on the one dataset that is ours, all others wait."""
    found = []
    for cell in plan.cells("rstg", "figure-1"):
        axes = dict(cell.place.axes)
        value = OURS.get(axes["x"]) if axes["series"] == "5syncmnist" else None
        waits = Outcome("not run", "no scores yet")
        measured = waits if value is None else Outcome("measured", "", value, value - 2, value + 1)
        found.append((cell, measured))
    return found


def known(table, column):
    return dict(table[["x", column]].dropna().itertuples(index=False))


def test_every_number_is_a_line_of_the_table_and_the_rest_is_not(outcomes):
    table = points(outcomes)
    assert set(table["series"]) == {"5syncmnist"}
    assert known(table, "value") == OURS
    assert known(table, "published") == PRINTED
    assert set(table["source"].dropna()) == {"main_paper"}
    assert table["runs"].str.startswith("sync-mnist-5/").all()


def test_ours_is_filled_with_its_interval_and_the_published_open(plan, outcomes):
    figure = plan.papers["rstg"].figures["figure-1"]
    drawing = draw(figure, "a title", ["a caption"], points(outcomes))
    (ax,) = drawing.axes
    place = {item.key: at for at, item in enumerate(figure.x)}
    curves = [line for line in ax.lines if line.get_marker() == "o"]
    drawn = {line.get_linestyle(): dict(zip(*line.get_data(), strict=True)) for line in curves}
    assert drawn["--"] == {place[x]: value for x, value in PRINTED.items()}
    assert drawn["-"] == {place[x]: value for x, value in OURS.items()}
    assert [line.get_markerfacecolor() == "white" for line in curves] == [True, False]
    bars = [line.get_data() for line in ax.lines if line.get_marker() == "None"]
    expected = [([place[x]] * 2, [value - 2, value + 1]) for x, value in OURS.items()]
    assert np.array_equal(np.array(bars), np.array(expected))
    assert len(ax.get_xticklabels()) == len(figure.x)
    labels = [text.get_text() for text in drawing.legends[0].get_texts()]
    assert labels == ["5SyncMNIST, ours", "5SyncMNIST, published"]


def test_without_any_number_there_is_nothing_to_draw(outcomes):
    waiting = [(cell._replace(published=None), Outcome("not run", "no scores yet")) for cell, _ in outcomes]
    assert points(waiting).empty
