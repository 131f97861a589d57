"""Everything that is random about a Temporal Shape clip, drawn from (seed, split, clip index) alone.

The authors' generator draws from two unseeded global streams, so a clip depends on all clips before
it. Here the draws are counter-based, see `counter`.
"""

from dataclasses import dataclass, fields

import numpy as np

from retrace.data.synthetic.counter import below, uniforms
from retrace.errors import UserError
from retrace.plan.spec import TemporalShape

CLASSES = ("circle", "spiral", "line", "rectangle", "arc")
"""Class names in the order of the labels."""

CIRCLE, SPIRAL, LINE, RECTANGLE, ARC = range(len(CLASSES))

SIDE = 64
"""Height and width of a native frame in pixels."""

FRAMES = 20
"""Frames of a native clip."""

_WORDS = 32
"""Random words reserved per clip: 9 for the shape, FRAMES for the noise, 3 spare."""


@dataclass(frozen=True)
class Draws:
    """The random parameters of N clips; arrays of N rows. A class ignores what it has no use for."""

    label: np.ndarray
    """int (N,), index into CLASSES."""
    start: np.ndarray
    """int (N, 2), first position (x, y) in pixels."""
    reverse: np.ndarray
    """bool (N,), the path is walked in the opposite sense."""
    roll: np.ndarray
    """int (N,) in 0..19, cyclic shift of the sequence of steps."""
    angle: np.ndarray
    """float (N,), first angle of an arc or direction of a line, radians."""
    scale: np.ndarray
    """float (N,), pixels per frame of a line or rectangle, growth per radian of a spiral."""
    digit: np.ndarray
    """int (N,), index into the digit images."""
    octaves: np.ndarray
    """int (N,) in 1..9, lattice cells per side of the background noise."""
    noise_seed: np.ndarray
    """int (N, FRAMES) from 1, a new background for each frame."""

    def take(self, rows: np.ndarray) -> "Draws":
        """Return the draws of the clips selected by a mask or an index array."""
        return Draws(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def start_boxes(label: np.ndarray, scale: np.ndarray, generator: TemporalShape) -> np.ndarray:
    """Return the lowest start coordinate (N,) of each clip; the highest is SIDE - lowest - 1.

    Margin 2R + size with R = 8 (a spiral of dots: 10), or twice the speed for lines and rectangles.
    """
    reach = np.full(len(label), 8)
    if generator.symbol == "dot":
        reach[label == SPIRAL] = 10
    straight = (label == LINE) | (label == RECTANGLE)
    reach[straight] = 2 * scale[straight].astype(np.int64)
    return 2 * reach + generator.size


def draw(generator: TemporalShape, split: str, start: int, stop: int, digits: int) -> Draws:
    """Draw clips `start`..`stop - 1` of `split`, with `digits` the number of digit images.

    Raises UserError if the symbol is so large that no start position exists for some class.
    """
    widest = 10 if generator.symbol == "dot" else 8
    if 2 * (2 * widest + generator.size) >= SIDE:
        raise UserError(
            f"generator.size: a {generator.symbol} of {generator.size} pixels has no room to move "
            f"in a frame of {SIDE} pixels; expected at most {SIDE // 2 - 2 * widest - 1}"
        )
    u = uniforms(generator.seed, split, start, stop, _WORDS)
    label = below(u[:, 0], len(CLASSES))
    scale = np.where(label == SPIRAL, (2 + below(u[:, 3], 9)) * 0.1, 1 + below(u[:, 3], 3))
    low = start_boxes(label, scale, generator)[:, None]
    return Draws(
        label=label,
        start=low + below(u[:, 5:7], SIDE - 2 * low),
        reverse=u[:, 1] > 0.5,
        roll=below(u[:, 2], FRAMES),
        angle=np.where(label == LINE, np.pi * (2 * u[:, 4] - 1), 2 * np.pi * u[:, 4]),
        scale=scale,
        digit=below(u[:, 7], max(digits, 1)),
        octaves=1 + below(u[:, 8], 9),
        noise_seed=1 + below(u[:, 9 : 9 + FRAMES], generator.noise_seeds),
    )
