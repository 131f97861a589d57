"""What a figure of SyncMNIST is drawn from: the first videos of a split, and where their digits go."""

from pathlib import Path

import numpy as np

from retrace.data.make import stamps_of
from retrace.data.synthetic.sync_draws import STAMP, no_pair
from retrace.data.synthetic.sync_mnist import generate, walks
from retrace.files import atomic
from retrace.plan.spec import Split


def write_walks(split: Split, videos: int, path: Path, mnist_folder: Path | None) -> None:
    """Write the first `videos` videos of a split of SyncMNIST as npz; the split itself need not be there.

    frames      uint8 (N, T, H, W)
    middles     float64 (N, T, D, 2): row and column of each digit's middle, in pixels of the canvas
    paired      bool (N, D): whether the digit is one of the two that move alike
    labels      int64 (N,)

    Raises UserError like `sync_mnist.generate`.
    """
    stamps = stamps_of(split, mnist_folder)
    drawn = walks(split, 0, videos, stamps)
    frames_NTHW, labels_N = generate(split, 0, videos, stamps)
    first_two_D = np.arange(drawn.image_ND.shape[1]) < 2
    found = {
        "frames": frames_NTHW,
        "middles": drawn.corner_NTD2 + STAMP / 2,
        "paired": (labels_N != no_pair(split.generator.kinds))[:, None] & first_two_D,
        "labels": labels_N,
    }
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **found)
