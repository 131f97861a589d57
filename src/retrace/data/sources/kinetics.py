"""Kinetics: one CSV a split with label, youtube_id, time_start, time_end, split, ...; times in seconds.

A video's id in the manifest is <youtube_id>_<start>_<end>, with six digits each, as in the publisher's file
names; {id} in a pattern is the youtube_id alone. There is no official list of labels: their order is the
alphabetical one.
"""

from collections.abc import Iterator
from pathlib import Path

from retrace.data.sources.entry import Entry
from retrace.data.sources.reading import given, number, rows, wrong
from retrace.plan.video import SplitName

_NEEDED = ("youtube_id", "time_start", "time_end")
_SPLITS: dict[str, SplitName] = {
    "train": "train",
    "val": "val",
    "validate": "val",
    "validation": "val",
    "test": "test",
}
"""The words of the column `split`; others, such as the name of a holdout, are let through."""


def entries(path: Path, split: SplitName, classes: tuple[str, ...]) -> Iterator[Entry]:
    """Yield the videos of one CSV file. Raises UserError at the first row that is none."""
    table = rows(path)
    header = _header(path, table, split)
    video, start, end = (header.index(name) for name in _NEEDED)
    label = header.index("label") if "label" in header else None
    part = header.index("split") if "split" in header else None
    for line, row in table:
        if len(row) != len(header):
            raise wrong(
                path, f"line {line}", f"expected the {len(header)} columns of the header, got {len(row)}"
            )
        if part is not None and _SPLITS.get(row[part], split) != split:
            raise wrong(path, f"line {line}", f"expected a video of {split}, the row says {given(row[part])}")
        begins = number(path, f"line {line}", "time_start", row[start])
        ends = number(path, f"line {line}", "time_end", row[end])
        if ends < begins:
            raise wrong(path, f"line {line}", f"time_end {ends:g} is before time_start {begins:g}")
        name = f"{row[video]}_{int(begins):06d}_{int(ends):06d}" if row[video] else ""
        known = None if label is None or (split == "test" and not row[label]) else row[label]
        yield Entry(name, row[video], known, begins, ends, line)


def _header(path: Path, table: Iterator[tuple[int, list[str]]], split: SplitName) -> list[str]:
    line, names = next(table, (1, []))
    names = [name.strip() for name in names]
    for needed in _NEEDED if split == "test" else ("label", *_NEEDED):
        if names.count(needed) != 1:
            found = given(", ".join(names)) if names else "an empty file"
            raise wrong(path, f"line {line}", f"expected a header with one column '{needed}', got {found}")
    return names
