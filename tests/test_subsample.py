"""Subsets: which videos are drawn, against a brute-force twin, and what is told about them."""

import hashlib
import json
import random

import pytest

from official import KINETICS, build, collection, fill, kinetics_csv, page, write
from retrace.data.manifest import SCHEMA, read_manifest
from retrace.data.subsample import draw, subsample
from retrace.errors import UserError
from retrace.plan.datasets import Expected

CLASSES = ("person's head", "abseiling")
"""Of the whole's four, in another order."""
SPLITS = {"train": Expected(videos=12, published=10), "val": Expected(videos=4)}


@pytest.fixture
def whole(tmp_path):
    """A whole of 40 training and 20 validation videos, two of three with a file, and rows with mistakes."""
    root, dice = tmp_path / "whole", random.Random(3)
    rows = {"train": [(f"t{i}", dice.choice(KINETICS)) for i in range(40)]}
    rows["val"] = [(f"v{i}", KINETICS[i % 4]) for i in range(20)]
    rows["train"] += [rows["train"][0], ("../x", "abseiling"), ("y", "unknown"), ("..", KINETICS[1])]
    for split, listed in rows.items():
        write(root, **{f"{split}__csv": kinetics_csv(split, *listed)})
        fill(root, *(f"{split}/{video}.mp4" for video, _ in listed[:40] if int(video[1:]) % 3))
    of = page("kinetics", ("{split}/{id}.mp4",), {"train": "train.csv", "val": "val.csv"})
    made, report = build(root, KINETICS, of)
    return tmp_path / "whole-made/manifest.parquet", made, report


def subset(whole, tmp_path, splits=SPLITS, name="mini", classes=CLASSES, **options):
    folder = tmp_path / name
    subsample(collection(classes, name="mini", **options), whole, folder, splits)
    report = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    return read_manifest(folder / "manifest.parquet").to_pylist(), report


def twin(rows, per_class, seed):
    """The slow way: sort each class of each split by its digests, and take the first ones."""
    kept = []
    for row in rows:
        rivals = [o["id"] for o in rows if (o["split"], o["class"]) == (row["split"], row["class"])]
        rivals.sort(key=lambda video: hashlib.sha256(f"{seed} {video}".encode()).hexdigest())
        if row["id"] in rivals[: per_class.get(row["split"], len(rivals))]:
            kept.append(row)
    return kept


def test_all_videos_of_the_chosen_classes_are_kept_with_new_labels(whole, tmp_path):
    path, rows, _ = whole
    made, _ = subset(path, tmp_path)
    wanted = [row | {"label": CLASSES.index(row["class"])} for row in rows if row["class"] in CLASSES]
    assert made == wanted
    assert (tmp_path / "mini/classes.txt").read_text() == "person's head\nabseiling\n"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("per_class", [{"train": 3}, {"train": 1, "val": 2}, {"train": 100}])
def test_a_draw_is_the_slow_one(whole, tmp_path, per_class, seed):
    path, *_ = whole
    made, _ = subset(path, tmp_path, per_class=per_class, seed=seed)
    whole_made, _ = subset(path, tmp_path, name="all")
    assert made == twin(whole_made, per_class, seed)


def test_a_draw_depends_on_neither_the_order_of_the_ids_nor_an_id_that_is_not_drawn():
    ids = [f"v{index}" for index in range(200)]
    drawn = draw(ids, 50, 7)
    assert len(drawn) == 50 and drawn != draw(ids, 50, 8)
    assert draw(random.Random(1).sample(ids, 200), 50, 7) == drawn
    assert draw([video for video in ids if video in drawn or int(video[1:]) % 2], 50, 7) == drawn
    gone = min(drawn)
    assert len(draw([video for video in ids if video != gone], 50, 7) & drawn) == 49


def test_a_draw_of_a_class_does_not_depend_on_the_other_classes(whole, tmp_path):
    path, *_ = whole
    both, _ = subset(path, tmp_path, per_class={"train": 3}, seed=1)
    alone, _ = subset(path, tmp_path, per_class={"train": 3}, seed=1, classes=CLASSES[1:], name="alone")
    ids = [row["id"] for row in both if row["class"] == CLASSES[1]]
    assert [row["id"] for row in alone] == ids and {row["label"] for row in alone} == {0}


def test_every_id_is_drawn_about_as_often_as_the_others():
    """Each of 40 ids is in 10 of 40, for 400 seeds: 100 times, give or take 5 deviations of 8.7."""
    ids = [f"v{index}" for index in range(40)]
    drawn = [video for seed in range(400) for video in draw(ids, 10, seed)]
    assert all(abs(drawn.count(video) - 100) < 44 for video in ids)


def test_the_counts_are_those_of_the_rows(whole, tmp_path):
    path, rows, of_whole = whole
    made, report = subset(path, tmp_path)
    for split in SPLITS:
        mine = [row for row in made if row["split"] == split]
        counts = report["splits"][split]
        assert counts["kept"] == len(mine)
        assert counts["no_file"] == sum(row["path"] is None for row in mine)
        assert counts["expected"] == SPLITS[split].videos and counts["published"] == SPLITS[split].published
        videos = report["classes"][split]["videos"]
        assert videos == {name: sum(row["class"] == name for row in mine) for name in CLASSES}
    first = rows[0]["class"] in CLASSES
    assert (
        report["splits"]["train"]["rejected"] == 1 + first == len(report["rejected"] + report["duplicates"])
    )
    assert [note["reason"] for note in report["rejected"]] == [
        "the id holds '..' as the name of a folder or file"
    ]
    assert of_whole["splits"]["train"]["rejected"] == 4
    assert report["splits"]["train"]["missing"] == len(report["no_file"]) - sum(
        note["split"] == "val" for note in report["no_file"]
    ) + len(report["rejected"] + report["duplicates"])


def test_what_is_missing_is_that_of_the_drawn_videos(whole, tmp_path):
    path, *_ = whole
    made, report = subset(path, tmp_path, per_class={"train": 3, "val": 2}, seed=4)
    assert {note["id"] for note in report["no_file"]} == {row["id"] for row in made if row["path"] is None}
    assert report["rejected"] == [] and report["splits"]["val"]["annotated"] == 4


def test_a_draw_does_not_depend_on_what_is_on_the_disk(whole, tmp_path):
    path, *_ = whole
    before, _ = subset(path, tmp_path, per_class={"train": 2}, seed=4)
    root = tmp_path / "whole"
    for file in list((root / "train").iterdir())[::2]:
        file.unlink()
    build(root, KINETICS, page("kinetics", ("{split}/{id}.mp4",), {"train": "train.csv", "val": "val.csv"}))
    after, _ = subset(path, tmp_path, per_class={"train": 2}, seed=4)
    assert [row["id"] for row in before] == [row["id"] for row in after]
    assert [row["path"] for row in before] != [row["path"] for row in after]


def test_classes_with_too_few_videos_are_listed(whole, tmp_path):
    path, *_ = whole
    _, report = subset(path, tmp_path, per_class={"train": 1, "val": 6}, seed=4)
    assert report["short"] == [{"split": "val", "class": name, "videos": 5, "wanted": 6} for name in CLASSES]


def test_a_split_that_the_subset_lacks_is_left_out(whole, tmp_path):
    path, *_ = whole
    made, report = subset(path, tmp_path, splits={"val": Expected(videos=10)})
    assert {row["split"] for row in made} == {"val"} == set(report["splits"])
    assert {note["split"] for name in ("no_file", "rejected") for note in report[name]} == {"val"}


def test_the_bytes_are_the_same_each_time(whole, tmp_path):
    path, *_ = whole
    made = []
    for name in ("one", "two"):
        subset(path, tmp_path, name=name, per_class={"train": 3}, seed=0)
        made.append([file.read_bytes() for file in sorted((tmp_path / name).iterdir())])
    assert made[0] == made[1] and len(made[0]) == 3


def test_a_whole_that_cannot_be_read_is_named(whole, tmp_path):
    path, *_ = whole
    with pytest.raises(UserError, match="has no video of any class of mini"):
        subset(path, tmp_path, classes=("juggling",))
    (path.parent / "annotations.json").write_text('{"rejected": [')
    with pytest.raises(UserError, match=r"annotations\.json cannot be read"):
        subset(path, tmp_path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"manifest\.parquet cannot be read"):
        subset(path, tmp_path)
    with pytest.raises(UserError, match="cannot be read"):
        subset(tmp_path / "none.parquet", tmp_path)


def test_a_table_that_is_no_manifest_is_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "x.parquet")
    with pytest.raises(UserError, match=f"has the columns id; expected {', '.join(SCHEMA.names)}"):
        read_manifest(tmp_path / "x.parquet")
