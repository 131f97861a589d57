"""The audit of a collection: what is there against what was promised, and what it looks like."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import av
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from retrace.data.contact_sheet import contact_sheet
from retrace.data.shards import Allowance, lost, read_rows
from retrace.files import atomic, write_text
from retrace.plan.datasets import Expected
from retrace.plan.video import Collection


def audit(
    collection: Collection,
    splits: dict[str, Expected],
    shards: list[Path],
    *,
    folder: Path,
    frames: Path,
    share: float,
    composed: dict[str, Any] | None = None,
) -> None:
    """Gather the reports of all shards into `folder`.

    videos.parquet     one row a stored video, in the order of the manifest: what the loader reads
    audit.json         counts against the page's, coverage, sizes, the encoder, every loss with its reason
    contact-sheet.png  some videos of some classes

    `composed` is what is to be told besides of videos that were composed here.

    Raises UserError where more than `share` of the videos were lost on the way, with the list.
    """
    rows = _in_order(folder / "manifest.parquet", [read_rows(shard) for shard in shards])
    annotated = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    rejected = sum(split["rejected"] for split in annotated["splits"].values())
    failures = list(lost(rows))
    Allowance(rows.num_rows + rejected, share).check(failures, more=rejected)
    stored = rows.filter(pc.is_null(rows["reason"]))
    with atomic(folder / "videos.parquet") as temporary:
        pq.write_table(stored.drop_columns(["reason"]), temporary)
        digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
    found = {
        "dataset": collection.dataset,
        "version": collection.version,
        "splits": {name: _split(rows, name, splits[name], annotated["splits"][name]) for name in splits},
        "classes": {"count": len(collection.classes), "sha256": _list_digest(collection.classes)},
        "frames": _spread(stored["frames"]),
        "fps": _spread(stored["fps"]),
        "bytes": pc.sum(stored["bytes"]).as_py() or 0,
        "store": collection.footage.store.model_dump(mode="json"),
        "encoder": {
            "pyav": av.__version__,
            **{k: ".".join(map(str, v)) for k, v in av.library_versions.items()},
        },
        "videos_sha256": digest,
        "lost": [{"id": video, "reason": reason} for video, reason in failures],
    }
    if composed is not None:
        found["composed"] = composed
    write_text(folder / "audit.json", json.dumps(found, indent=2) + "\n")
    with atomic(folder / "contact-sheet.png") as temporary:
        contact_sheet(temporary, stored.to_pylist(), collection.classes, frames)


def _in_order(manifest: Path, shards: list[pa.Table]) -> pa.Table:
    """Return the rows of all shards in the order of the manifest: they were dealt out in turn."""
    rows = pa.concat_tables(shards)
    starts = [0, *pc.cumulative_sum(pa.array([len(shard) for shard in shards])).to_pylist()]
    order = [starts[i % len(shards)] + i // len(shards) for i in range(rows.num_rows)]
    rows = rows.take(pa.array(order, pa.int64()))
    assert rows["id"].equals(read_rows(manifest)["id"]), f"the shards beside {manifest} are not of it"
    return rows


def _split(rows: pa.Table, name: str, expected: Expected, annotated: dict[str, Any]) -> dict[str, Any]:
    mine = rows.filter(pc.equal(rows["split"], name))
    kept = mine.filter(pc.is_null(mine["reason"]))
    classes = Counter(kept["class"].to_pylist())
    return {
        "expected": expected.videos,
        "published": expected.published,
        "annotated": annotated["annotated"],
        "rejected": annotated["rejected"],
        "lost": mine.num_rows - kept.num_rows,
        "kept": kept.num_rows,
        "coverage": kept.num_rows / expected.videos,
        "fewest_in_a_class": min(classes.values(), default=0),
        "most_in_a_class": max(classes.values(), default=0),
        "classes": len(classes),
    }


def _spread(values: pa.ChunkedArray) -> dict[str, float | None]:
    low_high = pc.min_max(values)
    median = pc.quantile(values, 0.5)[0] if len(values) else pa.scalar(None)
    return {"min": low_high["min"].as_py(), "median": median.as_py(), "max": low_high["max"].as_py()}


def _list_digest(classes: tuple[str, ...]) -> str:
    return hashlib.sha256("".join(f"{name}\n" for name in classes).encode()).hexdigest()
