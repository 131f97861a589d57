"""The Temporal Shape dataset: five shapes traced by one moving symbol, in four appearance domains.

Source: Broome et al., "Recur, Attend or Convolve?", WACV 2023. Fed with the authors' own draws, the
geometry and the drawing give their frames byte for byte; the draws differ (see `draws`), because the
authors' generator is not seeded.
"""

import dataclasses

import numpy as np

from retrace.data.synthetic.draws import CLASSES, FRAMES, SIDE, draw
from retrace.data.synthetic.render import render
from retrace.data.synthetic.trajectories import trajectories
from retrace.errors import UserError
from retrace.plan.spec import Split

_BATCH = 64
"""Clips drawn at once: bounds the memory where every frame has a background of its own."""


def generate(split: Split, start: int, stop: int, digits: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Make clips `start`..`stop - 1`: uint8 (n, frames, side, side), and their labels, int64 (n,).

    `digits` is uint8 (D, 28, 28), None where the symbol is a dot. A clip depends on the generator,
    the split's name and its own index only. Raises UserError for a size that cannot be delivered.
    """
    stride, block = _strides(split)
    generator = split.generator
    if (generator.symbol == "digit") == (digits is None):
        raise UserError(
            f"{split.dataset}: digit images are needed where the symbol is a digit, and only there"
        )
    draws = draw(generator, split.split, start, stop, 0 if digits is None else len(digits))
    positions_NT2 = trajectories(draws, generator)[:, ::stride]
    shown = dataclasses.replace(draws, noise_seed=draws.noise_seed[:, ::stride])
    clips = np.empty((stop - start, split.frames, split.side, split.side), np.uint8)
    for first in range(0, stop - start, _BATCH):
        rows = slice(first, first + _BATCH)
        clips[rows] = shrink(render(shown.take(rows), positions_NT2[rows], generator, digits), block)
    return clips, draws.label


def shrink(clips_NTHW: np.ndarray, block: int) -> np.ndarray:
    """Average whole block x block pixels to one, rounded (halves up); uint8 in and out."""
    if block == 1:
        return clips_NTHW
    pixels = range(block)
    total = sum(clips_NTHW[..., i::block, j::block].astype(np.uint32) for i in pixels for j in pixels)
    return ((total + block**2 // 2) // block**2).astype(np.uint8)


def _strides(split: Split) -> tuple[int, int]:
    """Return the frame stride and the pixels per side that are averaged; raise UserError if not whole."""
    if split.classes != CLASSES:
        raise UserError(
            f"{split.dataset}: classes are {list(split.classes)}; expected {list(CLASSES)}, in this order"
        )
    for key, value, native in (("frames", split.frames, FRAMES), ("side", split.side, SIDE)):
        if native % value:
            divisors = [n for n in range(1, native + 1) if native % n == 0]
            raise UserError(f"{split.dataset}: {key} is {value}; expected a divisor of {native}: {divisors}")
    return FRAMES // split.frames, SIDE // split.side
