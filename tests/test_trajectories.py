"""Temporal Shape paths against their closed forms, and the wall rule against a scalar twin."""

import numpy as np
import pytest

from retrace.data.synthetic.draws import CLASSES, Draws
from retrace.data.synthetic.trajectories import bounce, trajectories, velocities
from shapes import domain


def clips(name, n=1, start=(32, 32), reverse=False, roll=0, angle=0.0, scale=1.0):
    return Draws(
        label=np.full(n, CLASSES.index(name)),
        start=np.tile(start, (n, 1)),
        reverse=np.full(n, reverse),
        roll=np.resize(roll, n),
        angle=np.resize(angle, n),
        scale=np.resize(scale, n),
        digit=np.zeros(n, int),
        octaves=np.ones(n, int),
        noise_seed=np.ones((n, 20), int),
    )


@pytest.mark.parametrize("reverse", [False, True])
def test_a_circle_is_a_regular_19_gon_that_closes(reverse):
    positions = trajectories(clips("circle", reverse=reverse), domain())[0]
    centre = positions[:19].mean(axis=0)
    assert np.linalg.norm(positions[:19] - centre, axis=1) == pytest.approx(1 / np.sin(np.pi / 19))
    assert positions[19] == pytest.approx(positions[0])


def test_a_rolled_circle_misses_its_start_by_the_angle_that_occurs_twice():
    positions = trajectories(clips("circle", n=20, roll=range(20)), domain())
    step = velocities(clips("circle", n=20, roll=range(20)), domain())
    assert positions[:, 19] + step[:, 19] - positions[:, 0] == pytest.approx(np.tile([2.0, 0.0], (20, 1)))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("speed", [1, 2, 3])
def test_a_rectangle_is_a_square_that_ends_where_it_began(speed, reverse):
    draws = clips("rectangle", n=4, roll=range(4), scale=speed, reverse=reverse)
    step = velocities(draws, domain())
    assert step.sum(axis=1) == pytest.approx(0, abs=1e-9)
    extent = np.ptp(trajectories(draws, domain()), axis=1)
    assert extent == pytest.approx(np.full((4, 2), 5 * speed))
    assert np.abs(step).max(axis=2) == pytest.approx(np.full((4, 20), speed))


def test_reversed_rectangles_run_round_the_other_way():
    def area(reverse):
        x, y = trajectories(clips("rectangle", reverse=reverse), domain())[0].T
        return np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2

    assert area(False) == pytest.approx(25)
    assert area(True) == pytest.approx(-25)


def test_an_arc_turns_by_half_a_circle_at_two_pixels_per_frame():
    step = velocities(clips("arc", angle=0.7), domain())[0]
    assert np.linalg.norm(step, axis=1) == pytest.approx(2)
    assert step[0] == pytest.approx(2 * np.array([np.cos(0.7), np.sin(0.7)]))
    assert step[19] == pytest.approx(-step[0])
    assert velocities(clips("arc", angle=0.7, reverse=True), domain())[0] == pytest.approx(step[::-1])


@pytest.mark.parametrize(("symbol", "size", "radians"), [("dot", 2, 10), ("digit", 14, 8)])
def test_a_spiral_grows_evenly_to_its_last_angle(symbol, size, radians):
    generator = domain(symbol, size)
    step = velocities(clips("spiral", scale=0.5), generator)[0]
    assert np.linalg.norm(step, axis=1) == pytest.approx(0.5 * np.linspace(0, radians, 20))
    assert np.arctan2(*step[19, ::-1]) == pytest.approx((radians + np.pi) % (2 * np.pi) - np.pi)
    assert velocities(clips("spiral", scale=0.5, reverse=True), generator)[0] == pytest.approx(step[::-1])


def test_a_line_is_straight_at_constant_speed():
    positions = trajectories(clips("line", angle=-2.0, scale=1.0), domain())[0]
    expected = 32 + np.arange(20)[:, None] * np.array([np.cos(-2.0), np.sin(-2.0)])
    assert positions == pytest.approx(expected)


def test_walls_mirror_the_rest_of_the_path_one_coordinate_at_a_time():
    rng = np.random.default_rng(1)
    start, steps, limit = rng.integers(0, 51, (200, 2)), rng.normal(0, 6, (200, 20, 2)), 50
    expected = np.empty_like(steps)
    for clip in range(200):
        position, rest = [float(start[clip, 0]), float(start[clip, 1])], steps[clip].tolist()
        for t in range(20):
            expected[clip, t] = position
            for j in (0, 1):
                if not 0 <= position[j] + rest[t][j] <= limit:
                    for later in rest[t:]:
                        later[j] = -later[j]
                position[j] += rest[t][j]
    assert np.array_equal(bounce(start, steps, limit), expected)
