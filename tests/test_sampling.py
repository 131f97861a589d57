"""Which frames make a clip: against the authors' vectors, and against twins written from the definitions."""

import itertools
import json
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import chisquare

from pages import ROOT
from retrace.data import sampling
from retrace.errors import UserError
from retrace.plan import clip as plan

ORACLE = ROOT.parent / "shared" / "oracles" / "deep_analysis.json"
FPS = 30.0
LENGTHS = [*range(1, 70), 100, 255, 256, 257, 300, 719]
SIZES = (1, 3, 4, 8, 16, 32)

# The authors' code of Deep Analysis, counted from 1: frames of the video, of the clip, clips.
UNIFORM = {
    (100, 8, 1): [[7, 19, 32, 44, 57, 69, 82, 94]],
    (37, 8, 2): [[3, 7, 12, 17, 21, 26, 31, 35], [4, 8, 13, 18, 22, 27, 32, 36]],
    (9, 8, 3): [[1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 6, 7, 8, 9], [2, 3, 4, 5, 6, 7, 8, 9]],
    (8, 8, 2): [[1, 4, 4, 4, 5, 6, 8, 8], [1, 2, 4, 4, 5, 6, 6, 8]],
    (5, 8, 2): [[1, 2, 3, 4, 4, 4, 4, 5], [1, 1, 1, 2, 2, 4, 4, 5]],
}
# ... and the stride.
DENSE = {
    (300, 8, 2, 3): [[s + 2 * j for j in range(8)] for s in (1, 143, 285)],
    (9, 8, 2, 2): [[1, 3, 5, 7, 9, 2, 4, 6]] * 2,
    (37, 16, 2, 1): [list(range(1, 32, 2))],
}
# The authors' code of RAC on Diving48, counted from 0: 32 of 100 frames.
DIVING = "0,3,6,10,13,16,19,22,26,29,32,35,38,42,45,48,51,54,57,61,64,67,70,73,77,80,83,86,89,93,96,99"


def uniform(frames, shifts="code"):
    return plan.UniformTest(kind="uniform", frames=frames, shifts=shifts)


def dense(frames, stride):
    return plan.Dense(kind="dense", frames=frames, stride=stride)


def segments(frames):
    return plan.Segments(kind="segments", frames=frames)


def span(frames, stride, place="spread", fps=30.0):
    return plan.SpanTest(kind="span", frames=frames, stride=stride, fps=fps, place=place)


def intervals(frames):
    return plan.Intervals(kind="intervals", frames=frames)


def even(frames, rounding):
    return plan.Even(kind="even", frames=frames, rounding=rounding)


EVERY = {
    "uniform": uniform(8),
    "uniform, as printed": uniform(8, "paper"),
    "dense": dense(8, 3),
    "segments": segments(8),
    "span": span(8, 4),
    "span, middle": span(8, 4, "middle"),
    "intervals": intervals(8),
    "even, half-even": even(8, "half-even"),
    "even, floor": even(8, "floor"),
}


def train(kind, n, seed=0, fps=FPS):
    return sampling.train_indices(kind, n, fps, np.random.default_rng(seed))


def many(kind, n, draws, fps=FPS):
    """Clips of one video, drawn one after the other from one generator."""
    rng = np.random.default_rng(0)
    return [tuple(sampling.train_indices(kind, n, fps, rng).tolist()) for _ in range(draws)]


def clips(kind, n, m=1, fps=FPS):
    return sampling.test_indices(kind, n, fps, m).tolist()


def uniformly(counts, cells):
    """Whether draws fell into each of `cells` equally often, as a seeded chi-square test sees it."""
    assert counts.keys() == set(cells)
    return chisquare([counts[cell] for cell in cells]).pvalue > 0.001


# Deep Analysis


@pytest.mark.parametrize("case", UNIFORM, ids=str)
def test_uniform_clips_are_those_of_the_authors(case):
    n, frames, m = case
    assert [[i + 1 for i in one] for one in clips(uniform(frames), n, m)] == UNIFORM[case]


@pytest.mark.parametrize("case", DENSE, ids=str)
def test_dense_clips_are_those_of_the_authors(case):
    n, frames, stride, m = case
    assert [[i + 1 for i in one] for one in clips(dense(frames, stride), n, m)] == DENSE[case]


@pytest.mark.skipif(not ORACLE.exists(), reason="the authors' vectors lie next to the checkout")
def test_all_vectors_of_the_authors_hold():
    vectors = json.loads(ORACLE.read_text())["sampling"]
    assert len(vectors) > 30
    for name, expected in vectors.items():
        mode, *values = name.split()
        given = {key: int(value) for key, value in (value.split("=") for value in values)}
        kind = uniform(given["f"]) if mode == "uniform_val" else dense(given["f"], given["rate"])
        found = np.array(clips(kind, given["N"], given["m"])).ravel() + 1
        assert found.tolist() == expected, name


def shifts_by_definition(rule, m):
    if rule == "code":
        return list(range(math.floor(-m / 2) + 1, math.floor(m / 2) + 1))
    return [i for i in range(-m, m + 1) if -m / 2 <= i < m / 2]


def test_the_shifts_of_ten_clips_are_printed_and_coded_differently():
    middle = clips(uniform(8), 400)[0]
    for rule, first, last in (("code", -4, 5), ("paper", -5, 4)):
        found = clips(uniform(8, rule), 400, 10)
        assert found[0] == [i + first for i in middle] and found[-1] == [i + last for i in middle]


@pytest.mark.parametrize("rule", ["code", "paper"])
def test_uniform_clips_follow_the_definition(rule):
    for n in LENGTHS:
        for frames in SIZES:
            for m in (1, 2, 3, 10):
                expected = []
                for number, shift in enumerate(shifts_by_definition(rule, m)):
                    expected.append(one_uniform_clip(n, frames, shift, number))
                assert clips(uniform(frames, rule), n, m) == expected, (n, frames, m)


def one_uniform_clip(n, frames, shift, number):
    if n <= frames:
        legacy = np.random.RandomState(number)
        return sorted(int(legacy.randint(n)) for _ in range(frames))
    tick = n / frames
    if shift >= tick / 2:
        shift = tick / 2 - 1e-4
    elif shift < -tick / 2:
        shift = -tick / 2
    return [int(tick / 2 + shift + tick * i) for i in range(frames)]


def test_uniform_training_has_one_offset_for_all_segments():
    drawn = Counter(many(uniform(8), 100, 3000))
    assert uniformly(drawn, [tuple(range(o, o + 96, 12)) for o in range(12)])


def test_uniform_training_on_a_short_video_draws_frames_with_repeats():
    drawn = many(uniform(8), 5, 1000)
    assert all(list(one) == sorted(one) for one in drawn)
    assert uniformly(Counter(i for one in drawn for i in one), range(5))


def test_dense_clips_follow_the_definition():
    for n in LENGTHS:
        for frames, stride, m in ((8, 1, 1), (8, 2, 3), (16, 4, 10), (3, 7, 4)):
            room = max(0, n - stride * frames)
            starts = [int(Fraction(room * k, max(m - 1, 1))) for k in range(m)]
            expected = [[(s + stride * j) % n for j in range(frames)] for s in starts]
            assert clips(dense(frames, stride), n, m) == expected, (n, frames, stride, m)


def test_dense_training_starts_anywhere_but_at_the_very_end():
    drawn = Counter(many(dense(8, 2), 36, 4000))
    assert uniformly(drawn, [tuple(range(s, s + 16, 2)) for s in range(20)])
    assert set(many(dense(8, 2), 16, 50)) == {tuple(range(0, 16, 2))}
    assert set(many(dense(4, 2), 5, 50)) == {(0, 2, 4, 1)}


# TSN and TSM


def test_segments_draw_their_offsets_independently():
    drawn = Counter(many(segments(3), 14, 6400))
    cells = [(a, 4 + b, 8 + c) for a in range(4) for b in range(4) for c in range(4)]
    assert uniformly(drawn, cells)


def test_segments_of_a_short_video_are_its_first_frame():
    assert set(many(segments(8), 7, 20)) == {(0,) * 8}
    assert set(many(segments(8), 8, 20)) == {tuple(range(8))}


def test_segments_are_tested_in_their_middle_and_then_at_their_start():
    for n in LENGTHS:
        for frames in SIZES:
            middle = [math.floor(Fraction(n * (2 * i + 1), 2 * frames)) for i in range(frames)]
            start = [math.floor(Fraction(n * i, frames)) for i in range(frames)]
            assert clips(segments(frames), n, 2) == [middle, start], (n, frames)


# SlowFast and TimeSformer


def decoded_span(n, frames, length, start):
    """What the authors' decoder hands over: by time stamps of 512 a frame, from start to end and one more."""
    first, last = int(start * 512), int((start + length - 1) * 512)
    kept = []
    for frame in range(n):
        if frame * 512 >= first:
            kept.append(frame)
            if frame * 512 > last:
                break
    steps = [Fraction(length - 1) * j / max(frames - 1, 1) for j in range(frames)]
    return [kept[min(max(math.floor(step), 0), len(kept) - 1)] for step in steps]


@pytest.mark.parametrize("fps", [30, 15, 60, 12.5, 25, 29.97, 24000 / 1001])
def test_a_span_is_what_the_authors_decode(fps):
    for n in (1, 7, 100, 255, 256, 300, 719):
        for frames, stride in ((8, 32), (8, 8), (16, 16), (96, 4), (32, 2)):
            length = frames * stride * fps / 30
            for m in (1, 2, 10):
                starts = [max(n - length, 0) * k / m for k in range(m)]
                expected = [decoded_span(n, frames, length, start) for start in starts]
                assert clips(span(frames, stride), n, m, fps) == expected, (n, frames, stride, m)


def test_a_span_lasts_equally_long_at_every_frame_rate():
    (slow,), (fast,) = clips(span(8, 8), 1000, fps=30), clips(span(8, 8), 1000, fps=60)
    assert slow == [0, 9, 18, 27, 36, 45, 54, 63]
    assert all(abs(b - 2 * a) <= 1 for a, b in zip(slow, fast, strict=True))


def test_a_span_starts_anywhere_in_training():
    starts = [one[0] for one in many(span(8, 4), 132, 4000)]  # 32 frames of 132
    assert min(starts) <= 1 and max(starts) == 100
    assert uniformly(Counter((s - 1) // 10 for s in starts if s), range(10))
    assert max(max(one) for one in many(span(8, 4), 132, 4000)) == 131


def test_a_span_longer_than_the_video_repeats_the_last_frame():
    assert clips(span(8, 32), 100) == [[0, 36, 72, 99, 99, 99, 99, 99]]
    assert set(many(span(8, 32), 100, 20)) == {(0, 36, 72, 99, 99, 99, 99, 99)}


def test_a_single_span_is_the_first_or_the_middle_one():
    assert clips(span(8, 8), 164)[0][0] == 0
    middle = clips(span(8, 8, "middle"), 164)[0]
    assert middle[0] == 50 and 163 - middle[-1] == 50


def test_intervals_follow_the_definition():
    for n in LENGTHS:
        for frames in SIZES:
            bounds = [round(Fraction((n - 1) * i, frames)) for i in range(frames + 1)]
            middle = [(a + b) // 2 for a, b in itertools.pairwise(bounds)]
            assert clips(intervals(frames), n) == [middle], (n, frames)


def test_intervals_share_their_bounds_in_training():
    drawn = many(intervals(3), 13, 4000)  # bounds 0, 4, 8, 12
    for i in range(3):
        assert uniformly(Counter(one[i] for one in drawn), range(4 * i, 4 * i + 5))
    assert any(a == b for a, b, _ in drawn)


# RAC and RSTG


def test_diving48_frames_are_those_of_the_authors():
    expected = [int(i) for i in DIVING.split(",")]
    assert clips(even(32, "half-even"), 100) == [expected]
    assert train(even(32, "half-even"), 100).tolist() == expected


def test_even_frames_follow_the_definition():
    for n in LENGTHS:
        for frames in (5, 8, 9, 32):
            exact = [Fraction((n - 1) * i, frames - 1) for i in range(frames)]
            assert clips(even(frames, "half-even"), n) == [[round(x) for x in exact]], (n, frames)
            first, second = clips(even(frames, "floor"), n, 2)
            shift = round(Fraction(n, 2 * frames))
            assert near(first, exact), (n, frames)
            assert near(second, [min(x + shift, Fraction(n - 1)) for x in exact]), (n, frames)
            assert first[0] == 0 and first[-1] == second[-1] == n - 1


def near(found, exact):
    """The authors round down in floating point, so a whole number may come out as the one before it."""
    return all(
        i == math.floor(x) or (x.denominator == 1 and i == x - 1) for i, x in zip(found, exact, strict=True)
    )


# All of them


@pytest.mark.parametrize("name", EVERY)
def test_clips_are_frames_of_the_video_in_order(name):
    kind = EVERY[name]
    m = 2 if name in ("uniform", "dense", "segments", "span") else 1
    for n in LENGTHS:
        one, tested = train(kind, n), sampling.test_indices(kind, n, FPS, m)
        assert one.shape == (8,) and tested.shape == (m, 8)
        for found in (one, *tested):
            assert found.dtype == np.int64 and found.min() >= 0 and found.max() < n
            assert name == "dense" or (np.diff(found) >= 0).all()


@pytest.mark.parametrize("name", EVERY)
def test_a_training_clip_depends_on_its_seed_alone(name):
    for seed in range(5):
        np.random.seed(seed)  # of no effect
        assert (train(EVERY[name], 91, 7) == train(EVERY[name], 91, 7)).all()
    distinct = {tuple(train(EVERY[name], 91, seed)) for seed in range(30)}
    assert len(distinct) == 1 if name.startswith("even") else len(distinct) > 5


@pytest.mark.parametrize(("n", "fps"), [(0, 30.0), (-3, 30.0), (10, 0.0), (10, math.nan), (10, math.inf)])
def test_a_video_without_frames_or_rate_is_a_clear_error(n, fps):
    with pytest.raises(UserError, match="expected"):
        train(span(8, 8), n, fps=fps)
    with pytest.raises(UserError, match="expected"):
        clips(span(8, 8), n, fps=fps)


@pytest.mark.parametrize(
    ("name", "most"), [("segments", 2), ("intervals", 1), ("even, floor", 2), ("span, middle", 1)]
)
def test_more_clips_than_the_source_defines_cannot_be_asked_for(name, most):
    def asked(m):
        return plan.TestClip(
            sampling=EVERY[name],
            clips=m,
            resize=plan.ShortSide(kind="short-side", pixels=256),
            crops=plan.Centre(kind="centre", offset="round"),
            side=224,
            filter="bilinear",
            antialias=True,
            colour="rgb",
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
        )

    assert asked(most).clips == most
    with pytest.raises(ValidationError, match=f"at most {most} of a video"):
        asked(most + 1)
