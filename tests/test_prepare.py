"""From a user's folder to stored frames: nothing is lost silently, and nothing that is done is done again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from pages import ENVIRONMENT
from retrace.data.decode import decode
from retrace.data.prepare import Preparation
from retrace.data.shards import stored_name
from retrace.doctor import examine_data
from retrace.errors import UserError
from retrace.plan.layout import collection_folder, frames_folder
from store import CLASSES, FRAMES, preparation, prepare, video_id, write_page, write_videos
from videofiles import RATE, numbers


@pytest.fixture(scope="module")
def user(tmp_path_factory) -> Path:
    """A folder of twelve videos in Kinetics' layout."""
    return write_videos(tmp_path_factory.mktemp("user"))


@pytest.fixture
def broken(user, tmp_path) -> Path:
    """The same folder with one video missing and one cut in the middle."""
    folder = tmp_path / "broken"
    subprocess.run(["cp", "-r", user, folder], check=True)
    (folder / f"train/{video_id(1)}.mp4").unlink()
    cut = folder / f"train/{video_id(2)}.mp4"
    cut.write_bytes(cut.read_bytes()[:-200])
    return folder


def stored(steps: Preparation) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(steps.frames.rglob("*.mp4"))}


def told(steps: Preparation) -> dict:
    return json.loads((steps.folder / "audit.json").read_text())


def test_every_video_is_stored_and_counted(user, tmp_path):
    steps = prepare(write_page(tmp_path), user)
    rows = pq.read_table(steps.folder / "videos.parquet").to_pylist()
    assert [row["id"] for row in rows] == pq.read_table(steps.folder / "manifest.parquet")["id"].to_pylist()
    for row in rows:
        index = int(row["id"].split("-")[1].split("_")[0])
        assert (row["class"], row["label"]) == (CLASSES[index % 3], index % 3)
        assert (row["frames"], row["fps"], row["height"]) == (FRAMES + index % 4, RATE, 32)
        clip = decode(steps.frames / row["file"], range(row["frames"]))
        assert numbers(clip) == list(range(row["frames"]))
    found = told(steps)
    assert found["splits"]["train"] == {
        "expected": 9,
        "published": 10,
        "annotated": 9,
        "rejected": 0,
        "lost": 0,
        "kept": 9,
        "coverage": 1.0,
        "fewest_in_a_class": 3,
        "most_in_a_class": 3,
        "classes": 3,
    }
    assert found["bytes"] == sum(map(len, stored(steps).values()))
    with Image.open(steps.folder / "contact-sheet.png") as sheet:
        assert sheet.width > 300 and sheet.height > 6 * 72  # three classes, a video of each split


@pytest.mark.parametrize("shards", [1, 5, 20])
def test_the_number_of_shards_changes_no_byte(user, tmp_path, shards):
    two = prepare(write_page(tmp_path / "two"), user)
    other = prepare(write_page(tmp_path / "other", shards=shards), user)
    assert stored(other) == stored(two)
    for name in ("videos.parquet", "audit.json", "contact-sheet.png"):
        assert (other.folder / name).read_bytes() == (two.folder / name).read_bytes()


def test_losses_stop_the_preparation_with_their_list(broken, tmp_path):
    steps = preparation(write_page(tmp_path), broken)
    steps.manifest()
    with pytest.raises(UserError, match=r"1 of 12 videos are missing or broken.*max_missing = 0") as stopped:
        for shard in (0, 1):
            steps.extract(shard)
    assert "config.yaml" in str(stopped.value)
    assert not list(steps.folder.glob("shards/*"))


def test_losses_within_the_allowance_are_listed_with_their_reasons(broken, tmp_path):
    steps = prepare(write_page(tmp_path), broken, max_missing=0.2)
    lost = {loss["id"].split("_")[0]: loss["reason"] for loss in told(steps)["lost"]}
    assert lost.keys() == {video_id(1), video_id(2)}
    assert "no file" in lost[video_id(1)]
    assert told(steps)["splits"]["train"]["kept"] == 7
    assert len(stored(steps)) == pq.read_metadata(steps.folder / "videos.parquet").num_rows == 10


def test_losses_of_single_shards_add_up(broken, tmp_path):
    steps = preparation(write_page(tmp_path), broken, max_missing=0.1)  # one is allowed, two are lost
    steps.manifest()
    steps.extract(0)
    steps.extract(1)
    with pytest.raises(UserError, match="2 of 12 videos are missing or broken"):
        steps.audit()


def test_a_mended_video_is_all_that_is_made_again(broken, user, tmp_path):
    steps = prepare(write_page(tmp_path), broken, max_missing=0.2)
    before = {path: path.stat().st_mtime_ns for path in steps.frames.rglob("*.mp4")}
    mended = prepare(tmp_path, user)
    after = {path: path.stat().st_mtime_ns for path in mended.frames.rglob("*.mp4")}
    assert len(after) == 12
    assert before.items() <= after.items()


def test_a_mini_set_shares_the_frames_of_its_whole(user, tmp_path):
    root = write_page(tmp_path)
    mini = {
        "kind": "subset",
        "title": "Mini",
        "version": 1,
        "origin": "drawn",
        "access": "as the whole",
        "licence": "none",
        "of": "tiny",
        "classes": 2,
        "seed": 3,
        "splits": {"train": {"videos": 6}, "val": {"videos": 2}},
        "shards": 1,
    }
    (root / "datasets/mini.yaml").write_text(json.dumps(mini))
    whole = prepare(root, user)
    before = {path: path.stat().st_mtime_ns for path in whole.frames.rglob("*.mp4")}
    steps = preparation(root, user, name="mini")
    steps.subsample()
    steps.extract(0)
    steps.audit()
    rows = pq.read_table(steps.folder / "videos.parquet")
    assert {path: path.stat().st_mtime_ns for path in steps.frames.rglob("*.mp4")} == before
    assert rows.num_rows == 8 and set(rows["label"].to_pylist()) == {0, 1}
    assert frames_folder(steps.collection.footage) == frames_folder(whole.collection.footage)
    assert collection_folder(steps.collection) != collection_folder(whole.collection)


def test_a_killed_extraction_goes_on_and_ends_with_the_same_bytes(tmp_path):
    user = write_videos(tmp_path / "user", 24)
    whole = prepare(write_page(tmp_path / "whole", shards=1), user)
    root = write_page(tmp_path / "killed", shards=1)
    (root / "config.yaml").write_text(
        f"scale: demo\nmnist: x\nmax_missing: 0\ndata: {{tiny: {json.dumps(str(user))}}}\n"
    )
    steps = preparation(root, user)
    steps.manifest()
    kills, seen = 0, {}
    while not (steps.folder / "shards/0000.parquet").exists():
        worker = subprocess.Popen(
            [sys.executable, "-m", "retrace", "extract", "tiny", "0"],
            cwd=root,
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        done = len(seen)
        while worker.poll() is None and len(seen) < done + 6:
            time.sleep(0.002)
            seen = {path: path.stat().st_mtime_ns for path in steps.frames.glob("*/[!.]*.mp4")}
        if worker.poll() is None and kills < 3:
            os.kill(worker.pid, signal.SIGKILL)
            kills += 1
        worker.wait()
        now = {path: path.stat().st_mtime_ns for path in steps.frames.glob("*/[!.]*.mp4")}
        assert seen.items() <= now.items(), "a finished video was made again"
        seen = now
    steps.audit()
    assert kills, "it was over before it could be killed"
    assert {path.name: path.read_bytes() for path in seen} == stored(whole)
    assert (steps.folder / "videos.parquet").read_bytes() == (whole.folder / "videos.parquet").read_bytes()


def test_what_a_killed_job_left_is_swept_unless_it_is_young(user, tmp_path):
    steps = preparation(write_page(tmp_path), user)
    steps.manifest()
    place = steps.frames / stored_name("train", f"{video_id(0)}_000000_000010")
    place.parent.mkdir(parents=True)
    old, young = (place.with_name(f".{place.stem}-{name}.mp4") for name in ("old", "young"))
    for path in (old, young):
        path.touch()
    os.utime(old, (0, 0))
    steps.extract(0)
    assert young.exists() and not old.exists() and place.exists()


def test_stored_names_stay_inside_and_apart():
    ids = ["a", "A", "../../x", "/etc/passwd", "a/b", "a_b", "x" * 5000, "ü", "", "a\0b", ".."]
    names = [stored_name(split, video) for video in ids for split in ("train", "val")]
    assert len({name.lower() for name in names}) == len(names)
    for name in names:
        folder, file = name.split("/")
        assert len(folder) == 2 and file.isascii() and file.endswith(".mp4") and len(file) < 100


def test_the_doctor_says_what_is_missing_and_where_to_put_it(user, broken, tmp_path):
    root = write_page(tmp_path / "root")
    said = examine_data(preparation(root, user))
    assert all(line.startswith("ok") for line in said.splitlines())
    assert "train: 9 of 9 annotated videos are there" in said
    said = examine_data(preparation(root, broken))
    assert "missing  train: 8 of 9 annotated videos are there" in said
    assert f"no file: {video_id(1)}" in said and f"train/{video_id(1)}.mp4" in said
    (broken / "val.csv").unlink()
    said = examine_data(preparation(root, broken))
    assert said.startswith("missing") and "val.csv" in said and "{split}/{id}.mp4" in said
    unknown = Preparation(preparation(root, user).library, "tiny", {}, 0)
    said = examine_data(unknown)
    assert said.startswith("missing  config.yaml: data: does not say where the videos of tiny are")
    nowhere = preparation(root, tmp_path / "nowhere")
    assert examine_data(nowhere).startswith(f"missing  config.yaml: data.tiny: there is no folder {tmp_path}")


def test_an_unknown_dataset_or_shard_is_one_clear_message(user, tmp_path):
    root = write_page(tmp_path)
    with pytest.raises(UserError, match="no dataset of videos 'tinny'; did you mean 'tiny'"):
        preparation(root, user, name="tinny")
    with pytest.raises(UserError, match="tiny is a whole: `retrace manifest tiny`"):
        preparation(root, user).subsample()
    with pytest.raises(UserError, match="has the shards 0 to 1, not 2"):
        preparation(root, user).extract(2)
