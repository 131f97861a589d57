"""Figures of maps: what is planted is drawn and listed, frames stand once, and what is missing is said."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pages import ROOT
from retrace.evaluate.pictures import Pictures
from retrace.plan.layout import FIGURE, FIGURE_SUFFIXES, answers_of
from retrace.plan.plan import Plan
from retrace.report import figures, maps
from retrace.report.outcome import outcome
from retrace.report.results import Results
from retrace.report.status import report
from test_workflow import jobs, snakemake

ITEM = ("timesformer", "figure-1")


@pytest.fixture
def plan(tmp_path) -> Plan:
    for folder in ("papers", "datasets", "segmenters", "scales", "workflow", "envs"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "config.yaml", tmp_path)
    return Plan(tmp_path, "demo")


def planted(plan: Plan, ids: tuple[str, ...] = ("7", "8")) -> Pictures:
    """Write maps for the figure's only cell: the second video is answered wrongly."""
    (cell,) = plan.cells(*ITEM)
    draw = np.random.default_rng(1)
    frames = draw.integers(256, size=(len(ids), 3, 8, 8, 3), dtype=np.uint8)
    heat = {"attention rollout": draw.random((len(ids), 3, 2, 2), dtype=np.float32)}
    pictures = Pictures(ids, np.arange(len(ids)), np.zeros(len(ids), int), frames, heat)
    assert cell.maps is not None
    pictures.write(plan.root / answers_of(cell.runs[0], cell.maps))
    return pictures


def rendered(plan: Plan) -> dict[str, Path]:
    figures.render(plan, *ITEM)
    stem = FIGURE.format(scale=plan.scale, paper=ITEM[0], figure=ITEM[1])
    return {suffix: plan.root / f"{stem}{suffix}" for suffix in FIGURE_SUFFIXES}


def test_every_number_of_a_map_is_listed_with_its_place(plan):
    pictures = planted(plan)
    table = pd.read_csv(rendered(plan)[".csv"])
    assert list(table) == list(maps.COLUMNS) and len(table) == 2 * 3 * 2 * 2
    classes = plan.cells(*ITEM)[0].runs[0].task.classes
    for place, video in enumerate(pictures.ids):
        own = table[table["video"].astype(str) == video]
        assert set(own["class"]) == {classes[place]} and set(own["answer"]) == {classes[0]}
        heat_TRC = np.full((3, 2, 2), np.nan)
        heat_TRC[own["frame"], own["row"], own["column"]] = own["value"]
        np.testing.assert_allclose(heat_TRC, pictures.maps_NTRC["attention rollout"][place], atol=1e-6)


def test_it_is_said_whose_videos_are_shown_where_others_stand_in(plan):
    planted(plan)
    outcomes = figures.figure_outcomes(plan, Results(plan.root), *ITEM)
    shown = maps.shown_cells(plan.papers[ITEM[0]].figures[ITEM[1]], outcomes, Results(plan.root))
    assert plan.library.videos["motion-aligned"].title in maps.rule(plan, shown)


def test_drawn_again_it_is_the_same_picture(plan):
    planted(plan)
    first = {suffix: path.read_bytes() for suffix, path in rendered(plan).items()}
    assert first[".png"].startswith(b"\x89PNG") and first[".pdf"].startswith(b"%PDF")
    assert first == {suffix: path.read_bytes() for suffix, path in rendered(plan).items()}


def test_without_maps_it_is_a_card_that_says_so(plan):
    assert pd.read_csv(rendered(plan)[".csv"]).empty
    (cell,) = plan.cells(*ITEM)
    found = outcome(cell, Results(plan.root))
    assert (found.state, found.reason) == ("not run", "no maps yet")
    assert re.search(r"timesformer/figure-1 +0 %  0 of 1 cells", report(plan))
    planted(plan)
    assert outcome(cell, Results(plan.root)).value == 2
    assert "timesformer/figure-1 " not in report(plan)  # it has all that it needs


def test_cells_that_show_the_same_frames_show_them_once(plan):
    pictures = planted(plan)
    (cell,) = plan.cells(*ITEM)
    classes = cell.runs[0].task.classes
    other = pictures._replace(frames_NTHWC=255 - pictures.frames_NTHWC)
    one, same, differs = (
        maps.Shown(label, cell, p, classes)
        for label, p in zip("abc", (pictures, pictures, other), strict=True)
    )
    rows = ("a: attention rollout", "b: attention rollout")
    assert [row.text for row in maps.strips([one, same])] == [classes[0], *rows, classes[1], *rows]
    assert len(maps.strips([one, differs])) == 2 * 4


def test_long_clips_are_drawn_in_part(plan):
    (cell,) = plan.cells(*ITEM)
    frames = np.zeros((1, 96, 4, 4, 3), np.uint8)
    heat = {"x": np.ones((1, 96, 1, 1), np.float32)}
    long = Pictures(("1",), np.zeros(1, int), np.zeros(1, int), frames, heat)
    rows = maps.strips([maps.Shown("", cell, long, cell.runs[0].task.classes)])
    assert {len(row.frames_THWC) for row in rows} == {maps.MOST_FRAMES}


def test_the_workflow_trains_shows_and_draws(plan):
    prepared = {"synthesize": 1, "manifest": 1, "extract": 2, "audit": 1}
    made = {"train": 1, "maps": 1, "figure": 1, "timesformer_figure_1": 1}
    assert jobs(snakemake(plan.root, "timesformer_figure_1", "-n")) == prepared | made
