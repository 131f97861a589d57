"""A small collection of real video files, prepared as a user's would be, for the tests of the video path."""

import csv
import hashlib
from pathlib import Path

import numpy as np
import yaml

from retrace.data.prepare import Preparation
from retrace.plan.library import Library
from videofiles import encode, pictures

CLASSES = ("crawling", "running", "walking")
FRAMES = 12
PAGE = {
    "kind": "videos",
    "title": "Tiny",
    "version": 1,
    "origin": "made up",
    "access": "made here",
    "licence": "none",
    "flip": "allow",
    "fps": 30,
    "views": [],
    "classes": {"file": "tiny.txt", "count": 3},
    "files": {
        "format": "kinetics",
        "annotations": {"train": ["train.csv"], "val": ["val.csv"]},
        "videos": ["{split}/{id}.mp4"],
    },
    "splits": {"train": {"videos": 9, "published": 10}, "val": {"videos": 3}},
    "store": {
        "short_side": 32,
        "codec": {"name": "h264", "crf": 18, "preset": "ultrafast", "keyframe_interval": 4},
    },
    "shards": 2,
}


def write_page(root: Path, name: str = "tiny", **changes: object) -> Path:
    """Write the page of a small dataset and its list of classes below `root`."""
    names = "".join(f"{name}\n" for name in CLASSES)
    page = (
        PAGE | {"classes": PAGE["classes"] | {"sha256": hashlib.sha256(names.encode()).hexdigest()}} | changes
    )
    (root / "datasets/classes").mkdir(parents=True, exist_ok=True)
    (root / "datasets/classes/tiny.txt").write_text(names)
    (root / f"datasets/{name}.yaml").write_text(yaml.safe_dump(page, sort_keys=False))
    return root


def video_id(index: int) -> str:
    return f"video-{index:06d}"  # eleven or so characters, as YouTube's


def write_videos(folder: Path, videos: int = 12) -> Path:
    """Write annotations and `videos` files in Kinetics' layout: every fourth for validation."""
    for split in ("train", "val"):
        mine = [index for index in range(videos) if (index % 4 == 3) == (split == "val")]
        (folder / split).mkdir(parents=True)
        with (folder / f"{split}.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["label", "youtube_id", "time_start", "time_end", "split"])
            for index in mine:
                table.writerow([CLASSES[index % 3], video_id(index), 0, 10, split])
                write_video(folder / split / f"{video_id(index)}.mp4", index)
    return folder


def write_video(path: Path, index: int) -> None:
    """Write a video with frames of its own: the same pictures, so much brighter."""
    clip = np.clip(pictures(FRAMES + index % 4, 56, 40).astype(int) + 4 * index, 0, 255).astype(np.uint8)
    encode(path, clip, "-c:v", "libx264", "-preset", "ultrafast", "-threads", "1")


def preparation(root: Path, folder: Path, max_missing: float = 0.0, name: str = "tiny") -> Preparation:
    """Return the preparation of the dataset `name` of the pages below `root`, from the videos in `folder`."""
    return Preparation(Library(root), name, {"tiny": str(folder)}, max_missing)


def prepare(root: Path, folder: Path, max_missing: float = 0.0) -> Preparation:
    """Take the small dataset all the way into the store."""
    steps = preparation(root, folder, max_missing)
    steps.manifest()
    for shard in range(steps.page.shards):
        steps.extract(shard)
    steps.audit()
    return steps
