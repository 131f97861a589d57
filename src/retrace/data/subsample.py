"""Some classes of another dataset, and some of their videos: the mini sets."""

import hashlib
import heapq
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from retrace.data.manifest import LISTS, REJECTING, Counts, read_manifest, write_report
from retrace.errors import UserError
from retrace.files import atomic, write_text
from retrace.plan.datasets import Expected
from retrace.plan.video import Collection, SplitName

Notes = dict[str, list[dict[str, Any]]]
"""What is amiss with single rows, by the lists of annotations.json."""


def subsample(collection: Collection, whole: Path, folder: Path, splits: dict[SplitName, Expected]) -> None:
    """Choose from the manifest `whole`, beside which its annotations.json lies, and write into `folder`

    manifest.parquet   the rows of the collection's classes, in the order of the whole, labels renumbered
    classes.txt        one class a line, in the order of the labels
    annotations.json   as the whole's, for these classes; `short` lists classes with fewer videos than wanted

    At most `per_class[split]` videos of a class are kept, see `draw`; those without a file are drawn like the
    others, so what one user's disk lacks never changes which videos the set has.

    Raises UserError where the whole cannot be read or has no video of these classes.
    """
    rows = _of_classes(read_manifest(whole), collection.classes, splits)
    if not rows.num_rows:
        raise UserError(f"{whole} has no video of any class of {collection.dataset}")
    drawn = _drawn(rows, collection)
    lists = _lists(whole.parent / "annotations.json", collection, splits, drawn)
    lists["short"] = _short(rows, collection, splits)
    counts = {split: _counts(drawn, lists, split) for split in splits}
    head = {"dataset": collection.dataset, "version": collection.version, "of": collection.footage.dataset}
    with atomic(folder / "manifest.parquet") as temporary:
        pq.write_table(drawn, temporary)
        write_text(folder / "classes.txt", "".join(f"{name}\n" for name in collection.classes))
        write_report(folder, head, collection.classes, splits, counts, lists)


def draw(ids: list[str], count: int, seed: int) -> set[str]:
    """Return `count` of the ids of one class, or all of them: the lowest by sha256 of "<seed> <id>".

    A draw depends neither on other classes nor on the order of the ids; an id less changes one of it at most.
    """

    def rank(video: str) -> bytes:
        return hashlib.sha256(f"{seed} {video}".encode()).digest()

    return set(heapq.nsmallest(count, ids, key=rank))


def _of_classes(rows: pa.Table, classes: tuple[str, ...], splits: dict[SplitName, Expected]) -> pa.Table:
    labels = pc.index_in(rows["class"], value_set=pa.array(classes, pa.string()))
    wanted = pc.is_in(rows["split"], value_set=pa.array(list(splits), pa.string()))
    rows = rows.set_column(rows.schema.get_field_index("label"), "label", labels)
    return rows.filter(pc.and_(pc.is_valid(labels), wanted))


def _drawn(rows: pa.Table, collection: Collection) -> pa.Table:
    if collection.per_class is None or collection.seed is None:
        return rows
    ids, groups = rows["id"].to_pylist(), defaultdict(list)
    for index, key in enumerate(zip(rows["split"].to_pylist(), rows["label"].to_pylist(), strict=True)):
        groups[key].append(index)
    kept = []
    for (split, _), members in groups.items():
        count = collection.per_class.get(split, len(members))
        chosen = draw([ids[index] for index in members], count, collection.seed)
        kept += [index for index in members if ids[index] in chosen]
    return rows.take(pa.array(sorted(kept), pa.int64()))


def _lists(path: Path, collection: Collection, splits: dict[SplitName, Expected], drawn: pa.Table) -> Notes:
    """Return the whole's notes on these classes; in a split that is drawn from, on the videos drawn."""
    caps, classes = collection.per_class or {}, set(collection.classes)
    ids = set(zip(drawn["split"].to_pylist(), drawn["id"].to_pylist(), strict=True))

    def ours(note: dict[str, Any]) -> bool:
        split = note["split"]
        return (
            split in splits and note["class"] in classes and (split not in caps or (split, note["id"]) in ids)
        )

    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
        return {name: [note for note in whole[name] if ours(note)] for name in LISTS}
    except (OSError, ValueError, LookupError, TypeError) as error:
        message = f"{path} cannot be read ({error}). Delete it and its manifest, and make them again."
        raise UserError(message) from error


def _short(rows: pa.Table, collection: Collection, splits: dict[SplitName, Expected]) -> list[dict[str, Any]]:
    found = Counter(zip(rows["split"].to_pylist(), rows["class"].to_pylist(), strict=True))
    caps = collection.per_class or {}
    return [
        {"split": split, "class": name, "videos": found[split, name], "wanted": caps.get(split, 1)}
        for split in splits
        for name in collection.classes
        if found[split, name] < caps.get(split, 1)
    ]


def _counts(drawn: pa.Table, lists: Notes, split: SplitName) -> Counts:
    rows = drawn.filter(pc.equal(drawn["split"], split))
    rejected = sum(note["split"] == split for name in REJECTING for note in lists[name])
    return Counts(
        annotated=rows.num_rows + rejected,
        rejected=rejected,
        no_file=rows["path"].null_count,
        classes=Counter(rows["class"].to_pylist()),
    )
