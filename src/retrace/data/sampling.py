"""Which frames of a video make a clip. Indices count from 0 in the order of presentation.

N is the number of frames of the video, F that of the clip. The sources count from 1: their formulas are
given here less one. Random draws come from the generator that is passed, so a clip depends on its seed
alone.
"""

import math
from typing import assert_never

import numpy as np

from retrace.errors import UserError
from retrace.plan.clip import (
    Dense,
    Even,
    Intervals,
    Sampling,
    Segments,
    Span,
    SpanTest,
    TestSampling,
    Uniform,
    UniformTest,
)


def train_indices(sampling: Sampling, n_frames: int, fps: float, rng: np.random.Generator) -> np.ndarray:
    """Return the frames of one random clip, (F,) int64, of a video with `n_frames` at `fps` a second.

    Raises UserError for a video without frames, or whose rate is not above 0.
    """
    _check_video(n_frames, fps)
    match sampling:
        case Uniform():
            return _uniform_train(sampling.frames, n_frames, rng)
        case Dense():
            return _dense_train(sampling, n_frames, rng)
        case Segments():
            return _segments_train(sampling.frames, n_frames, rng)
        case Span():
            room = max(n_frames - _span(sampling, fps), 0)
            return _span_clip(sampling, n_frames, fps, start=rng.uniform(0, room))
        case Intervals():
            low, high = _intervals(sampling.frames, n_frames)
            return rng.integers(low, high, endpoint=True)
        case Even():
            return _even(sampling, n_frames, clip=0)
        case _:
            assert_never(sampling)


def test_indices(sampling: TestSampling, n_frames: int, fps: float, clips: int) -> np.ndarray:
    """Return the frames of `clips` clips, (clips, F) int64, of a video with `n_frames` at `fps` a second.

    Raises UserError for a video without frames, or whose rate is not above 0.
    """
    _check_video(n_frames, fps)
    match sampling:
        case UniformTest():
            return _uniform_test(sampling, n_frames, clips)
        case Dense():
            return _dense_test(sampling, n_frames, clips)
        case Segments():
            return np.stack([_segments_test(sampling.frames, n_frames, clip) for clip in range(clips)])
        case SpanTest():
            return _span_test(sampling, n_frames, fps, clips)
        case Intervals():
            low, high = _intervals(sampling.frames, n_frames)
            return np.tile((low + high) // 2, (clips, 1))
        case Even():
            return np.stack([_even(sampling, n_frames, clip) for clip in range(clips)])
        case _:
            assert_never(sampling)


def _check_video(n_frames: int, fps: float) -> None:
    if n_frames < 1:
        raise UserError(f"A video with {n_frames} frames has no clips: expected at least 1.")
    if not 0 < fps < math.inf:
        raise UserError(f"A video of {n_frames} frames has the frame rate {fps}: expected a number above 0.")


def _uniform_train(frames: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """i * a + o with a = floor(N / F) and one o in 0..a-1 for the clip; short: F sorted draws from 0..N-1.

    Deep Analysis, authors' code. The paper's "temporal jittering" could be read as one o a segment.
    """
    segment = n // frames
    if segment == 0:
        return np.sort(rng.integers(n, size=frames))
    return np.arange(frames) * segment + rng.integers(segment)


def _uniform_test(sampling: UniformTest, n: int, clips: int) -> np.ndarray:
    """floor(t/2 + s + t * i) with t = N / F and the clip's shift s, held within -t/2 and t/2 - 0.0001.

    Up to F frames: F sorted draws of numpy's legacy generator, seeded with the number of the clip.
    Deep Analysis, authors' code; the paper prints another range of shifts.
    """
    frames = sampling.frames
    if n <= frames:
        return np.stack([np.sort(np.random.RandomState(k).choice(n, frames)) for k in range(clips)])
    tick = n / frames
    first = -(clips // 2) if sampling.shifts == "paper" else -((clips - 1) // 2)
    shifts = np.clip(np.arange(first, first + clips, dtype=float), -tick / 2, tick / 2 - 1e-4)
    return np.floor((tick / 2 + shifts)[:, None] + tick * np.arange(frames)).astype(np.int64)


def _dense_train(sampling: Dense, n: int, rng: np.random.Generator) -> np.ndarray:
    """(start + r * j) mod N, start uniform in 0..N-rF-1, or 0. Deep Analysis, authors' code."""
    room = n - sampling.stride * sampling.frames
    return _dense_clip(sampling, n, start=rng.integers(max(room, 1)))


def _dense_test(sampling: Dense, n: int, clips: int) -> np.ndarray:
    """The same from `clips` even starts, floor(linspace(0, max(0, N-rF))); a single clip is the first."""
    room = max(n - sampling.stride * sampling.frames, 0)
    starts = np.linspace(0, room, clips).astype(np.int64)
    return np.stack([_dense_clip(sampling, n, start) for start in starts])


def _dense_clip(sampling: Dense, n: int, start: int | np.int64) -> np.ndarray:
    return (start + sampling.stride * np.arange(sampling.frames)) % n


def _segments_train(frames: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """i * a + o_i with a = floor(N / F), each o_i in 0..a-1; fewer than F frames: always the first.

    TSN and TSM, authors' code.
    """
    segment = n // frames
    if segment == 0:
        return np.zeros(frames, dtype=np.int64)
    return np.arange(frames) * segment + rng.integers(segment, size=frames)


def _segments_test(frames: int, n: int, clip: int) -> np.ndarray:
    """floor(t/2 + t * i) with t = N / F; the second clip is floor(t * i). TSM, authors' code."""
    tick = n / frames
    offset = tick / 2 if clip == 0 else 0.0
    return np.floor(offset + tick * np.arange(frames)).astype(np.int64)


def _span(sampling: Span, fps: float) -> float:
    """Return the frames of this video that last as long as F * stride frames at the reference rate."""
    return sampling.frames * sampling.stride / sampling.fps * fps


def _span_clip(sampling: Span, n: int, fps: float, start: float) -> np.ndarray:
    """ceil(start) + floor(linspace(0, span - 1, F)), held at the last frame of a short video.

    SlowFast and TimeSformer, authors' code: it decodes from the first frame that is presented at or
    after `start`, then spreads F frames over what it decoded.
    """
    steps = np.floor(np.linspace(0, _span(sampling, fps) - 1, sampling.frames)).astype(np.int64)
    return np.clip(math.ceil(start) + steps, 0, n - 1)


def _span_test(sampling: SpanTest, n: int, fps: float, clips: int) -> np.ndarray:
    """Clip k of m starts at k/m of the room N - span: a single clip is the first of the video (code).

    "middle" is TimeSformer's supplement: one clip, with half of the room before it.
    """
    room = max(n - _span(sampling, fps), 0)
    starts = [room / 2] if sampling.place == "middle" else [room * k / clips for k in range(clips)]
    return np.stack([_span_clip(sampling, n, fps, start) for start in starts])


def _intervals(frames: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return round(s * i) and round(s * (i + 1)), s = (N - 1) / F: both ends belong to interval i.

    PySlowFast and TimeSformer on Something-Something, authors' code. Tests take floor((low + high) / 2).
    """
    bounds = np.round((n - 1) / frames * np.arange(frames + 1)).astype(np.int64)
    return bounds[:-1], bounds[1:]


def _even(sampling: Even, n: int, clip: int) -> np.ndarray:
    """linspace(0, N - 1, F), rounded half to even (RAC, Diving48) or down (RSTG, Something-Something).

    RSTG's second clip is moved by round(N / 2F) and held at the last frame.
    """
    offset = clip * round(0.5 * n / sampling.frames)
    exact = np.linspace(offset, n - 1 + offset, sampling.frames)
    whole = np.round(exact) if sampling.rounding == "half-even" else np.floor(exact)
    return np.minimum(whole, n - 1).astype(np.int64)
