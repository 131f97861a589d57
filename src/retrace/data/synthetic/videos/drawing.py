"""Anti-aliased drawing with NumPy, all frames of a video at once.

A video under work is float32 (T, 3, H, W) in 0..1. A shape is drawn from its distance field: how many
pixels a pixel's centre lies outside its edge, negative within.
"""

import colorsys
from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Patch:
    """A square window of side S in each of T frames, about a point of its own in each."""

    corner_T2: np.ndarray
    """int (T, 2), column and row of the window's first pixel; it may lie outside the frame."""
    x_T1S: np.ndarray
    """float32 (T, 1, S), pixels from the point to the right."""
    y_TS1: np.ndarray
    """float32 (T, S, 1), pixels from the point downwards."""


def patch(centre_T2: np.ndarray, reach: float) -> Patch:
    """Return the window that reaches at least `reach` pixels to every side of the points (x, y)."""
    half = int(np.ceil(reach))
    corner_T2 = np.floor(centre_T2).astype(np.int64) - half
    offset_T2S = corner_T2[:, :, None] + np.arange(2 * half + 2) - centre_T2[:, :, None]
    x_TS, y_TS = np.moveaxis(offset_T2S.astype(np.float32), 1, 0)
    return Patch(corner_T2, x_TS[:, None, :], y_TS[:, :, None])


def turned(window: Patch, angle_T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the window's coordinates (T, S, S) in the frame of something turned clockwise by `angle_T`."""
    cos_T11 = np.cos(angle_T, dtype=np.float32).reshape(-1, 1, 1)
    sin_T11 = np.sin(angle_T, dtype=np.float32).reshape(-1, 1, 1)
    x, y = window.x_T1S, window.y_TS1
    return cos_T11 * x + sin_T11 * y, cos_T11 * y - sin_T11 * x


def coverage(distance: np.ndarray, softness: float = 1.0) -> np.ndarray:
    """Return how much of a pixel lies within a shape, 0..1; the edge is `softness` pixels wide."""
    return np.clip(0.5 - distance / np.float32(softness), 0, 1)


def over(video_T3HW: np.ndarray, window: Patch, alpha_TSS: np.ndarray, colour: np.ndarray) -> None:
    """Lay `colour` over the video in place, as opaque as `alpha_TSS`; parts outside the frame are lost.

    `colour` is one for all, (3,), or has one for each pixel of the window, (T, 3, S, S).
    """
    frames, channels, height, width = video_T3HW.shape
    side = alpha_TSS.shape[-1]
    flat = colour[:, None, None] if colour.ndim == 1 else colour
    shade_T3SS = np.broadcast_to(flat, (frames, channels, side, side))
    for t, (left, top) in enumerate(window.corner_T2.tolist()):
        rows, columns = inside(top, side, height), inside(left, side, width)
        below = video_T3HW[t, :, rows, columns]
        part = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
        below += alpha_TSS[t][part] * (shade_T3SS[t][:, *part] - below)


def placed(window: Patch, alpha_TSS: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return what is laid over frames of `size` (height, width) by a window, (T, H, W), 0 outside of it."""
    whole_T3HW = np.zeros((len(alpha_TSS), 1, *size), np.float32)
    over(whole_T3HW, window, alpha_TSS, np.ones(1, np.float32))
    return whole_T3HW[:, 0]


def inside(first: int, side: int, length: int) -> slice:
    """Return the part of `first`..`first + side - 1` that lies in 0..`length - 1`, empty if none does."""
    start = min(max(first, 0), length)
    return slice(start, max(start, min(first + side, length)))


def disc(video_T3HW: np.ndarray, centre_T2: np.ndarray, radius: float, colour: np.ndarray) -> None:
    """Draw a shaded ball."""
    window = patch(centre_T2, radius + 1)
    alpha_TSS = coverage(np.hypot(window.x_T1S, window.y_TS1) - radius)
    shade_TSS = 1 - 0.25 * (window.x_T1S + window.y_TS1) / radius
    over(video_T3HW, window, alpha_TSS, np.clip(shade_TSS[:, None] * colour[:, None, None], 0, 1))


def box(
    video_T3HW: np.ndarray, centre_T2: np.ndarray, half: float, angle_T: np.ndarray, colour: np.ndarray
) -> None:
    """Draw a square of half-side `half` with round corners, turned by `angle_T`."""
    window = patch(centre_T2, 1.5 * half + 1)
    x_TSS, y_TSS = turned(window, angle_T)
    core = 0.65 * half
    corner = np.hypot(np.maximum(np.abs(x_TSS) - core, 0), np.maximum(np.abs(y_TSS) - core, 0))
    shade_TSS = 1 - 0.2 * y_TSS / half
    over(
        video_T3HW,
        window,
        coverage(corner - 0.35 * half),
        np.clip(shade_TSS[:, None] * colour[:, None, None], 0, 1),
    )


def texture(rng: np.random.Generator, height: int, width: int, cells: int, octaves: int = 3) -> np.ndarray:
    """Return smooth noise about 0 within -1..1, float32 (height, width): sums of enlarged random lattices.

    The coarsest has `cells` cells over the height, each further one twice as many at half the strength.
    """
    total_HW = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        rows = min(cells << octave, height) + 1
        columns = max(2, round(rows * width / height))
        lattice = Image.fromarray(rng.uniform(-1, 1, (rows, columns)).astype(np.float32))
        total_HW += np.asarray(lattice.resize((width, height), Image.Resampling.BICUBIC)) * 0.5**octave
    return total_HW / 2


def hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """Return a colour, float32 (3,); the hue wraps around at 1."""
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value), np.float32)


def gradient(top: np.ndarray, bottom: np.ndarray, height: int) -> np.ndarray:
    """Return the colours from `top` to `bottom`, float32 (3, height, 1)."""
    share_H = np.linspace(0, 1, height, dtype=np.float32)
    return (top[:, None] + share_H * (bottom - top)[:, None])[:, :, None]


def to_bytes(video_T3HW: np.ndarray) -> np.ndarray:
    """Return the finished video, uint8 (T, H, W, 3)."""
    whole = (np.clip(video_T3HW, 0, 1) * 255 + np.float32(0.5)).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(whole, 1, 3))
