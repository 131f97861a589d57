"""Five real videos, from files of four kinds to batches of clips; skipped where they are not at hand."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pages import ROOT
from retrace.data.decode import decode
from retrace.data.loader import Loader, Train, Videos
from retrace.plan.clip import flips
from store import CLASSES, PAGE, prepare, write_page
from test_loader import TRAIN, same
from videofiles import by_command_line, psnr

FOLDER = ROOT.parent / "shared/data/videos"
NAMES = ("arm_wrestling.mp4", "bikes.mp4", "carphone_pristine.mp4", "flipping_a_pancake.mkv", "test.avi")

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the five real videos are not at hand")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The five as a data set in Kinetics' format, in the papers' size: short side 256."""
    user, root = tmp_path_factory.mktemp("user"), tmp_path_factory.mktemp("root")
    (user / "train").mkdir()
    with (user / "train.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["label", "youtube_id", "time_start", "time_end", "split"])
        for index, name in enumerate(NAMES):
            shutil.copy(FOLDER / name, user / "train")
            table.writerow([CLASSES[index % 3], Path(name).stem, 0, 10, "train"])
    files = PAGE["files"] | {
        "annotations": {"train": ["train.csv"]},
        "videos": [f"{{split}}/{{id}}.{ending}" for ending in ("mp4", "mkv", "avi")],
    }
    store = {"short_side": 256, "codec": PAGE["store"]["codec"] | {"keyframe_interval": 12}}
    return prepare(write_page(root, files=files, splits={"train": {"videos": 5}}, store=store), user)


def test_the_five_are_stored_whole(prepared):
    rows = {row["id"]: row for row in pq.read_table(prepared.folder / "videos.parquet").to_pylist()}
    assert len(rows) == 5
    for name in NAMES:
        row = rows[f"{Path(name).stem}_000000_000010"]
        first = decode(FOLDER / name, [0])
        height, width = first.shape[1:3]
        assert row["frames"] == len(by_command_line(FOLDER / name, height, width))
        assert min(row["width"], row["height"]) == 256
        assert abs(row["width"] / row["height"] - width / height) < 0.01
        assert 10 < row["fps"] < 61


def test_the_loader_gives_the_same_clips_of_them_with_any_number_of_workers(prepared):
    videos = Videos(prepared.folder, "train", prepared.frames)
    big = TRAIN.model_copy(update={"side": 224})
    train = Train(videos, big, flips(CLASSES, "allow", ()), seed=1)
    alone = [*Loader(train, 0).epoch([np.arange(3), np.arange(3, 5)], 4)]
    assert same([*Loader(train, 2).epoch([np.arange(3), np.arange(3, 5)], 4)], alone)
    assert alone[0].x.shape == (3, 4, 3, 224, 224)
    assert all(float(batch.x.float().std()) > 20 for batch in alone)


def test_a_stored_frame_is_the_frame_of_the_original(prepared):
    videos = Videos(prepared.folder, "train", prepared.frames)
    for index, video in enumerate(videos.ids):
        name = next(name for name in NAMES if video.startswith(Path(name).stem))
        last = int(videos.n_frames_N[index]) - 1
        for frame in (0, last // 2, last):
            stored = decode(videos.path(index), [frame])[0]
            near = [decode(FOLDER / name, [other])[0] for other in (frame, max(frame - 9, 0))]
            scaled = [_scaled(picture, stored.shape) for picture in near]
            assert psnr(stored, scaled[0]) > 30
            assert psnr(stored, scaled[0]) >= psnr(stored, scaled[1])


def _scaled(picture_HWC: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    from PIL import Image

    size = (shape[1], shape[0])
    return np.asarray(
        Image.fromarray(np.ascontiguousarray(picture_HWC)).resize(size, Image.Resampling.BICUBIC)
    )
