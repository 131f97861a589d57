"""Everything that is random about a SyncMNIST video: which digits, which pair, and how they walk.

Source: Nicolicioiu et al., "Recurrent Space-time Graph Neural Networks", NeurIPS 2019, and the released
generator. The draws are counter-based, see `counter`.
"""

from dataclasses import dataclass
from math import isqrt

import numpy as np

from retrace.data.synthetic.counter import WORDS_PER_COUNT, below, uniforms
from retrace.errors import UserError
from retrace.plan.spec import SyncMnist

DIGITS = 10
FRAMES = 10
"""Frames of a native video; a shorter one is its beginning."""

STAMP = 28
"""Side of a digit in pixels of the canvas."""

NONE = DIGITS * (DIGITS - 1) // 2
"""The label of a video without a pair."""

CLASSES = (*(f"{low}-{high}" for high in range(DIGITS) for low in range(high)), "none")
"""Class names in the order of the labels: the two digits that move alike, in any order."""


@dataclass(frozen=True)
class Draws:
    """The random parameters of N videos of D digits, the first two of which are the pair."""

    label_N: np.ndarray
    """int64, index into CLASSES."""
    image_ND: np.ndarray
    """int64, index into the digit images."""
    corner_NTD2: np.ndarray
    """int64, row and column of each digit's top-left pixel on the canvas."""

    def take(self, rows: slice) -> "Draws":
        """Return the draws of some of the videos."""
        return Draws(self.label_N[rows], self.image_ND[rows], self.corner_NTD2[rows])


def label_of(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the label of the pair of the different digits `a` and `b`: i (i - 1) / 2 + j for i > j."""
    high, low = np.maximum(a, b).astype(np.int64), np.minimum(a, b)
    return high * (high - 1) // 2 + low


def draw(generator: SyncMnist, split: str, start: int, stop: int, labels: np.ndarray) -> Draws:
    """Draw videos `start`..`stop - 1` of `split`; `labels` (I,) says which digits the images show.

    Video n shows image n first (modulo the number of images), then images of other digits.
    Raises UserError if the canvas is too small or some digit has no image.
    """
    high = _highest_corner(generator)
    count, steps = generator.count, FRAMES * generator.count * 2
    parts = np.cumsum([1, DIGITS - 1, count - 1, 2 * count, steps])
    words = -(-parts[-1] // WORDS_PER_COUNT) * WORDS_PER_COUNT
    pair, order, choice, first, step, _ = np.split(
        uniforms(generator.seed, split, start, stop, int(words)), parts, axis=1
    )
    image_ND = _images(np.arange(start, stop) % len(labels), order, choice, labels)
    paired_N = pair[:, 0] * generator.unpaired >= 1
    walk = (below(first, high + 1).reshape(-1, count, 2), step.reshape(-1, FRAMES, count, 2))
    return Draws(
        label_N=np.where(paired_N, label_of(*labels[image_ND[:, :2]].T), NONE),
        image_ND=image_ND,
        corner_NTD2=_walk(*walk, paired_N, high, generator.step),
    )


def _highest_corner(generator: SyncMnist) -> int:
    """Return the last row and column a corner may have; the authors leave one pixel beyond it unused."""
    least = max(STAMP + 2, isqrt(generator.count * STAMP**2) + 1)
    if generator.canvas < least:
        raise UserError(
            f"generator.canvas: {generator.count} digits of {STAMP} pixels need a canvas of at least "
            f"{least} pixels to move on, not {generator.canvas}"
        )
    return generator.canvas - STAMP - 1


def _images(first_N: np.ndarray, order: np.ndarray, choice: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return image indices (N, D): other digits than the first in random order, a random image of each."""
    by_digit = np.argsort(labels, kind="stable")
    counts = np.bincount(labels, minlength=DIGITS)
    if not counts.all():
        raise UserError(f"there is no image of the digit {counts.argmin()}; SyncMNIST needs all ten")
    others = np.argsort(order, axis=1, kind="stable")[:, : choice.shape[1]]
    digits = (labels[first_N].astype(np.int64)[:, None] + 1 + others) % DIGITS
    begin = np.cumsum(counts) - counts
    return np.column_stack([first_N, by_digit[begin[digits] + below(choice, counts[digits])]])


def _walk(
    corner_ND2: np.ndarray, u_NTD2: np.ndarray, paired_N: np.ndarray, high: int, step: int
) -> np.ndarray:
    """Return the corners (N, T, D, 2) after each of T bounded steps.

    A step is uniform on lo..hi - 1 with lo = max(-corner, -step), hi = min(high - corner, step); a pair
    has one step, within the limits of both, and rests on an axis where there is none.
    """
    corner = corner_ND2
    walked = []
    for t in range(u_NTD2.shape[1]):
        lo, hi, u = np.maximum(-corner, -step), np.minimum(high - corner, step), u_NTD2[:, t].copy()
        lo[paired_N, :2] = lo[paired_N, :2].max(axis=1, keepdims=True)
        hi[paired_N, :2] = hi[paired_N, :2].min(axis=1, keepdims=True)
        u[paired_N, 1] = u[paired_N, 0]
        corner = corner + np.where(lo < hi, lo + below(u, hi - lo), 0)
        walked.append(corner)
    return np.stack(walked, axis=1)
