"""Cells that tell of a segmenter: the printed 93 % beside ours, or the reason why there is none."""

import json
import shutil
from pathlib import Path

import pytest

from pages import RAC, ROOT, edit
from retrace.errors import UserError
from retrace.plan.plan import Plan
from retrace.report import segmenters, tables
from retrace.report.outcome import outcome
from retrace.report.results import Results

FOUND = {
    "frames": {"train": 184, "val": 16},
    "best_epoch": 6,
    "best": {"box_iou": 0.633, "diver_box_iou": 0.52, "mask_iou": 0.63},
    "untrained": {"box_iou": 0.144, "diver_box_iou": 0.004, "mask_iou": 0.011},
}


@pytest.fixture
def root(tmp_path) -> Path:
    for folder in ("papers", "datasets", "segmenters", "scales"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def cells(root: Path, scale: str) -> dict:
    return {dict(cell.place.axes)["column"]: cell for cell in Plan(root, scale).cells("rac", "text-1")}


def leave(root: Path, cell, name: str, content: dict) -> None:
    path = root / cell.segmenter / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(("scale", "made_by"), [("demo", "divers-"), ("paper", "diving48-")])
def test_they_tell_of_the_segmenter_of_the_scale(root, scale, made_by):
    found, results = cells(root, scale), Results(root)
    assert {cell.segmenter.name[: len(made_by)] for cell in found.values()} == {made_by}
    assert {outcome(cell, results).reason for cell in found.values()} == {"no segmenter yet"}
    leave(root, found["train"], "segmenter.json", FOUND)
    told = {name: outcome(cell, Results(root)) for name, cell in found.items()}
    assert {name: one.value for name, one in told.items()} == {"train": 184, "val": 16, "box-iou": 63.3}
    assert told["box-iou"].reason == "14.4 % before training"


def test_what_they_rest_on_is_the_segmenter_and_its_frames(root):
    plan = Plan(root, "paper")
    (cell, *_) = plan.cells("rac", "text-1")
    assert {assumption.file for assumption in plan.assumptions(cell)} == {
        "segmenters/diving48.yaml",
        "datasets/diving48-masks.yaml",
    }


def test_a_failure_is_told_in_its_place(root):
    cell = cells(root, "paper")["box-iou"]
    leave(root, cell, "failure.json", {"reason": "the loss is nan"})
    found = outcome(cell, Results(root))
    assert (found.state, found.reason) == ("failed", "the loss is nan")


def test_published_videos_have_no_segmenter(root):
    page = root / "datasets/diving48-s1.yaml"
    text = page.read_text()
    start, end = text.index("segmented:"), text.index("store:")
    page.write_text(text[:start] + text[end:])
    found = {outcome(cell, Results(root)).reason for cell in cells(root, "paper").values()}
    assert found == {"the videos of diving48-s1 are there: no segmenter makes them"}


def test_a_wrong_dataset_is_named(root):
    edit(root, RAC, "cell: {data: diving48-s1}", "cell: {data: diving48-s4}")
    with pytest.raises(UserError, match=r"unknown dataset of videos 'diving48-s4'; did you mean 'diving48-"):
        cells(root, "paper")


def test_the_table_and_the_page_print_it_beside_the_papers(root):
    leave(root, cells(root, "demo")["val"], "segmenter.json", FOUND)
    plan = Plan(root, "demo")
    tables.render(plan, "rac", "text-1")
    text = (root / "results/demo/tables/rac/text-1.md").read_text()
    assert "184 (290) demo" in text and "63 (93) demo" in text and "14.4 % before training" in text
    (view,) = segmenters.segmenter_views(plan)
    assert view.figures[0] == ("box IoU as the paper has it", "63.3 %", "14.4 %")
    assert (view.kept, view.published, view.curve, view.overlays) == (6, "", None, None)


def test_what_an_audit_says_of_composed_videos():
    known = {"frames_with_diver": 9, "nothing_found": 0.25, "iou": 0.5, "covered": 0.75}
    words = segmenters.composed_in_words({"composed": {"frames": 12, "nothing_found": 0.5, "known": known}})
    assert words.startswith(
        "nothing found in 50.0 % of 12 frames; where a diver is known to be seen, nothing in 25"
    )
    assert "75.0 % of the divers' pixels" in words and words.endswith("IoU of the two is 50.0 %")
    assert segmenters.composed_in_words({"composed": {"frames": 12, "nothing_found": 0.5}}).endswith(
        "12 frames"
    )
    assert segmenters.composed_in_words({}) == ""
