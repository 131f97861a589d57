"""Something-Something v1: a file a split, lines "id;class" (test: "id"); a video is a folder of JPEGs."""

from collections.abc import Iterator
from pathlib import Path

from retrace.data.sources.entry import Entry
from retrace.data.sources.reading import lines, rows, wrong
from retrace.plan.video import SplitName


def entries(path: Path, split: SplitName, classes: tuple[str, ...]) -> Iterator[Entry]:
    """Yield the videos of one file. Raises UserError at the first line that is none."""
    for line, row in rows(path, delimiter=";", quoted=False):
        if len(row) != 2 and not (split == "test" and len(row) == 1):
            raise wrong(path, f"line {line}", f"expected 'id;class', got {len(row)} parts between semicolons")
        yield Entry(row[0], row[0], row[1] if len(row) == 2 else None, None, None, line)


def labels(path: Path) -> list[str]:
    """Return the publisher's classes, one a line."""
    return [line.rstrip("\r\n") for line in lines(path) if line.strip()]
