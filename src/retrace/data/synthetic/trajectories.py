"""How a Temporal Shape symbol moves: a velocity per frame, and a wall that mirrors the rest of the path.

Source: Broome et al., "Recur, Attend or Convolve?", WACV 2023, and the released generator.
"""

import math

import numpy as np

from retrace.data.synthetic.draws import ARC, CIRCLE, FRAMES, LINE, RECTANGLE, SIDE, SPIRAL, Draws
from retrace.plan.spec import TemporalShape

_STEP = np.arange(FRAMES)


def _unit(angles: np.ndarray) -> np.ndarray:
    """Return (cos, sin) on a new last axis, by the C library for every element.

    NumPy's own vector routines differ in the last bit between processors, and circles, spirals and
    rectangles pass through whole pixels, where that bit decides which pixel is drawn.
    """
    flat = [(math.cos(angle), math.sin(angle)) for angle in np.ravel(angles).tolist()]
    return np.array(flat).reshape(*np.shape(angles), 2)


_CIRCLE_VELOCITY = 2 * _unit(np.linspace(0, 2 * np.pi, FRAMES))
_SIDES = _unit(np.array([np.pi / 2, np.pi, -np.pi / 2, 0]))


def trajectories(draws: Draws, generator: TemporalShape) -> np.ndarray:
    """Return the position (x, y) of the symbol in each frame, float64 (N, FRAMES, 2), in pixels."""
    return bounce(draws.start, velocities(draws, generator), SIDE - generator.size)


def velocities(draws: Draws, generator: TemporalShape) -> np.ndarray:
    """Return the step (x, y) after each frame before any wall, float64 (N, FRAMES, 2), in pixels."""
    radians = 10 if generator.symbol == "dot" else 8
    velocities_NT2 = np.empty((len(draws.label), FRAMES, 2))
    for label, rule in ((CIRCLE, _circle), (LINE, _line), (RECTANGLE, _rectangle), (ARC, _arc)):
        rows = draws.label == label
        velocities_NT2[rows] = rule(draws.take(rows))
    rows = draws.label == SPIRAL
    velocities_NT2[rows] = _spiral(draws.take(rows), radians)
    return velocities_NT2


def bounce(start: np.ndarray, velocities_NT2: np.ndarray, limit: float) -> np.ndarray:
    """Walk from `start` (N, 2) and return the positions before each step, float64 (N, FRAMES, 2).

    A coordinate that would leave [0, limit] has this and all later steps negated; the position is
    neither clamped nor reflected.
    """
    position = start.astype(np.float64)
    sign = np.ones_like(position)
    positions_NT2 = np.empty_like(velocities_NT2)
    for step in range(velocities_NT2.shape[1]):
        positions_NT2[:, step] = position
        candidate = position + sign * velocities_NT2[:, step]
        sign[(candidate < 0) | (candidate > limit)] *= -1
        position = position + sign * velocities_NT2[:, step]
    return positions_NT2


def _order(draws: Draws, length: int, index: np.ndarray) -> np.ndarray:
    """Return (N, FRAMES) indices into a sequence of `length` items, reversed and then rolled per clip."""
    rolled = (index - draws.roll[:, None]) % length
    return np.where(draws.reverse[:, None], length - 1 - rolled, rolled)


def _circle(draws: Draws) -> np.ndarray:
    return _CIRCLE_VELOCITY[_order(draws, FRAMES, _STEP)]


def _rectangle(draws: Draws) -> np.ndarray:
    sides = len(_SIDES)
    return draws.scale[:, None, None] * _SIDES[_order(draws, sides, _STEP // (FRAMES // sides))]


def _line(draws: Draws) -> np.ndarray:
    return (draws.scale[:, None] * _unit(draws.angle))[:, None]


def _arc(draws: Draws) -> np.ndarray:
    angles_NT = np.linspace(draws.angle, draws.angle + np.pi, FRAMES, axis=1)
    angles_NT = np.where(draws.reverse[:, None], angles_NT[:, ::-1], angles_NT)
    return 2 * _unit(angles_NT)


def _spiral(draws: Draws, radians: int) -> np.ndarray:
    angles_T = np.linspace(0, radians, FRAMES)
    path_T2 = _unit(angles_T)
    order_NT = np.where(draws.reverse[:, None], _STEP[::-1], _STEP)
    return (draws.scale[:, None] * angles_T[order_NT])[..., None] * path_T2[order_NT]
