"""Turn Temporal Shape positions into frames: background, symbol, one JPEG round trip.

A frame is its background, which has gone through JPEG once for all frames that share it, plus the
8x8 blocks that the symbol touches, which go through JPEG together for all frames.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from retrace.data.synthetic import jpeg
from retrace.data.synthetic.draws import SIDE, Draws
from retrace.data.synthetic.perlin import perlin
from retrace.plan.spec import TemporalShape


@dataclass(frozen=True)
class Symbols:
    """What is drawn where, in F frames; frames without a symbol are left out."""

    frame: np.ndarray
    """int (F,), index of the frame."""
    corner: np.ndarray
    """int (F, 2), x and y of the top-left pixel."""
    image: np.ndarray
    """int (F,), index into `images`."""
    images: np.ndarray
    """float64 (I, S, S), grey level; 1 is white."""


def render(draws: Draws, positions_NT2: np.ndarray, generator: TemporalShape, digits: np.ndarray) -> np.ndarray:
    """Draw N clips of T frames and return them as stored by the authors, uint8 (N, T, SIDE, SIDE).

    `draws.noise_seed` has T columns, `digits` is uint8 (D, 28, 28), empty where the symbol is a dot.
    Each frame has been through JPEG at `generator.jpeg_quality`.
    """
    clips, frames = positions_NT2.shape[:2]
    corners = np.trunc(positions_NT2.reshape(-1, 2)).astype(np.int64)
    symbols = _dots(corners, generator.size) if generator.symbol == "dot" else _digits(corners, draws, digits, generator.size)
    ...
