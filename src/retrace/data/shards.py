"""Extraction in shards: a fixed number of jobs a dataset, whatever its number of videos.

Stored frames are no declared outputs of a rule: a killed job leaves every finished video, and the next
one goes on from there.
"""

import hashlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from retrace.data.decode import BrokenVideo
from retrace.data.extract import Extracted, extract, facts
from retrace.data.paths import inside
from retrace.data.progress import with_progress
from retrace.errors import UserError
from retrace.files import atomic
from retrace.plan.video import Store

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("split", pa.string()),
        ("label", pa.int32()),
        ("class", pa.string()),
        ("file", pa.string()),
        ("frames", pa.int32()),
        ("fps", pa.float64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("bytes", pa.int64()),
        ("reason", pa.string()),
    ]
)
"""One row a video. `file` is relative to the folder of frames; `reason` says why there is none."""

_LEFT_S = 3600
"""Seconds after which a half-written file is taken for one of a killed job."""

_NAMED = 10
"""Failures that an error names; the log names all."""


class Allowance:
    """How many videos of a collection may be missing or broken before its preparation stops."""

    def __init__(self, videos: int, share: float) -> None:
        self.videos, self.share = videos, share

    def check(self, failures: list[tuple[str, str]], more: int = 0) -> None:
        """Raise UserError if `failures` (id, reason) and `more` that are not named are too many."""
        lost = len(failures) + more
        if lost <= self.share * self.videos:
            return
        listed = [f"  {video}: {reason}" for video, reason in failures[:_NAMED]]
        if lost > len(listed):
            listed.append(f"  and {lost - len(listed)} more")
        raise UserError(
            f"{lost} of {self.videos} videos are missing or broken, which is more than max_missing = "
            f"{self.share} allows:\n"
            + "\n".join(listed)
            + "\nMend them and start again (finished videos stay), "
            "or raise max_missing in config.yaml: what is lost is told with every number that rests on it."
        )


def extract_shard(
    manifest: Path,
    shard: int,
    shards: int,
    *,
    root: Path,
    frames: Path,
    store: Store,
    fps: float,
    share: float,
) -> list[dict[str, Any]]:
    """Store the frames of every video of one shard below `frames` and return its rows (see SCHEMA).

    Video number i of the manifest belongs to shard i % shards. `root` is the folder of the originals, `fps`
    the rate of those that do not state one. Raises UserError as soon as this shard alone has more missing
    or broken videos than `share` of the whole collection; every failure stands on stderr.
    """
    videos = read_rows(manifest)
    allowance = Allowance(videos.num_rows, share)
    mine = videos.take(pa.array(range(shard, videos.num_rows, shards), pa.int64())).to_pylist()
    rows, failures = [], []
    for video in with_progress(mine, f"shard {shard} of {shards}"):
        row = {key: video[key] for key in ("id", "split", "label", "class")}
        try:
            row |= _stored(video, root, frames, store, fps)
        except BrokenVideo as broken:
            row["reason"] = broken.reason
            failures.append((video["id"], broken.reason))
            print(f"lost {video['id']}: {broken.reason}", flush=True)
            allowance.check(failures)
        rows.append(row)
    return rows


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows of SCHEMA as parquet."""
    with atomic(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), temporary)


def read_rows(path: Path) -> pa.Table:
    """Read a parquet file. Raises UserError if it is missing or damaged."""
    try:
        return pq.ParquetFile(path).read()  # not pq.read_table, which imports pandas
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}). Delete it and make it again.") from error


def stored_name(split: str, video: str) -> str:
    """Return where the frames of the video with this id lie in a folder of frames.

    Safe whatever the id: distinct videos never share a name, not even where case does not count.
    """
    digest = hashlib.sha256(f"{split}/{video}".encode()).hexdigest()
    readable = re.sub(r"[^A-Za-z0-9_-]", "_", video)[-60:]
    return f"{digest[:2]}/{readable}-{digest[:12]}.mp4"


def _stored(video: dict[str, Any], root: Path, frames: Path, store: Store, fps: float) -> dict[str, Any]:
    name = stored_name(video["split"], video["id"])
    target = frames / name
    if not target.exists():
        if video["path"] is None:
            raise BrokenVideo(root, "no file was found for it")
        _sweep(target)
        extract(inside(root, video["path"]), target, store, fps)
    return {"file": name, **_columns(facts(target), target)}


def _sweep(target: Path) -> None:
    """Remove what a killed job left of this file; a young one may belong to a job that is at work."""
    for left in target.parent.glob(f".{target.stem}-*{target.suffix}"):
        if time.time() - left.stat().st_mtime > _LEFT_S:
            left.unlink(missing_ok=True)


def _columns(found: Extracted, target: Path) -> dict[str, Any]:
    return {
        "frames": found.frames,
        "fps": found.fps,
        "width": found.width,
        "height": found.height,
        "bytes": target.stat().st_size,
    }


def lost(rows: pa.Table) -> Iterator[tuple[str, str]]:
    """Yield id and reason of every row without stored frames."""
    for video, reason in zip(rows["id"].to_pylist(), rows["reason"].to_pylist(), strict=True):
        if reason is not None:
            yield video, reason
