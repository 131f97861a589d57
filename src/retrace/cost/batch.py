"""The largest batch that fits."""

from collections.abc import Callable


def largest_batch(fits: Callable[[int], bool], most: int) -> int:
    """Return the largest batch up to `most` that fits, or 0 if not even one clip does.

    Doubles until a batch does not fit, then halves the gap: about 2 log2(n) trials. What fits is taken to
    fit with fewer clips too.
    """
    good, bad = 0, most + 1
    trial = 1
    while trial < bad:
        if not fits(trial):
            bad = trial
            break
        good, trial = trial, trial * 2
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    return good
