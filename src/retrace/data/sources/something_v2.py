"""Something-Something v2: one JSON list a split with id and template; labels.json maps classes to indices.

The test split has ids alone; the publisher's test-answers.csv, with lines "id;class", can stand in its place.
"""

from collections.abc import Iterator
from pathlib import Path

from retrace.data.sources import something_v1
from retrace.data.sources.entry import Entry
from retrace.data.sources.reading import document, given, identifier, in_order, objects, wrong
from retrace.plan.video import SplitName

_NO_BRACKETS = str.maketrans("", "", "[]")


def entries(path: Path, split: SplitName, classes: tuple[str, ...]) -> Iterator[Entry]:
    """Yield the videos of one JSON or answers file. Raises UserError at the first entry that is none."""
    if path.suffix == ".csv":
        yield from something_v1.entries(path, split, classes)
        return
    for place, fields in objects(path):
        video = identifier(path, place, fields, "id")
        template = fields.get("template")
        if not isinstance(template, str) and not (split == "test" and template is None):
            raise wrong(path, f"entry {place}", f"expected text under 'template', got {given(template)}")
        label = None if template is None else template.translate(_NO_BRACKETS)
        yield Entry(video, video, label, None, None, place)


def labels(path: Path) -> list[str]:
    """Return the publisher's classes in the order of their indices."""
    return in_order(path, document(path, dict).items())
