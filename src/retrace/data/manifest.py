"""From official annotations to one manifest: which videos there are, what they show, where they lie."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from retrace.data.holdout import annotated, of_split
from retrace.data.paths import Pattern, Place, Tree, first_of, flaw, values
from retrace.data.sources.entry import Entry
from retrace.data.sources.read import check_labels, entries
from retrace.errors import UserError
from retrace.files import atomic
from retrace.plan.datasets import Expected, VideoDataset
from retrace.plan.video import Collection, Holdout, SplitName

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("path", pa.string()),
        ("split", pa.string()),
        ("label", pa.int32()),
        ("class", pa.string()),
        ("start", pa.float64()),
        ("end", pa.float64()),
    ]
)
"""One row a video. `path` is relative to the data's folder, null where no file was found; `label` and `class`
are null where the publisher keeps them back; `start` and `end` count what the annotation counts (Kinetics:
seconds of the original, Diving48: frames), null where it has none."""

SPLITS: tuple[SplitName, ...] = ("train", "val", "test")
REJECTING = ("rejected", "unknown_labels", "duplicates")
LISTS = (*REJECTING, "no_file", "in_two_splits", "shared_files")
"""What annotations.json lists row by row: what the manifest lacks, and what it has but is amiss."""

_BATCH = 1 << 16
_LONGEST = 200


@dataclass
class Counts:
    """What became of the rows of one split; `classes` counts the videos of each class in the manifest."""

    annotated: int = 0
    rejected: int = 0
    no_file: int = 0
    classes: Counter[str] = field(default_factory=Counter)


def build_manifest(collection: Collection, page: VideoDataset, root: Path, folder: Path) -> None:
    """Read the official annotations below `root`, look for the videos, and write into `folder`

    manifest.parquet   see SCHEMA: train, val, test, each in the order of its annotation; an id once in each
    annotations.json   counts against the page's, videos of each class, and every row with something amiss
                       (see LISTS): its file, its line or entry, and the reason

    Raises UserError where an annotation is missing or not what its format promises, where the publisher's
    list of labels is not the page's, and where not one of the videos is below `root`.
    """
    tree, holdout = Tree(root), collection.holdout
    files = _annotations(page, root)
    published = first_of(root, page.files.labels)
    check_labels(page.files.format, None if published is None else root / published, collection.classes)
    sieve = Sieve(collection.classes, tree, [Pattern(text) for text in page.files.videos], holdout)
    with atomic(folder / "manifest.parquet") as temporary:
        with pq.ParquetWriter(temporary, SCHEMA) as writer:
            for split, file in files.items():
                listed = entries(
                    page.files.format, root / file, annotated(split, holdout), collection.classes
                )
                rows = sieve.rows(split, file, of_split(listed, split, holdout, file))
                while batch := list(islice(rows, _BATCH)):
                    writer.write_table(_table(batch))
        if not sieve.paths:
            raise UserError(f"{root} holds none of the videos of {collection.dataset}. {sieve.nothing()}")
        head = {"dataset": collection.dataset, "version": collection.version, "labels": published}
        counts = {split: sieve.counts[split] for split in page.splits}
        write_report(folder, head, collection.classes, page.splits, counts, sieve.lists)


def read_manifest(path: Path) -> pa.Table:
    """Return a manifest, with the columns of SCHEMA. Raises UserError if it is missing or damaged."""
    try:
        table = pq.ParquetFile(path).read()  # not pq.read_table, which imports pandas
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}). Delete it and make it again.") from error
    if not table.schema.equals(SCHEMA):
        raise UserError(
            f"{path} has the columns {', '.join(table.schema.names)}; expected {', '.join(SCHEMA.names)}"
        )
    return table


def write_report(
    folder: Path,
    head: dict[str, Any],
    classes: tuple[str, ...],
    expected: dict[SplitName, Expected],
    counts: dict[SplitName, Counts],
    lists: dict[str, list[dict[str, Any]]],
) -> None:
    """Write annotations.json. What the collection lacks, `missing`, has no file or is rejected."""
    report = {
        **head,
        "splits": {split: _split(counts[split], expected[split]) for split in counts},
        "classes": {split: _classes(counts[split], classes) for split in counts},
        **lists,
    }
    with atomic(folder / "annotations.json") as temporary, temporary.open("w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)  # bit by bit: a million missing videos are a long list
        file.write("\n")


class Amiss(NamedTuple):
    """What is wrong with a row: one of LISTS, and the reason."""

    list: str
    reason: str


class Sieve:
    """Lets rows through to the manifest, and notes what is amiss."""

    def __init__(
        self, classes: tuple[str, ...], tree: Tree, patterns: list[Pattern], holdout: Holdout | None
    ) -> None:
        self.counts = {split: Counts() for split in SPLITS}
        self.lists: dict[str, list[dict[str, Any]]] = {name: [] for name in LISTS}
        self.paths: set[str] = set()
        self._indices = {name: index for index, name in enumerate(classes)}
        self._tree, self._patterns, self._holdout = tree, patterns, holdout
        self._seen: dict[SplitName, dict[str, tuple[int, str | None]]] = {split: {} for split in SPLITS}
        self._first_tried: list[str] = []

    def rows(self, split: SplitName, file: str, listed: Iterable[Entry]) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of SCHEMA for one split, of which `file` is the annotation."""
        counts = self.counts[split]
        for entry in listed:
            counts.annotated += 1
            found = self._refused(entry, split) or self._look(entry, split)
            path = None if isinstance(found, Amiss) else found
            if isinstance(found, Amiss):
                self._note(split, file, entry, found)
                if found.list in REJECTING:
                    counts.rejected += 1
                    continue
                counts.no_file += 1
            for amiss in self._repeated(entry, split, path):
                self._note(split, file, entry, amiss)
            if entry.label is not None:
                counts.classes[entry.label] += 1
            yield entry.id, path, split, self._indices.get(entry.label), entry.label, entry.start, entry.end

    def nothing(self) -> str:
        """Return what was looked for first, and what lies there instead."""
        if not self._first_tried:
            first = next((note for name in LISTS for note in self.lists[name]), None)
            return f"The first row: {first['id']!r}, {first['reason']}." if first else ""
        found = self._tree.describe(self._first_tried[0])
        return f"There is nothing at {_some(self._first_tried, 3)}, for example; {found}."

    def _refused(self, entry: Entry, split: SplitName) -> Amiss | None:
        if reason := flaw(entry.video):
            return Amiss("rejected", f"the id {reason}")
        if entry.label is not None and entry.label not in self._indices:
            return Amiss("unknown_labels", "no class on the page's list is called that")
        place, label = self._seen[split].setdefault(entry.id, (entry.place, entry.label))
        if place != entry.place:
            same = "the same class" if label == entry.label else f"another class, {label!r}"
            return Amiss("duplicates", f"the id stands at {place} already, with {same}")
        return None

    def _look(self, entry: Entry, split: SplitName) -> str | Amiss:
        """Return the path of a video by the first pattern that leads to it."""
        given, tried, refused = values(entry, annotated(split, self._holdout)), [], None
        for path in filter(None, (pattern.fill(given) for pattern in self._patterns)):
            reason = flaw(path)
            if reason is None:
                tried.append(path)
                place = self._tree.find(path)
                if place is Place.VIDEO:
                    return path
                reason = None if place is Place.NOTHING else place.value
            refused = refused or (reason and Amiss("rejected", f"{path[:_LONGEST]} {reason}"))
        self._first_tried = self._first_tried or tried
        return refused or Amiss("no_file", f"nothing at {_some(tried)}" if tried else "no pattern fits it")

    def _repeated(self, entry: Entry, split: SplitName, path: str | None) -> Iterator[Amiss]:
        for other in SPLITS:
            if other != split and entry.id in self._seen[other]:
                yield Amiss("in_two_splits", f"the id is in {other} as well")
        if path in self.paths:
            yield Amiss("shared_files", f"another video has {path} too")
        if path is not None:
            self.paths.add(path)

    def _note(self, split: SplitName, file: str, entry: Entry, amiss: Amiss) -> None:
        note = {"split": split, "id": entry.id[:_LONGEST], "class": entry.label and entry.label[:_LONGEST]}
        place = "entry" if file.endswith(".json") else "line"
        self.lists[amiss.list].append({**note, "file": file, place: entry.place, "reason": amiss.reason})


def _annotations(page: VideoDataset, root: Path) -> dict[SplitName, str]:
    """Return the annotation of each split, in the order of the splits; one held out has that of another."""
    alternatives = page.files.annotations
    if alternatives.keys() != page.annotated().keys():
        listed, counted = ", ".join(alternatives), ", ".join(page.annotated())
        raise UserError(f"'{page.title}' has annotations for {listed}, but counts for {counted}")
    found = {split: first_of(root, alternatives[split]) for split in SPLITS if split in alternatives}
    missing = [split for split, file in found.items() if file is None]
    if missing:
        expected = [f"  {split}: {' or '.join(alternatives[split])}" for split in missing]
        raise UserError("\n".join([f"{root} lacks annotations of '{page.title}'; expected", *expected]))
    return {split: found[annotated(split, page.holdout)] for split in SPLITS if split in page.splits}


def _some(tried: list[str], shown: int = 1) -> str:
    more = f" or {len(tried) - shown} other places" if len(tried) > shown else ""
    return " or ".join(tried[:shown]) + more


def _table(rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(values, kind.type) for values, kind in zip(columns, SCHEMA, strict=True)]
    return pa.table(arrays, schema=SCHEMA)


def _split(counts: Counts, expected: Expected) -> dict[str, int | None]:
    return {
        "annotated": counts.annotated,
        "kept": counts.annotated - counts.rejected,
        "no_file": counts.no_file,
        "rejected": counts.rejected,
        "missing": counts.no_file + counts.rejected,
        "expected": expected.videos,
        "published": expected.published,
    }


def _classes(counts: Counts, classes: tuple[str, ...]) -> dict[str, Any]:
    videos = {name: counts.classes[name] for name in classes}
    return {"fewest": min(videos.values()), "most": max(videos.values()), "videos": videos}
