"""Moments in Time: one CSV a split without header, "class/file.mp4,class,agree,disagree".

moments_categories.txt has the lines "class,index". A video's id is its path without the extension.
"""

from collections.abc import Iterator
from pathlib import Path

from retrace.data.sources.entry import Entry
from retrace.data.sources.reading import in_order, number, rows, wrong
from retrace.plan.video import SplitName

_COLUMNS = ("file", "class", "agree", "disagree")


def entries(path: Path, split: SplitName, classes: tuple[str, ...]) -> Iterator[Entry]:
    """Yield the videos of one CSV file. Raises UserError at the first row that is none."""
    for line, row in rows(path):
        if len(row) != len(_COLUMNS):
            raise wrong(path, f"line {line}", f"expected '{','.join(_COLUMNS)}', got {len(row)} columns")
        file, label, *votes = row
        for name, vote in zip(_COLUMNS[2:], votes, strict=True):
            number(path, f"line {line}", name, vote)
        folder, slash, name = file.rpartition("/")
        stem = name.rpartition(".")[0] or name
        video = f"{folder}{slash}{stem}"
        yield Entry(video, video, label, None, None, line)


def labels(path: Path) -> list[str]:
    """Return the publisher's classes in the order of their indices."""
    pairs = []
    for line, row in rows(path):
        if len(row) != 2:
            raise wrong(path, f"line {line}", f"expected 'class,index', got {len(row)} columns")
        pairs.append((row[0], row[1].strip()))
    return in_order(path, pairs)
