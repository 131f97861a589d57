"""Small Temporal Shape specs for tests."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from retrace.data.synthetic.draws import CLASSES
from retrace.plan.spec import Split, TemporalShape

_MNIST_TEST = Path(__file__).parents[2] / "shared" / "data" / "mnist" / "t10k-images-idx3-ubyte.gz"
needs_mnist = pytest.mark.skipif(not _MNIST_TEST.exists(), reason="the MNIST test images are not at hand")
OLD_SEEDS, NEW_SEEDS = 15, 100_000
"""Ranges of the default noise seed up to version 1.10 of the authors' noise package, and since."""


def domain(symbol="dot", size=2, background=0.0, noise_seeds=OLD_SEEDS, seed=7, quality=75):
    return TemporalShape(
        kind="temporal_shape",
        symbol=symbol,
        size=size,
        digits="mnist" if symbol == "digit" else None,
        background=background,
        noise_seeds=noise_seeds,
        jpeg_quality=quality,
        seed=seed,
    )


def split(generator, frames=20, side=64, name="test", classes=CLASSES):
    return Split(
        dataset="shapes",
        version=1,
        split=name,
        clips=100,
        frames=frames,
        side=side,
        channels=1,
        classes=classes,
        generator=generator,
    )


def random_digits(n=50):
    return np.random.default_rng(0).integers(0, 256, (n, 28, 28), dtype=np.uint8)


def mnist_test_digits():
    """The 10,000 images after their header, read without torchvision, which takes seconds to import."""
    return np.frombuffer(gzip.decompress(_MNIST_TEST.read_bytes())[16:], np.uint8).reshape(-1, 28, 28)
