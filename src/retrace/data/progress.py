"""How far a long step is: a bar on a terminal, now and then a line in a log."""

import sys
import time
from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")

_EVERY_S = 20.0
"""Seconds between two lines in a log."""


def with_progress(items: Collection[T], what: str) -> Iterator[T]:
    """Yield `items` and tell on stderr how many are done, how fast, and how long the rest will take."""
    if sys.stderr.isatty():
        yield from tqdm(items, desc=what)
        return
    start = last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if done == len(items) or now - last >= _EVERY_S:
            last = now
            print(f"{what}: {line(done, len(items), now - start)}", file=sys.stderr, flush=True)


def line(done: int, total: int, seconds: float) -> str:
    """Return e.g. ``120/500, 41.3/s, 0:00:09 left``; speed and rest are those of this process."""
    per_second = done / max(seconds, 1e-9)
    left = timedelta(seconds=round((total - done) / per_second))
    return f"{done}/{total}, {per_second:.1f}/s, {left} left"
