"""Footnotes: each distinct text once, numbered in reading order."""

from collections.abc import Iterable, Iterator


class Footnotes:
    """Collects texts and hands out their numbers."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def marks(self, texts: Iterable[str | None]) -> list[int]:
        """Return the numbers of `texts`, those that are None or empty left out."""
        return [self._numbers.setdefault(text, len(self._numbers) + 1) for text in texts if text]

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Yield (number, text) in order."""
        return iter((number, text) for text, number in self._numbers.items())
