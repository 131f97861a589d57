"""The bootstrap against closed forms, against brute force and against its own promise of coverage."""

import math

import numpy as np
import pytest

from retrace.evaluate.uncertainty import Bootstrap, interval, over_seeds


def answers(rng: np.random.Generator, seeds: int, clips: int, p: float) -> np.ndarray:
    return rng.random((seeds, clips)) < p


def test_the_first_value_is_the_plain_mean():
    correct = answers(np.random.default_rng(1), 3, 501, 0.6)
    assert Bootstrap(10, seed=0).mean(correct, seeds="m", clips="c")[0] == pytest.approx(
        correct.mean(), abs=1e-15
    )


@pytest.mark.parametrize("p", [0.5, 0.9])
def test_with_one_seed_the_spread_is_the_binomial_standard_error(p):
    n = 500
    correct = np.arange(n)[None] < p * n
    resamples = Bootstrap(20_000, seed=0).mean(correct, seeds="m", clips="c")[1:]
    assert resamples.std() == pytest.approx(math.sqrt(p * (1 - p) / n), rel=0.03)


@pytest.mark.parametrize("n_seeds", [2, 3, 5])
def test_where_all_clips_of_a_seed_are_alike_the_spread_is_the_standard_error_over_seeds(n_seeds):
    per_seed = np.random.default_rng(2).random(n_seeds)
    correct = np.repeat(per_seed[:, None], 50, axis=1)
    resamples = Bootstrap(40_000, seed=0).mean(correct, seeds="m", clips="c")[1:]
    assert resamples.std() == pytest.approx(per_seed.std(ddof=1) / math.sqrt(n_seeds), rel=0.03)


def test_one_resample_is_a_loop_over_the_drawn_seeds_and_clips():
    correct = answers(np.random.default_rng(3), 4, 30, 0.7)
    bootstrap = Bootstrap(5, seed=9)
    quantity = bootstrap.mean(correct, seeds="m", clips="c")
    eye_seeds, eye_clips = np.eye(4)[:, :, None], np.eye(30)[:, None, :]
    shares_of_seeds = [
        bootstrap.mean(np.repeat(e, 30, 1), seeds="m", clips="c") for e in eye_seeds
    ]  # how often a seed was drawn
    shares_of_clips = [bootstrap.mean(np.repeat(e, 4, 0), seeds="m", clips="c") for e in eye_clips]
    for r in range(6):
        total = sum(
            shares_of_seeds[s][r] * shares_of_clips[n][r] * correct[s, n] for s in range(4) for n in range(30)
        )
        assert quantity[r] == pytest.approx(total, abs=1e-12)


def test_equal_answers_of_paired_models_differ_by_exactly_nothing():
    correct = answers(np.random.default_rng(4), 1, 200, 0.5)
    bootstrap = Bootstrap(500, seed=0)
    difference = bootstrap.mean(correct, seeds="a", clips="c") - bootstrap.mean(correct, seeds="b", clips="c")
    assert np.all(difference == 0)


def test_pairing_by_clips_narrows_the_interval_of_a_difference():
    """Models that differ on 5 clips of 400 only: McNemar's variance of the difference is (5/400)/400."""
    a = np.arange(400)[None] < 200
    b = np.arange(400)[None] < 205
    bootstrap = Bootstrap(20_000, seed=0)
    mean_b = bootstrap.mean(b, seeds="b", clips="c")
    paired = mean_b - bootstrap.mean(a, seeds="a", clips="c")
    unpaired = mean_b - bootstrap.mean(a, seeds="a", clips="other clips")
    d = 5 / 400
    assert paired[0] == pytest.approx(d)
    assert paired[1:].std() == pytest.approx(math.sqrt(d * (1 - d) / 400), rel=0.03)
    assert unpaired[1:].std() > 4 * paired[1:].std()


def test_a_ratio_spreads_as_the_delta_method_says():
    target, source = np.arange(500)[None] < 300, np.arange(1000)[None] < 800
    bootstrap = Bootstrap(8_000, seed=0)
    ratio = bootstrap.mean(target, seeds="m", clips="t") / bootstrap.mean(source, seeds="m", clips="s")
    relative_variance = 0.4 / 0.6 / 500 + 0.2 / 0.8 / 1000
    assert ratio[0] == pytest.approx(0.75)
    assert ratio[1:].std() == pytest.approx(0.75 * math.sqrt(relative_variance), rel=0.05)


def test_quantities_depend_on_names_and_seed_not_on_the_order_of_questions():
    correct = answers(np.random.default_rng(5), 3, 100, 0.5)
    one, two = Bootstrap(100, seed=7), Bootstrap(100, seed=7)
    one.mean(correct, seeds="first", clips="something else")
    a, b = (bootstrap.mean(correct, seeds="m", clips="c") for bootstrap in (one, two))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, Bootstrap(100, seed=8).mean(correct, seeds="m", clips="c"))


def test_one_name_for_different_sets_of_clips_is_refused():
    bootstrap = Bootstrap(10, seed=0)
    bootstrap.mean(np.ones((1, 5)), seeds="m", clips="c")
    with pytest.raises(ValueError, match="clips 'c': 5 of them before, now 6"):
        bootstrap.mean(np.ones((1, 6)), seeds="m", clips="c")


def test_spread_over_seeds():
    correct = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]])
    assert over_seeds(correct) == (0.75, pytest.approx(0.25))
    assert math.isnan(over_seeds(correct[:1]).sd)


def test_perfect_answers_have_an_interval_of_no_width():
    assert interval(Bootstrap(50, seed=0).mean(np.ones((2, 9)), seeds="m", clips="c")) == (1, 1, 1)


@pytest.mark.parametrize(("n_seeds", "seed_sd", "at_least"), [(1, 0.0, 0.92), (3, 0.3, 0.92), (5, 1.0, 0.8)])
def test_the_interval_covers_the_truth(n_seeds, seed_sd, at_least):
    """Logit of being right = 0.5 + seed effect + clip effect (sd 1), 150 clips, 200 simulated studies.

    With 5 seeds that differ as much as clips do, the interval is known to be too narrow (see module).
    """
    everything = np.random.default_rng(0).normal(0, math.hypot(1, seed_sd), 1_000_000)
    truth = (1 / (1 + np.exp(-(0.5 + everything)))).mean()
    covered = 0
    for study in range(200):
        rng = np.random.default_rng([n_seeds, study])
        logit = 0.5 + rng.normal(0, seed_sd, (n_seeds, 1)) + rng.normal(0, 1, (1, 150))
        correct = rng.random((n_seeds, 150)) < 1 / (1 + np.exp(-logit))
        _, low, high = interval(Bootstrap(300, seed=study).mean(correct, seeds="m", clips="c"))
        covered += low <= truth <= high
    assert at_least <= covered / 200 < 1
