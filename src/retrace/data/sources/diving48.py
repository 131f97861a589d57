"""Diving48: one JSON list a split with vid_name, label, start_frame, end_frame; start and end count frames.

A label is an index into the vocabulary, a JSON list with four strings for each class; the class is called by
the four joined with "_".
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retrace.data.sources.entry import Entry
from retrace.data.sources.reading import document, given, identifier, is_whole, number, objects, wrong
from retrace.plan.video import SplitName


def entries(path: Path, split: SplitName, classes: tuple[str, ...]) -> Iterator[Entry]:
    """Yield the videos of one JSON file. Raises UserError at the first entry that is none."""
    for place, fields in objects(path):
        video = identifier(path, place, fields, "vid_name")
        start, end = (_frame(path, place, fields, key) for key in ("start_frame", "end_frame"))
        yield Entry(video, video, _class(path, place, fields, split, classes), start, end, place)


def labels(path: Path) -> list[str]:
    """Return the publisher's classes."""
    names = []
    for place, parts in enumerate(document(path, list), start=1):
        if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
            raise wrong(path, f"entry {place}", f"expected a list of strings, got {given(parts)}")
        names.append("_".join(parts))
    return names


def _class(
    path: Path, place: int, fields: dict[str, Any], split: SplitName, classes: tuple[str, ...]
) -> str | None:
    label = fields.get("label")
    if label is None and split == "test":
        return None
    if not is_whole(label):
        raise wrong(path, f"entry {place}", f"expected a whole number under 'label', got {given(label)}")
    return classes[label] if 0 <= label < len(classes) else f"index {given(label)}"


def _frame(path: Path, place: int, fields: dict[str, Any], key: str) -> float | None:
    value = fields.get(key)
    if value is not None and not is_whole(value):
        raise wrong(path, f"entry {place}", f"expected a whole number under '{key}', got {given(value)}")
    return None if value is None else number(path, f"entry {place}", key, value)
