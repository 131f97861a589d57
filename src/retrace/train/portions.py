"""How the clips of a step are cut: over ranks, and into what goes through the model at once.

The protocol says how many clips a step has and over how many of them a batch normalisation takes its
statistics. Neither depends on the hardware. A part, which is as many clips as share their statistics, stays
on one rank where there are parts enough for all ranks, and is spread over several where there are not.
"""

from math import gcd
from typing import NamedTuple

import numpy as np


class Portion(NamedTuple):
    """Clips that go through the model together and share the statistics of batch normalisation."""

    clips: np.ndarray
    ranks: range
    """Those that compute it, each its share; consecutive numbers."""

    def share(self, rank: int) -> np.ndarray:
        """Return the clips of `rank`, which is one of `ranks`; shares differ by one clip at most."""
        return _split(self.clips, len(self.ranks))[self.ranks.index(rank)]


def portions(batch: np.ndarray, norm_batch: int, ranks: int, most: int | None = None) -> list[Portion]:
    """Return the portions of a step on the clips of `batch`, in their order: each clip is in exactly one.

    Parts are `norm_batch` consecutive clips, the last one fewer where the batch is not a multiple. A rank
    computes `most` clips at once, none meaning any number; a part that asks for more of it becomes several
    portions of about the same size.
    """
    parts = [batch[start : start + norm_batch] for start in range(0, len(batch), norm_batch)]
    groups = gcd(len(parts), ranks)  # as many as take equal numbers of parts and have equal numbers of ranks
    size = ranks // groups
    cut = []
    for number, part in enumerate(parts):
        first = number * groups // len(parts) * size
        pieces = 1 if most is None else -(-len(part) // (most * size))
        for clips in _split(part, pieces):
            cut.append(Portion(clips, range(first, first + min(size, len(clips)))))
    return cut


def own_clips(cut: list[Portion], rank: int) -> np.ndarray:
    """Return the clips of all portions that `rank` computes, in their order."""
    shares = [portion.share(rank) for portion in cut if rank in portion.ranks]
    return np.concatenate(shares) if shares else np.empty(0, dtype=np.int64)


def _split(clips: np.ndarray, count: int) -> list[np.ndarray]:
    return [clips] if count == 1 else np.array_split(clips, count)  # numpy is slow for what is most frequent
