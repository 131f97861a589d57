"""Which clips make which step: a function of (run seed, epoch) alone.

No worker, device or earlier epoch has a say, so a resumed run sees the batches it would have seen.
"""

import numpy as np

from retrace.errors import UserError


def steps_per_epoch(clips: int, batch: int, *, drop_last: bool) -> int:
    """Return the steps of one epoch. Raises UserError where `clips` do not fill a single batch."""
    steps = clips // batch if drop_last else -(-clips // batch)
    if steps == 0:
        raise UserError(
            f"{clips} training clips are too few for one batch of {batch} with drop_last: "
            "every epoch would be empty. Use more clips or a smaller batch."
        )
    return steps


def epoch_batches(clips: int, batch: int, *, drop_last: bool, seed: int, epoch: int) -> list[np.ndarray]:
    """Return the clip indices of each step of `epoch`: a fresh permutation, cut into batches."""
    steps = steps_per_epoch(clips, batch, drop_last=drop_last)
    order = np.random.default_rng([seed, epoch]).permutation(clips)
    return [order[step * batch : (step + 1) * batch] for step in range(steps)]


def in_turn(clips: int, batch: int) -> list[np.ndarray]:
    """Return the clip indices 0, 1, 2, ... cut into batches: each clip once."""
    return [np.arange(start, min(start + batch, clips)) for start in range(0, clips, batch)]
