"""From official folders to a manifest: exact rows and counts, and what is told about the rest."""

import shutil
from pathlib import Path

import pytest

from official import (
    DIVES,
    DIVING,
    HEADER,
    KINETICS,
    MOMENTS,
    V2,
    build,
    collection,
    fill,
    kinetics,
    page,
    simple,
    write,
)
from retrace.data.manifest import SCHEMA, build_manifest
from retrace.errors import UserError
from retrace.plan.datasets import Expected


@pytest.fixture
def root(tmp_path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    return folder


def row(video, path, split, label, name, start=None, end=None):
    return dict(zip(SCHEMA.names, (video, path, split, label, name, start, end), strict=True))


# --- the official folders, exactly


@pytest.mark.parametrize("stamps", [True, False])
def test_kinetics_with_and_without_time_stamps_in_the_names(root, stamps):
    quoted = '"air drumming, ""live"""'
    write(
        root,
        annotations__train__csv="never read",
        train__csv=HEADER
        + f"person's head,aaa,1,11,train,0\n{quoted},-bb,120,130,train,0\nabseiling,cc,0,10,train,1\n",
        validate__csv=HEADER + "passing American football (in game),dd,3,13,val,0\n",
        test__csv="youtube_id,time_start,time_end,split\nee,5,15,test\n",
    )
    name = (lambda video, times: f"{video}_{times}.mp4") if stamps else (lambda video, times: f"{video}.mp4")
    fill(
        root,
        "train/person's_head/" + name("aaa", "000001_000011"),
        f"train/{KINETICS[1]}/" + name("-bb", "000120_000130"),
        f"val/{KINETICS[2]}/" + name("dd", "000003_000013"),
        "test/" + name("ee", "000005_000015"),
    )
    stem = "{id}_{start:06d}_{end:06d}" if stamps else "{id}"
    of = page(
        "kinetics",
        ("{split}/{class}/" + stem + ".mp4", "{split}/{class_}/" + stem + ".mp4", "{split}/" + stem + ".mp4"),
        {"test": "test.csv", "train": "train.csv", "val": ("val.csv", "validate.csv")},
    )
    rows, report = build(root, KINETICS, of)
    assert rows == [
        row(
            "aaa_000001_000011",
            "train/person's_head/" + name("aaa", "000001_000011"),
            "train",
            3,
            KINETICS[3],
            1.0,
            11.0,
        ),
        row(
            "-bb_000120_000130",
            f"train/{KINETICS[1]}/" + name("-bb", "000120_000130"),
            "train",
            1,
            KINETICS[1],
            120.0,
            130.0,
        ),
        row("cc_000000_000010", None, "train", 0, KINETICS[0], 0.0, 10.0),
        row(
            "dd_000003_000013",
            f"val/{KINETICS[2]}/" + name("dd", "000003_000013"),
            "val",
            2,
            KINETICS[2],
            3.0,
            13.0,
        ),
        row("ee_000005_000015", "test/" + name("ee", "000005_000015"), "test", None, None, 5.0, 15.0),
    ]
    assert report["splits"]["train"]["no_file"] == report["splits"]["train"]["missing"] == 1
    assert [(note["id"], note["file"], note["line"]) for note in report["no_file"]] == [
        ("cc_000000_000010", "train.csv", 4)
    ]


def test_something_v1_videos_are_folders_of_frames(root):
    write(
        root,
        **{
            "something-something-v1-train__csv": f"10;{V2[0]}\n9;{V2[2]}\n",
            "v1-labels__csv": "\n".join(V2) + "\n",
        },
    )
    fill(root, "20bn-something-something-v1/9/", "20bn-something-something-v1/10/")
    of = page(
        "something-v1",
        ("20bn-something-something-v1/{id}",),
        {"train": "something-something-v1-train.csv"},
        labels=("v1-labels.csv",),
    )
    rows, report = build(root, V2, of)
    assert rows == [
        row("10", "20bn-something-something-v1/10", "train", 0, V2[0]),
        row("9", "20bn-something-something-v1/9", "train", 2, V2[2]),
    ]
    assert report["labels"] == "v1-labels.csv"


def test_something_v2(root):
    write(
        root,
        **{
            "labels/train__json": [{"id": "2", "template": "Closing [something]", "label": "closing door"}],
            "labels/validation__json": [{"id": 1, "template": "Holding [something]"}],
            "labels/test__json": [{"id": "3"}],
            "labels/labels__json": {name: str(index) for index, name in enumerate(V2)},
        },
    )
    fill(root, "20bn-something-something-v2/1.webm", "20bn-something-something-v2/2.webm", "other/3.mp4")
    of = page(
        "something-v2",
        ("20bn-something-something-v2/{id}.webm", "other/{id}.mp4"),
        {"train": "labels/train.json", "val": "labels/validation.json", "test": "labels/test.json"},
        labels=("labels.json", "labels/labels.json"),
    )
    rows, report = build(root, V2, of)
    assert rows == [
        row("2", "20bn-something-something-v2/2.webm", "train", 2, V2[2]),
        row("1", "20bn-something-something-v2/1.webm", "val", 1, V2[1]),
        row("3", "other/3.mp4", "test", None, None),
    ]
    assert report["labels"] == "labels/labels.json"
    assert report["classes"]["train"] == {"fewest": 0, "most": 1, "videos": {V2[0]: 0, V2[1]: 0, V2[2]: 1}}


def test_moments(root):
    write(
        root,
        trainingSet__csv="clapping/a.b.mp4,clapping,3,0\nadult+female+singing/c.mp4,adult+female+singing,1,2\n",
        validationSet__csv="clapping/d.mp4,clapping,3,0\n",
        moments_categories__txt="adult+female+singing,1\nclapping,0\n",
    )
    fill(
        root, "training/clapping/a.b.mp4", "training/adult+female+singing/c.mp4", "validation/clapping/d.mp4"
    )
    of = page(
        "moments",
        ("{split}ing/{id}.mp4", "{split}idation/{id}.mp4"),
        {"train": "trainingSet.csv", "val": "validationSet.csv"},
        labels=("moments_categories.txt",),
        splits={"train": Expected(videos=3, published=4), "val": Expected(videos=1)},
    )
    rows, report = build(root, MOMENTS, of)
    assert rows == [
        row("clapping/a.b", "training/clapping/a.b.mp4", "train", 0, "clapping"),
        row(
            "adult+female+singing/c",
            "training/adult+female+singing/c.mp4",
            "train",
            1,
            "adult+female+singing",
        ),
        row("clapping/d", "validation/clapping/d.mp4", "val", 0, "clapping"),
    ]
    assert report["splits"]["train"] == {
        "annotated": 2, "kept": 2, "no_file": 0, "rejected": 0, "missing": 0, "expected": 3, "published": 4,
    }  # fmt: skip


def test_diving48(root):
    listed = [
        {"vid_name": "_8Vy_00000", "label": 2, "start_frame": 0, "end_frame": 85},
        {"vid_name": "x_1", "label": 48, "start_frame": 0, "end_frame": 9},
    ]
    write(root, V2_train__json=listed, vocab__json=DIVES)
    fill(root, "rgb/_8Vy_00000.mp4", "rgb/x_1.mp4")
    of = page("diving48", ("rgb/{id}.mp4",), {"train": "V2_train.json"}, labels=("vocab.json",))
    rows, report = build(root, DIVING, of)
    assert rows == [row("_8Vy_00000", "rgb/_8Vy_00000.mp4", "train", 2, DIVING[2], 0.0, 85.0)]
    assert [(note["class"], note["entry"]) for note in report["unknown_labels"]] == [("index 48", 2)]


def test_the_bytes_are_the_same_each_time(root):
    simple(root, *((f"v{i}", KINETICS[i % 4]) for i in range(50)))
    fill(root, *(f"train/v{i}.mp4" for i in range(0, 50, 3)))
    made = []
    for name in ("one", "two"):
        build_manifest(collection(KINETICS), kinetics(), root, root.parent / name)
        files = sorted((root.parent / name).iterdir())
        assert [file.name for file in files] == ["annotations.json", "manifest.parquet"]
        made.append([file.read_bytes() for file in files])
    assert made[0] == made[1]


# --- rows with something amiss


def test_labels_that_are_unknown_are_listed_as_text(root):
    markup = "<script>alert('x')</script>"
    simple(root, ("a", "abseiling"), ("b", markup), ("c", "Abseiling"), ("d", ""), ("e", "x" * 5000))
    fill(root, *(f"train/{letter}.mp4" for letter in "abcde"))
    rows, report = build(root, KINETICS, kinetics())
    assert len(rows) == 1 and report["splits"]["train"]["rejected"] == 4
    assert [note["class"] for note in report["unknown_labels"]] == [markup, "Abseiling", "", "x" * 200]
    rows, report = build(root, (*sorted([*KINETICS, markup]),), kinetics())
    assert markup in [found["class"] for found in rows]


def test_an_id_twice_in_a_split_counts_once(root):
    simple(root, ("a", "abseiling"), ("b", "abseiling"), ("a", "abseiling"), ("a", "person's head"))
    fill(root, "train/a.mp4", "train/b.mp4")
    rows, report = build(root, KINETICS, kinetics())
    assert [(found["id"][0], found["label"]) for found in rows] == [("a", 0), ("b", 0)]
    assert [(note["line"], note["reason"]) for note in report["duplicates"]] == [
        (4, "the id stands at 2 already, with the same class"),
        (5, "the id stands at 2 already, with another class, 'abseiling'"),
    ]
    assert report["splits"]["train"]["rejected"] == 2


def test_an_id_in_two_splits_and_a_file_of_two_videos_are_listed(root):
    head = "label,youtube_id,time_start,time_end\n"
    write(
        root,
        train__csv=head + "abseiling,a,0,10\nabseiling,b,0,10\nabseiling,b,20,30\n",
        val__csv=head + "abseiling,a,0,10\n",
    )
    fill(root, "a.mp4", "b.mp4")
    of = page("kinetics", ("{id}.mp4",), {"train": "train.csv", "val": "val.csv"})
    rows, report = build(root, KINETICS, of)
    assert len(rows) == 4
    assert [(note["split"], note["reason"]) for note in report["in_two_splits"]] == [
        ("val", "the id is in train as well")
    ]
    assert [(note["id"], note["reason"]) for note in report["shared_files"]] == [
        ("b_000020_000030", "another video has b.mp4 too"),
        ("a_000000_000010", "another video has a.mp4 too"),
    ]


def test_the_first_pattern_that_leads_to_a_file_is_taken(root):
    simple(root, ("a", "person's head"), ("b", "person's head"))
    fill(root, "2/a.mp4", "3/a.mp4", "3/b.mp4")
    rows, _ = build(root, KINETICS, kinetics("1/{id}.mp4", "2/{id}.mp4", "3/{id}.mp4"))
    assert [found["path"] for found in rows] == ["2/a.mp4", "3/b.mp4"]


# --- what a user is told


def problem(root, classes, of) -> str:
    with pytest.raises(UserError) as error:
        build(root, classes, of)
    assert not list(root.parent.glob("*-made/*"))
    return str(error.value)


def test_where_no_video_is_found_the_error_shows_what_is_there(root):
    simple(root, ("abc", "abseiling"))
    fill(root, "trian/abc.mp4", "val/x.mp4")
    message = problem(root, KINETICS, kinetics("train/{id}.mp4", "{id}.mp4"))
    assert message == (
        f"{root} holds none of the videos of small. There is nothing at train/abc.mp4 or abc.mp4, for "
        "example; the folder has train.csv, trian/, val/, but no train; nearest: trian."
    )
    shutil.move(root / "trian", root / "train")
    (root / "train/abc.mp4").rename(root / "train/abd.mp4")
    message = problem(root, KINETICS, kinetics("train/{id}.mp4"))
    assert "the folder train/ has abd.mp4, but no abc.mp4; nearest: abd.mp4." in message


def test_where_all_videos_lie_behind_a_link_the_error_says_so(root):
    simple(root, ("a", "abseiling"))
    fill(root.parent / "disk", "a.mp4")
    (root / "train").symlink_to(root.parent / "disk")
    assert "train is, or lies behind, a link that leads out" in problem(root, KINETICS, kinetics())


def test_where_all_rows_are_rejected_the_error_gives_the_first_reason(root):
    simple(root, ("a", "abseilen"))
    assert "'a_000000_000010', no class on the page's list" in problem(root, KINETICS, kinetics())


def test_missing_annotations_are_named_with_all_alternatives(root):
    fill(root, "a.csv")
    of = page("kinetics", ("{id}.mp4",), {"train": ("a/train.csv", "train.csv"), "val": "val.csv"})
    message = problem(root, KINETICS, of)
    assert message.splitlines() == [
        f"{root} lacks annotations of 'Small'; expected",
        "  train: a/train.csv or train.csv",
        "  val: val.csv",
    ]
    assert "is no folder" in problem(root / "more", KINETICS, of)


def test_counts_without_annotations_are_a_mistake_of_the_page(root):
    counts = {"train": Expected(videos=1), "val": Expected(videos=1)}
    message = problem(root, KINETICS, kinetics(splits=counts))
    assert "annotations for train, but counts for train, val" in message


def test_a_label_list_of_another_version_stops_everything(root):
    write(root, V2_train__json=[{"vid_name": "x", "label": 2}], vocab__json=DIVES[::-1])
    fill(root, "rgb/x.mp4")
    of = page("diving48", ("rgb/{id}.mp4",), {"train": "V2_train.json"}, labels=("vocab.json",))
    assert "label 0 is 'Forward_Dive_NoTwis_PIKE'" in problem(root, DIVING, of)


def test_an_annotation_that_breaks_off_leaves_nothing_behind(root):
    write(root, train__csv=HEADER + "abseiling,a,0,10,train,0\nabseiling,b,0\n")
    fill(root, "train/a.mp4")
    assert "train.csv, line 3: expected the 6 columns" in problem(root, KINETICS, kinetics())
