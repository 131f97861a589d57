"""Untrusted ids and paths: nothing leaves the data's folder, and what is found is what a plain walk finds."""

import itertools
import json
import os
import random
from pathlib import Path

import pytest

from official import KINETICS, build, fill, kinetics, page, simple, write
from retrace.data.paths import Pattern, Place, Tree, flaw, inside, values
from retrace.data.sources.entry import Entry
from retrace.errors import UserError


@pytest.fixture
def root(tmp_path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    return folder


HOSTILE = {
    "../../x": "holds '..' as the name",
    "..": "holds '..' as the name",
    "a/../../x": "holds '..' as the name",
    "./x": "holds '.' as the name",
    "a//x": "holds '' as the name",
    "a/": "holds '' as the name",
    "/etc/passwd": "is an absolute path",
    "//host/share": "is an absolute path",
    "C:\\x": "holds a backslash",
    "..\\..\\x": "holds a backslash",
    "x\0.mp4": "cannot be printed",
    "x\x1b[2J": "cannot be printed",
    "x\ty": "cannot be printed",
    "x\u202egpj": "cannot be printed",
    "": "is empty",
    "x" * 256: "a name that is too long",
    "é" * 128: "a name that is too long",
    "x/" * 600 + "x": "is too long",
    "x/" * 40 + "x": "is too long",
}


@pytest.mark.parametrize("video,told", HOSTILE.items(), ids=range(len(HOSTILE)))
def test_an_id_that_is_no_name_gets_no_path_and_is_listed(root, video, told):
    simple(root, ("good", "abseiling"), (video, "abseiling"))
    fill(root, "train/good.mp4", "x.mp4")
    rows, report = build(root, KINETICS, kinetics("train/{id}.mp4", "{id}.mp4"))
    assert [found["id"] for found in rows] == ["good_000000_000010"]
    (note,) = report["rejected"]
    assert told in note["reason"] and note["line"] == 3 and len(json.dumps(note)) < 1500
    assert report["splits"]["train"]["rejected"] == report["splits"]["train"]["missing"] == 1


def test_an_id_without_flaw_in_a_path_with_one_gets_no_path(root):
    simple(root, ("good", "abseiling"), ("x" * 252, "abseiling"), ("x", ".."))
    fill(root, "abseiling/good.mp4", "../x.mp4")
    rows, report = build(root, ("..", "abseiling"), kinetics("{class}/{id}.mp4"))
    assert [found["id"] for found in rows] == ["good_000000_000010"]
    assert [note["reason"] for note in report["rejected"]] == [
        f"abseiling/{'x' * 190} holds a name that is too long",
        "../x.mp4 holds '..' as the name of a folder or file",
    ]


def test_half_a_character_in_a_json_id_is_listed(root):
    write(root, a__json='[{"id": "\\ud800", "template": "Closing"}, {"id": "b", "template": "Closing"}]')
    fill(root, "b.mp4")
    rows, report = build(root, ("Closing",), page("something-v2", ("{id}.mp4",), {"train": "a.json"}))
    assert len(rows) == 1 and "cannot be printed" in report["rejected"][0]["reason"]


def test_no_text_without_flaw_leaves_the_folder():
    """Every text of up to six of these pieces that passes resolves to a place below the root."""
    pieces = ["..", ".", "/", "a", "\\", "\0"]
    root = Path("/somewhere/deep")
    passed = 0
    for length in range(1, 7):
        for parts in itertools.product(pieces, repeat=length):
            text = "".join(parts)
            if flaw(text) is None:
                passed += 1
                assert os.path.normpath(root / text).startswith("/somewhere/deep/")
    assert passed > 100


def test_links_are_followed_inside_the_folder_only(root):
    outside = root.parent / "outside"
    fill(outside, "e.mp4", "f.mp4", "train/h.mp4")
    fill(root, "train/a.mp4", "real/b.mp4", "real/c.mp4")
    (root / "train/b.mp4").symlink_to(root / "real/b.mp4")
    (root / "linked").symlink_to("real")
    (root / "train/e.mp4").symlink_to(outside / "e.mp4")
    (root / "away").symlink_to(outside)
    (root / "train/g.mp4").symlink_to("nowhere")
    (root / "train/i.mp4").symlink_to("i.mp4")
    os.mkfifo(root / "train/j.mp4")
    simple(root, *((letter, "abseiling") for letter in "abcefghij"))
    of = kinetics("train/{id}.mp4", "linked/{id}.mp4", "away/{id}.mp4", "away/train/{id}.mp4")
    rows, report = build(root, KINETICS, of)
    assert [found["path"] for found in rows] == ["train/a.mp4", "train/b.mp4", "linked/c.mp4"]
    assert {note["id"][0]: note["reason"] for note in report["rejected"]} == {
        "e": "train/e.mp4 is, or lies behind, a link that leads out of the data's folder",
        "f": "away/f.mp4 is, or lies behind, a link that leads out of the data's folder",
        "g": "train/g.mp4 is no file and no folder",
        "h": "away/h.mp4 is, or lies behind, a link that leads out of the data's folder",
        "i": "train/i.mp4 is no file and no folder",
        "j": "train/j.mp4 is no file and no folder",
    }


def test_what_a_manifest_says_is_looked_at_again_before_it_is_opened(root):
    fill(root, "train/a.mp4")
    fill(root.parent, "outside.mp4")
    (root / "link.mp4").symlink_to(root.parent / "outside.mp4")
    (root.parent / "videos-2").mkdir()
    (root / "sibling").symlink_to(root.parent / "videos-2")
    assert inside(root, "train/a.mp4") == root / "train/a.mp4"
    for path in ("../outside.mp4", "/etc/passwd", "link.mp4", "sibling/x.mp4", "a\\b", ""):
        with pytest.raises(UserError, match="is no place below"):
            inside(root, path)


def test_braces_in_an_id_are_letters(root):
    simple(root, ("{class.__class__}", "abseiling"), ("{0}", "abseiling"))
    fill(root, "train/{class.__class__}.mp4")
    rows, _ = build(root, KINETICS, kinetics())
    assert [found["path"] for found in rows] == ["train/{class.__class__}.mp4", None]


@pytest.mark.parametrize(
    "pattern,told",
    [
        ("{id}/{clas}.mp4", "unknown field {clas}; did you mean 'class'?"),
        ("{id.__class__}", "unknown field {id.__class__}"),
        ("{id[0]}", "unknown field {id[0]}"),
        ("{}", "unknown field {}"),
        ("{0}", "unknown field {0}"),
        ("{id!r}", "formats {id}"),
        ("{id:>300}", "formats {id}"),
        ("{id}{start:{end}}", "formats {start}"),
        ("{id}{start:999999999d}", "formats {start}"),
        ("{id", "cannot be read"),
        ("id}", "cannot be read"),
        ("videos/a.mp4", "lacks {id}"),
        ("/data/{id}.mp4", "is an absolute path"),
        ("../{id}.mp4", "holds '..'"),
    ],
)
def test_a_pattern_that_asks_for_anything_else_is_refused(pattern, told):
    with pytest.raises(UserError) as error:
        Pattern(pattern)
    assert told in str(error.value)


def test_a_pattern_is_filled_in_like_a_format():
    entry = Entry("y_7_17", "y", "air drumming", 7.0, 17.9, 1)
    filled = Pattern("{split}/{class}/{class_}/{id}_{start:06d}_{end}.mp4").fill(values(entry, "val"))
    assert filled == "val/air drumming/air_drumming/y_000007_17.mp4"
    assert Pattern("{class}/{id}").fill(values(entry._replace(label=None), "test")) is None
    assert Pattern("{id}_{start:06d}").fill(values(entry._replace(start=None), "test")) is None


def test_a_hundred_thousand_rows_match_a_plain_walk(root):
    """Paths of four folders, a tenth of them missing: the found ones are those that os.walk lists."""
    draw, names = random.Random(5), [f"class {index}" for index in range(4)]
    rows = [(f"v{index:06d}", draw.choice(names)) for index in range(100_000)]
    simple(root, *rows)
    present = draw.sample(rows, 900)
    fill(root, *(f"train/{label}/{video}.mp4" for video, label in present))
    fill(root, *(f"train/{draw.choice(names)}/{video}.mp4" for video, _ in draw.sample(rows, 300)))
    made, report = build(root, names, kinetics("{split}/{class}/{id}.mp4"))
    walked = {
        (Path(folder) / name).relative_to(root).as_posix()
        for folder, _, files in os.walk(root)
        for name in files
    }
    wanted = [f"train/{label}/{video}.mp4" for video, label in rows]
    assert [found["path"] for found in made] == [path if path in walked else None for path in wanted]
    assert report["splits"]["train"]["no_file"] == sum(path not in walked for path in wanted)
    assert sum(report["classes"]["train"]["videos"].values()) == len(rows) == len(made)


def test_a_folder_is_listed_once_and_a_folder_of_frames_never(root, monkeypatch):
    fill(root, *(f"frames/{index}/" for index in range(20)))
    listed, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(Path(path)) or scandir(path))
    tree = Tree(root)
    assert {tree.find(f"frames/{index}") for index in range(20)} == {Place.VIDEO}
    assert tree.find("frames/20") is tree.find("none/1") is tree.find("none/2/3") is Place.NOTHING
    assert listed == [root, root / "frames"]
