"""How sure a number is: spread over seeds, and a bootstrap over seeds and clips.

A quantity is an array (1 + R,): first its value on the data as they are, then its value in each of
R resamples. Ratios, differences and means of quantities are plain arithmetic on these arrays::

    bootstrap = Bootstrap(2000, seed=0)
    target = bootstrap.mean(correct_on_target_SN, seeds="convlstm-n8", clips="5dot")
    source = bootstrap.mean(correct_on_source_SN, seeds="convlstm-n8", clips="2dot-val")
    value, low, high = interval(target / source)  # the robustness ratio

The 95 % interval is honest where clips decide, and too narrow where few seeds differ widely: in
simulations with 200 clips and seeds that differ as much as clips it covered the truth in 72, 84 and
88 % of studies for 2, 3 and 5 seeds, and in 92 to 99 % where seeds differ little.
"""

import hashlib
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    value: float
    low: float
    high: float


class Spread(NamedTuple):
    """Mean and standard deviation (n - 1) over seeds; with one seed the deviation is nan."""

    mean: float
    sd: float


@dataclass
class Bootstrap:
    """R resamples of seeds and, crossed with them, of clips (Owen 2007, "The pigeonhole bootstrap").

    Both are drawn with replacement. What shares a name is resampled alike: quantities with the same
    `clips` are paired (all models answer the same clips), and so are those with the same `seeds`
    (the same trained models asked about two domains). The draws depend on `seed` and the names alone.
    """

    n_resamples: int
    seed: int
    _counts: dict[tuple[str, str], np.ndarray] = field(default_factory=dict, repr=False)

    def mean(self, correct_SN: np.ndarray, *, seeds: str, clips: str) -> np.ndarray:
        """Return the mean of `correct_SN` (S seeds, N clips; bool or number) as a quantity (1 + R,).

        Of S seeds S - 1 are drawn, which makes the resampled variance of a mean of S unbiased
        (McCarthy and Snowden 1985); S draws would give (S - 1) / S of it, too little by a half for
        two seeds. With a single seed only the clips are resampled. Raises ValueError where a name
        was used before for another number of seeds or clips.
        """
        correct_SN = np.asarray(correct_SN, dtype=np.float64)
        n_seeds, n_clips = correct_SN.shape
        counts_RS = self._draw("seeds", seeds, n_seeds, max(n_seeds - 1, 1))
        counts_RN = self._draw("clips", clips, n_clips, n_clips)
        mean_RS = counts_RN @ correct_SN.T / n_clips
        return (counts_RS * mean_RS).sum(axis=1) / counts_RS.sum(axis=1)

    def _draw(self, kind: str, name: str, size: int, draws: int) -> np.ndarray:
        """Return how often each of `size` things is drawn (1 + R, size): first each once, then at random."""
        counts = self._counts.get((kind, name))
        if counts is None:
            key = hashlib.sha256(f"{kind}/{name}".encode()).digest()
            rng = np.random.default_rng([self.seed, int.from_bytes(key[:8], "big")])
            drawn = rng.multinomial(draws, np.full(size, 1 / size), size=self.n_resamples)
            counts = np.vstack([np.ones(size), drawn])
            self._counts[kind, name] = counts
        if counts.shape[1] != size:
            raise ValueError(f"{kind} {name!r}: {counts.shape[1]} of them before, now {size}; not paired")
        return counts


def interval(quantity: np.ndarray, level: float = 0.95) -> Interval:
    """Return the value of `quantity` and the percentile interval of its resamples.

    A ratio whose denominator is 0 in some resample has the bounds that NumPy's inf or nan lead to.
    """
    low, high = np.quantile(quantity[1:], [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(quantity[0]), float(low), float(high))


def over_seeds(correct_SN: np.ndarray) -> Spread:
    """Return mean and standard deviation over seeds of the accuracy over clips."""
    accuracy_S = np.asarray(correct_SN, dtype=np.float64).mean(axis=1)
    sd = accuracy_S.std(ddof=1) if len(accuracy_S) > 1 else np.nan
    return Spread(float(accuracy_S.mean()), float(sd))
