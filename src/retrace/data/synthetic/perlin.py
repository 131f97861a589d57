"""Perlin noise as the authors' noise package defines it: one lattice frequency, hashed gradients.

"Octaves" is the number of lattice cells per side; there is no fractal sum.
"""

import random
from functools import lru_cache

import numpy as np


def perlin(octaves: int, seed: int, side: int) -> np.ndarray:
    """Return noise at the points (u / side, v / side), float64 (side, side) indexed [u, v].

    Definition: the sum over the four lattice corners around octaves * (u, v) / side of
    fade(1 - |dx|) * fade(1 - |dy|) * (gradient . (dx, dy)), with fade(t) = 6t^5 - 15t^4 + 10t^3.
    The weights separate, so the sum over all corners is two matrix products; a corner further than
    one cell away has weight fade(0) = 0.
    """
    weight, moment = _basis(octaves, side)
    along_u, along_v = gradients(octaves, seed)
    return moment @ along_u @ weight.T + weight @ along_v @ moment.T


def gradients(octaves: int, seed: int) -> np.ndarray:
    """Return the components along u and v at corner [a, b], float64 (2, octaves + 1, octaves + 1)."""
    corners = range(octaves + 1)
    pairs = [[_gradient(seed * (a + 10 * b + 1)) for b in corners] for a in corners]
    return np.moveaxis(np.array(pairs), -1, 0)


def _gradient(seed: int) -> tuple[float, float]:
    """Two uniforms in (-1, 1), not normalised, from a Mersenne Twister seeded for one corner."""
    twister = random.Random(seed)
    return twister.uniform(-1, 1), twister.uniform(-1, 1)


@lru_cache(maxsize=16)
def _basis(octaves: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each point's weight for each corner, and weight times offset, both (side, octaves + 1)."""
    offset = np.arange(side)[:, None] * octaves / side - np.arange(octaves + 1)
    t = np.maximum(0, 1 - np.abs(offset))
    weight = t**3 * (t * (6 * t - 15) + 10)
    return weight, weight * offset
