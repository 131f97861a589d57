"""Greyscale JPEG round trips of many small images at once.

A baseline greyscale JPEG codes every aligned 8x8 block on its own, so blocks of different frames can
share one image: the codec is entered once instead of once per frame, and blocks whose result is
already known need not go through it.
"""

import io

import numpy as np
from PIL import Image

BLOCK = 8
"""Side of a block in pixels."""

_COLUMNS = 64
_ROWS = 4096
"""Blocks per side of a mosaic; JPEG allows 65,535 pixels."""


def round_trip(blocks_MHW: np.ndarray, quality: int) -> np.ndarray:
    """Return uint8 blocks (M, 8, 8) as they come back from JPEG at `quality` (Pillow's scale, 1..100)."""
    step = _COLUMNS * _ROWS
    parts = [_mosaic_trip(blocks_MHW[i : i + step], quality) for i in range(0, len(blocks_MHW), step)]
    return np.concatenate(parts) if parts else blocks_MHW


def round_trip_frames(frames_NHW: np.ndarray, quality: int) -> np.ndarray:
    """Return uint8 frames (N, H, W), H and W multiples of 8, as they come back from JPEG."""
    return join(round_trip(cut(frames_NHW).reshape(-1, BLOCK, BLOCK), quality), frames_NHW.shape)


def cut(frames_NHW: np.ndarray) -> np.ndarray:
    """Cut frames (N, H, W) into blocks (N, H/8, W/8, 8, 8)."""
    frames, height, width = frames_NHW.shape
    grid = frames_NHW.reshape(frames, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    return grid.swapaxes(2, 3)


def join(blocks: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Put blocks in the order of `cut` together again to frames of `shape` (N, H, W)."""
    frames, height, width = shape
    grid = blocks.reshape(frames, height // BLOCK, width // BLOCK, BLOCK, BLOCK)
    return grid.swapaxes(2, 3).reshape(shape)


def _mosaic_trip(blocks_MHW: np.ndarray, quality: int) -> np.ndarray:
    rows = -(-len(blocks_MHW) // _COLUMNS)
    padded = np.zeros((rows * _COLUMNS, BLOCK, BLOCK), np.uint8)
    padded[: len(blocks_MHW)] = blocks_MHW
    mosaic = join(padded, (1, rows * BLOCK, _COLUMNS * BLOCK))[0]
    file = io.BytesIO()
    Image.fromarray(mosaic).save(file, "JPEG", quality=quality)
    decoded = np.asarray(Image.open(file))
    return cut(decoded[None]).reshape(-1, BLOCK, BLOCK)[: len(blocks_MHW)]
