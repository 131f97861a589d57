"""Random numbers that belong to a clip: drawn from (seed, split, clip index) alone.

Clip i owns a fixed block of words of a Philox stream, so it is the same however many clips are made, in
whatever order, by however many workers, and a smaller split is the beginning of a larger one.
"""

import numpy as np

WORDS_PER_COUNT = 4
"""A Philox4x64 counter yields four 64-bit words: a clip owns a multiple of it."""


def uniforms(seed: int, split: str, start: int, stop: int, words: int) -> np.ndarray:
    """Return float64 (stop - start, words) in [0, 1); row r belongs to clip start + r.

    `words` is a multiple of WORDS_PER_COUNT. Uses raw words: NumPy promises their stream for good, but
    not the one of `Generator.random`.
    """
    key = np.random.SeedSequence([seed, *split.encode()]).generate_state(2, np.uint64)
    philox = np.random.Philox(key=key, counter=start * words // WORDS_PER_COUNT)
    drawn = philox.random_raw((stop - start) * words).reshape(-1, words)
    return (drawn >> np.uint64(11)) * 2.0**-53


def below(u: np.ndarray, n: int | np.ndarray) -> np.ndarray:
    """Map uniforms in [0, 1) to integers 0..n-1."""
    return (u * n).astype(np.int64)
