"""Vectorised Perlin noise against the definition, written out point by point."""

import math
import random

import numpy as np
import pytest

from retrace.data.synthetic.perlin import perlin


def scalar_perlin(octaves, seed, x, y):
    """The definition: four corners, each a random gradient, faded by distance."""
    x, y = x * octaves, y * octaves
    total = 0.0
    for a in (math.floor(x), math.floor(x) + 1):
        for b in (math.floor(y), math.floor(y) + 1):
            twister = random.Random(seed * max(1, abs(a + 10 * b + 1)))
            gradient = twister.uniform(-1, 1), twister.uniform(-1, 1)
            s, t = 1 - abs(x - a), 1 - abs(y - b)
            fade = (6 * s**5 - 15 * s**4 + 10 * s**3) * (6 * t**5 - 15 * t**4 + 10 * t**3)
            total += fade * (gradient[0] * (x - a) + gradient[1] * (y - b))
    return total


@pytest.mark.parametrize(("octaves", "seed", "side"), [(1, 1, 16), (2, 15, 16), (3, 12345, 16), (9, 7, 20)])
def test_every_point_follows_the_definition(octaves, seed, side):
    expected = [[scalar_perlin(octaves, seed, u / side, v / side) for v in range(side)] for u in range(side)]
    assert perlin(octaves, seed, side) == pytest.approx(np.array(expected), abs=1e-14)


def test_probe_values_of_the_authors_package_are_met():
    noise = perlin(3, 12345, 64)
    assert noise[5, 9] == pytest.approx(-0.188483687, abs=5e-10)
    assert noise[31, 17] == pytest.approx(0.270619928, abs=5e-10)
    assert noise[63, 63] == pytest.approx(0.062367934, abs=5e-10)
    assert noise[0, 0] == 0


def test_all_135_backgrounds_of_the_old_seed_range_have_the_measured_spread():
    noise = np.stack([perlin(octaves, seed, 64) for octaves in range(1, 10) for seed in range(1, 16)])
    assert noise.std() == pytest.approx(0.171, abs=5e-4)
    assert (noise.min(), noise.max()) == pytest.approx((-0.66, 0.67), abs=5e-3)
    assert len(np.unique(noise.reshape(135, -1), axis=0)) == 135
