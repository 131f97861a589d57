"""Turn the positions of Temporal Shape symbols into frames: background, symbol, one JPEG round trip."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from retrace.data.synthetic import jpeg
from retrace.data.synthetic.draws import SIDE, Draws
from retrace.data.synthetic.perlin import perlin
from retrace.plan.spec import TemporalShape

_WHITE = 255.0
"""What a dot adds to the canvas, whose white is 1: the authors' value, which drowns any background."""


@dataclass(frozen=True)
class Scene:
    """F frames before they are drawn: what is behind, what is in front, and where.

    The canvas has white at 1.0 and may leave [0, 1]; frames share backgrounds and symbols.
    """

    backgrounds_KHW: np.ndarray
    background_F: np.ndarray
    symbols_NSS: np.ndarray
    symbol_F: np.ndarray
    corner_F2: np.ndarray
    """x and y of the symbol's top-left pixel; the authors draw nothing where one is negative."""


def render(
    draws: Draws, positions_NT2: np.ndarray, generator: TemporalShape, digits: np.ndarray | None
) -> np.ndarray:
    """Draw N clips and return them as the authors store them, uint8 (N, T, SIDE, SIDE).

    `draws.noise_seed` has T columns too. `digits` is uint8 (D, 28, 28), None where the symbol is a dot.
    Each frame has been through JPEG at `generator.jpeg_quality`.
    """
    scene = compose(draws, positions_NT2, generator, digits)
    return compress(scene, paint(scene), generator.jpeg_quality).reshape(*positions_NT2.shape[:2], SIDE, SIDE)


def compose(
    draws: Draws, positions_NT2: np.ndarray, generator: TemporalShape, digits: np.ndarray | None
) -> Scene:
    """Collect backgrounds and symbols of N clips of T frames, F = N * T."""
    clips, frames = positions_NT2.shape[:2]
    corner_F2 = np.trunc(positions_NT2).astype(np.int64).reshape(-1, 2)
    if generator.symbol == "dot":
        half = generator.size // 2
        corner_F2 -= half
        symbols_NSS = np.full((clips, 2 * half + 1, 2 * half + 1), _WHITE)
    else:
        symbols_NSS = _shrink_digits(digits, draws.digit, generator.size) / 255
    backgrounds_KHW, background_F = _backgrounds(draws, generator.background)
    return Scene(backgrounds_KHW, background_F, symbols_NSS, np.arange(clips).repeat(frames), corner_F2)


def paint(scene: Scene) -> np.ndarray:
    """Draw the scene, uint8 (F, SIDE, SIDE): the symbol is added to its background, without a mask."""
    size = scene.symbols_NSS.shape[-1]
    frames_FHW = _grey(scene.backgrounds_KHW)[scene.background_F]
    drawn = np.flatnonzero((scene.corner_F2 >= 0).all(axis=1))
    x, y = scene.corner_F2[drawn].T
    behind_FSS = _windows(scene.backgrounds_KHW, size)[scene.background_F[drawn], y, x]
    _windows(frames_FHW, size)[drawn, y, x] = _grey(behind_FSS + scene.symbols_NSS[scene.symbol_F[drawn]])
    return frames_FHW


def compress(scene: Scene, frames_FHW: np.ndarray, quality: int) -> np.ndarray:
    """Return the frames that `paint` made of `scene` after JPEG, uint8 (F, SIDE, SIDE).

    Only blocks that a symbol touches are coded per frame; all others are those of the background.
    """
    backgrounds_KHW = jpeg.round_trip_frames(_grey(scene.backgrounds_KHW), quality)
    coded_FHW = backgrounds_KHW[scene.background_F]
    block = np.arange(SIDE // jpeg.BLOCK) * jpeg.BLOCK
    first = scene.corner_F2[..., None]
    hit_x, hit_y = np.moveaxis(
        (block + jpeg.BLOCK > first) & (block < first + scene.symbols_NSS.shape[-1]), 1, 0
    )
    touched = np.nonzero(hit_y[:, :, None] & hit_x[:, None, :])
    jpeg.cut(coded_FHW)[touched] = jpeg.round_trip(jpeg.cut(frames_FHW)[touched], quality)
    return coded_FHW


def _backgrounds(draws: Draws, intensity: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct backgrounds (K, SIDE, SIDE) of N clips, and which one each frame has (F,)."""
    clips, frames = draws.noise_seed.shape
    if intensity == 0:
        return np.zeros((1, SIDE, SIDE)), np.zeros(clips * frames, np.int64)
    pairs_F2 = np.stack([draws.octaves.repeat(frames), draws.noise_seed.ravel()], axis=1)
    pairs_K2, background_F = np.unique(pairs_F2, axis=0, return_inverse=True)
    noise_KHW = np.stack([_noise(octaves, seed) for octaves, seed in pairs_K2.tolist()])
    return intensity * noise_KHW, background_F


@lru_cache(maxsize=256)
def _noise(octaves: int, seed: int) -> np.ndarray:
    """Return a noise image (row, column): the first noise coordinate runs along the columns."""
    return perlin(octaves, seed, SIDE).T


def _shrink_digits(digits: np.ndarray, chosen: np.ndarray, size: int) -> np.ndarray:
    """Return the chosen digits at `size` pixels (Lanczos), uint8 (N, size, size)."""
    images = (
        Image.fromarray(digits[index]).resize((size, size), Image.Resampling.LANCZOS) for index in chosen
    )
    return np.stack([np.asarray(image) for image in images])


def _grey(canvas: np.ndarray) -> np.ndarray:
    """Map a canvas to grey levels, uint8: clipped, fractions cut off."""
    return np.clip(canvas * 255, 0, 255).astype(np.uint8)


def _windows(images_KHW: np.ndarray, size: int) -> np.ndarray:
    """Return a writable view of all size x size windows, indexed [image, top row, left column]."""
    return sliding_window_view(images_KHW, (size, size), axis=(1, 2), writeable=True)
