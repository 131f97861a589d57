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

FRAMES = 10
"""Frames of a native video; a shorter one is its beginning."""

STAMP = 28
"""Side of a digit in pixels of the canvas."""


@dataclass(frozen=True)
class Draws:
    """The random parameters of N videos of D digits, the first two of which are the pair."""

    label_N: np.ndarray
    """int64, index into `class_names`."""
    image_ND: np.ndarray
    """int64, index into the digit images."""
    corner_NTD2: np.ndarray
    """int64, row and column of each digit's top-left pixel on the canvas."""

    def take(self, rows: slice) -> "Draws":
        """Return the draws of some of the videos."""
        return Draws(self.label_N[rows], self.image_ND[rows], self.corner_NTD2[rows])


def class_names(kinds: int) -> tuple[str, ...]:
    """Return the classes by label: the two digits that move alike, in any order, or none."""
    return (*(f"{low}-{high}" for high in range(kinds) for low in range(high)), "none")


def no_pair(kinds: int) -> int:
    """Return the label of a video without a pair: the last one."""
    return kinds * (kinds - 1) // 2


def label_of(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the label of the pair of the different digits `a` and `b`: i (i - 1) / 2 + j for i > j."""
    high, low = np.maximum(a, b).astype(np.int64), np.minimum(a, b)
    return high * (high - 1) // 2 + low


def draw(generator: SyncMnist, split: str, start: int, stop: int, labels: np.ndarray) -> Draws:
    """Draw videos `start`..`stop - 1` of `split`; `labels` (I,) says which digits the images show.

    Video n shows the n-th image of the digits that occur (modulo their number) first, then images of others.
    Raises UserError if the canvas is too small or some digit has no image.
    """
    high, kinds = _highest_corner(generator), generator.kinds
    count, steps = generator.count, FRAMES * generator.count * 2
    parts = np.cumsum([1, kinds - 1, count - 1, 2 * count, steps])
    words = -(-parts[-1] // WORDS_PER_COUNT) * WORDS_PER_COUNT
    pair, order, choice, first, step, _ = np.split(
        uniforms(generator.seed, split, start, stop, int(words)), parts, axis=1
    )
    image_ND = _images(np.arange(start, stop), order, choice, labels, kinds)
    paired_N = pair[:, 0] * generator.unpaired >= 1
    walk = (below(first, high + 1).reshape(-1, count, 2), step.reshape(-1, FRAMES, count, 2))
    return Draws(
        label_N=np.where(paired_N, label_of(*labels[image_ND[:, :2]].T), no_pair(kinds)),
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


def _images(
    video_N: np.ndarray, order: np.ndarray, choice: np.ndarray, labels: np.ndarray, kinds: int
) -> np.ndarray:
    """Return image indices (N, D): the video's own, then other digits in random order, one image of each."""
    counts = np.bincount(labels, minlength=kinds)[:kinds]
    if not counts.all():
        raise UserError(f"there is no image of the digit {counts.argmin()}; videos show 0 to {kinds - 1}")
    known = np.flatnonzero(labels < kinds)
    first_N = known[video_N % len(known)]
    by_digit = np.argsort(labels, kind="stable")
    others = np.argsort(order, axis=1, kind="stable")[:, : choice.shape[1]]
    digits = (labels[first_N].astype(np.int64)[:, None] + 1 + others) % kinds
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
