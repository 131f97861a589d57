"""The order in which a view shows the frames of a clip."""

import hashlib
from typing import Literal, assert_never

import numpy as np

Order = Literal["forward", "reversed", "shuffled", "single"]


def frame_order(order: Order, frames: int, clip: str) -> np.ndarray:
    """Return which frame is shown at each time step (T,).

    ``shuffled`` draws one order per clip from its id alone, so every model sees the same; ``single``
    repeats frame T // 2.
    """
    match order:
        case "forward":
            return np.arange(frames)
        case "reversed":
            return np.arange(frames)[::-1].copy()
        case "single":
            return np.full(frames, frames // 2)
        case "shuffled":
            seed = int.from_bytes(hashlib.sha256(clip.encode()).digest()[:8], "big")
            return np.random.default_rng(seed).permutation(frames)
        case _:
            assert_never(order)
