"""A split held out of another one: who is in it, by torch and the authors' own draw; what a page may say."""

import json
from pathlib import Path

import pytest
import torch
from torch.utils.data import random_split

from official import DIVING, build, fill, page, write
from pages import ROOT
from papertext import oracle
from retrace.data.holdout import held_out
from retrace.errors import UserError
from retrace.plan.datasets import DatasetPage, Expected
from retrace.plan.library import Library
from retrace.plan.load import read
from retrace.plan.mistakes import checked
from retrace.plan.video import Cut, Holdout

TRAIN = [f"dive_{number}" for number in range(20)]


def cut(**changes) -> Cut:
    return Cut(**{"split": "val", "of": "train", "seed": 42, **changes})


@pytest.fixture
def root(tmp_path) -> Path:
    """Twenty training dives and two test dives, of three classes."""
    folder = tmp_path / "videos"
    folder.mkdir()
    listed = [{"vid_name": name, "label": number % 3} for number, name in enumerate(TRAIN)]
    write(folder, train__json=listed, test__json=[{"vid_name": f"t{n}", "label": n} for n in (0, 1)])
    fill(folder, *(f"train/{name}.mp4" for name in TRAIN), "test/t0.mp4", "test/t1.mp4")
    return folder


def diving(val: int = 4, **changes):
    splits = {"train": max(20 - val, 1), "val": val, "test": 2}
    of = page(
        "diving48",
        ("{split}/{id}.mp4",),
        {"train": "train.json", "test": "test.json"},
        splits={split: Expected(videos=videos) for split, videos in splits.items()},
    )
    return of.model_copy(update={"holdout": cut(**changes)})


def test_the_validation_split_of_diving48_is_the_authors():
    known = oracle("rac", "random_split_seed42")["15027"]
    holdout = Library(ROOT).collection("diving48-v2").holdout
    assert holdout == Holdout(split="val", of="train", seed=42, videos=1502)
    generator = torch.Generator().manual_seed(42)
    train, val = random_split(range(15027), [13525, 1502], generator)
    assert list(train.indices)[:10] == known["train_first10"]
    assert list(val.indices)[:10] == known["val_first10"] and list(val.indices)[-3:] == known["val_last3"]
    assert held_out(15027, holdout) == set(val.indices)


def test_every_video_is_in_one_split_in_the_order_of_the_annotation(root):
    rows, report = build(root, DIVING, diving())
    _, val = random_split(range(20), [16, 4], torch.Generator().manual_seed(42))
    held = [TRAIN[place] for place in sorted(val.indices)]
    found = {
        split: [row["id"] for row in rows if row["split"] == split] for split in ("train", "val", "test")
    }
    assert found == {"train": [name for name in TRAIN if name not in held], "val": held, "test": ["t0", "t1"]}
    assert [row["split"] for row in rows] == ["train"] * 16 + ["val"] * 4 + ["test"] * 2
    assert {row["label"] for row in rows if row["split"] == "val"} == {TRAIN.index(name) % 3 for name in held}
    counts = {split: (found["annotated"], found["expected"]) for split, found in report["splits"].items()}
    assert counts == {"train": (16, 16), "val": (4, 4), "test": (2, 2)}


def test_what_is_held_out_lies_where_its_annotation_says(root):
    rows, report = build(root, DIVING, diving())
    assert {row["path"].split("/")[0] for row in rows if row["split"] == "val"} == {"train"}
    assert not report["no_file"] and not report["in_two_splits"]


def test_another_seed_holds_out_others(root):
    held = [
        {row["id"] for row in build(root, DIVING, diving(seed=seed))[0] if row["split"] == "val"}
        for seed in (42, 43)
    ]
    assert held[0] != held[1]


def test_a_rejected_row_keeps_its_place_in_the_draw(root):
    """So that what is amiss with one video moves no other one to another split."""
    before = {row["id"]: row["split"] for row in build(root, DIVING, diving())[0]}
    listed = json.loads((root / "train.json").read_text())
    listed[0]["label"] = 48
    (root / "train.json").write_text(json.dumps(listed))
    after = {row["id"]: row["split"] for row in build(root, DIVING, diving())[0]}
    assert before.keys() - after.keys() == {TRAIN[0]}
    assert all(before[name] == split for name, split in after.items())


def test_an_annotation_that_is_too_short_to_hold_out_of_is_refused(root):
    with pytest.raises(
        UserError, match=r"train\.json lists 20 videos, of which 20 should be held out for 'val'"
    ):
        build(root, DIVING, diving(val=20))


def test_generated_videos_are_annotated_before_they_are_held_out():
    library = Library(ROOT)
    page = library.page("divers")
    counts = {split: expected.videos for split, expected in page.splits.items()}
    made = library.collection("divers").footage.videos
    assert made == {"train": counts["train"] + counts["val"], "test": counts["test"]}


def test_collections_without_one_say_nothing_of_it():
    """Their hashes are on record."""
    library = Library(ROOT)
    for name in library.videos:
        dumped = library.collection(name).model_dump(mode="json")
        assert ("holdout" in dumped) == (name in ("diving48-v2", "divers"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  of: train\n", "  of: trian\n", "'trian' is not known here; did you mean 'train'?"),
        ("  of: train\n", "  of: val\n", "a split is held out of another one"),
        ("  split: val\n", "  split: test\n", "'test' has an annotation of its own"),
        ("\n  val: {videos:", "\n  test2: {videos:", "'test2' is not known here"),
    ],
)
def test_a_page_that_holds_out_what_is_not_there_is_refused(tmp_path, old, new, message):
    text = (ROOT / "datasets/diving48-v2.yaml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "diving48-v2.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    page = read(path, tmp_path)
    with pytest.raises(UserError) as error:
        checked(DatasetPage.model_validate, page.data, page)
    assert message in str(error.value)
