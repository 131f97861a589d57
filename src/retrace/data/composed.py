"""Videos composed of another dataset's: whose they are, their annotation, what became of their frames.

No torch here: `retrace.segment` makes them.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from retrace.data.manifest import read_manifest
from retrace.data.shards import read_rows
from retrace.data.sources.entry import Entry
from retrace.errors import UserError
from retrace.files import write_text
from retrace.plan.datasets import VideoDataset
from retrace.plan.video import Collection, SplitName

Video = dict[str, Any]
"""A row of the source's manifest, and the number of `frames` of its video."""


def frames_folder(name: str, folders: Mapping[str, str]) -> Path:
    """Return the user's folder of labelled frames. Raises UserError if nobody has said where it is."""
    if name not in folders:
        raise UserError(
            f"config.yaml: data: does not say where the frames of {name} are; add a line '{name}: /folder'. "
            f"`retrace doctor data {name}` says what belongs there."
        )
    return Path(folders[name])


def source_videos(folder: Path, split: str) -> list[Video]:
    """Return the videos of a split that the source has stored, in the order of its manifest.

    `folder` is that of the source's collection. What is lost there is no part of what is made of it.
    Raises UserError where its files are missing or damaged.
    """
    stored = read_rows(folder / "videos.parquet")
    stored = stored.filter(pc.equal(stored["split"], split))
    frames = dict(zip(stored["id"].to_pylist(), stored["frames"].to_pylist(), strict=True))
    rows = read_manifest(folder / "manifest.parquet").to_pylist()
    return [
        {**row, "frames": frames[row["id"]]} for row in rows if row["split"] == split and row["id"] in frames
    ]


def of_shard(videos: list[Video], shard: int, shards: int) -> list[Video]:
    """Return the videos of one shard, dealt out in turn. Raises UserError if there is no such shard."""
    if not 0 <= shard < shards:
        raise UserError(f"there are the shards 0 to {shards - 1}, not {shard}")
    return videos[shard::shards]


def entry(video: Video, frames: int) -> Entry:
    """Return how the annotation of composed videos, of so many frames each, lists one."""
    return Entry(video["id"], video["id"], video["class"], 0, frames, 0)


def write_annotations(
    page: VideoDataset, source: Path, split: SplitName, frames: int, collection: Collection, folder: Path
) -> None:
    """Write the annotation and the list of labels of composed videos into `folder`, in Diving48's format.

    All videos of the split in the manifest beside `source` are in it, those lost on the way too.
    """
    rows = read_manifest(source / "manifest.parquet").to_pylist()
    entries = [(row["label"], entry(row, frames)) for row in rows if row["split"] == split]
    listed = [
        {"vid_name": one.id, "label": label, "start_frame": one.start, "end_frame": one.end}
        for label, one in entries
    ]
    write_text(folder / page.files.annotations[split][0], json.dumps(listed, indent=1) + "\n")
    if page.files.labels:
        names = [name.split("_") for name in collection.classes]
        write_text(folder / page.files.labels[0], json.dumps(names, indent=1) + "\n")


def summary(reports: list[Path]) -> dict[str, Any]:
    """Return what the reports of all shards say together: frames, and the share with nothing found.

    `known`, where the divers of the source are known, is about the frames with one: the share in which
    nothing was found, the mean IoU of region and divers, the mean share of the divers that the region covers.
    """
    rows = [row for report in reports for row in json.loads(report.read_text(encoding="utf-8"))]
    frames = sum(row["frames"] for row in rows)
    found = {"frames": frames, "nothing_found": sum(row["empty"] for row in rows) / frames}
    known = [row["known"] for row in rows if row["known"] and row["known"]["with_diver"]]
    if not known:
        return found
    seen = sum(one["with_diver"] for one in known)
    means = {name: sum(one[name] * one["with_diver"] for one in known) / seen for name in ("iou", "covered")}
    return found | {
        "known": {
            "frames_with_diver": seen,
            "nothing_found": sum(one["missed"] for one in known) / seen,
            **means,
        }
    }
