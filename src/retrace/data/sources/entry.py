"""What every format of annotations comes down to."""

from typing import NamedTuple


class Entry(NamedTuple):
    """One video as its publisher lists it. Nothing in it is to be trusted."""

    id: str
    """Names the video in manifests and scores."""
    video: str
    """Names its file: what {id} stands for in the patterns of a page."""
    label: str | None
    """The class by its name; none where the publisher keeps it back."""
    start: float | None
    end: float | None
    place: int
    """Number of the line (CSV) or of the entry (JSON), from 1."""
