"""SyncMNIST: digits walk over a black canvas, two of them in step, and the pair is the class.

Source: Nicolicioiu et al., "Recurrent Space-time Graph Neural Networks", NeurIPS 2019, section 4.1 and
supplement, section E. The rules are the released generator's, the draws are not: it sets no seed.
"""

import numpy as np

from retrace.data.synthetic.sync_draws import FRAMES, Draws, class_names, draw
from retrace.data.synthetic.sync_render import Stamps, render
from retrace.errors import UserError
from retrace.plan.spec import Split, SyncMnist

_BATCH = 32
"""Clips drawn at once: their canvases fit into a processor's cache."""


def generate(split: Split, start: int, stop: int, stamps: Stamps) -> tuple[np.ndarray, np.ndarray]:
    """Make clips `start`..`stop - 1`: uint8 (n, frames, side, side), and their labels, int64 (n,).

    A clip depends on the generator, the split's name, its own index and the digit images only.
    Raises UserError for a size that cannot be delivered.
    """
    draws = walks(split, start, stop, stamps)
    clips = np.empty((stop - start, split.frames, split.side, split.side), np.uint8)
    for first in range(0, stop - start, _BATCH):
        rows = slice(first, first + _BATCH)
        render(draws.take(rows), stamps, split.generator.canvas, clips[rows])
    return clips, draws.label_N


def walks(split: Split, start: int, stop: int, stamps: Stamps) -> Draws:
    """Return what is random about clips `start`..`stop - 1`. Raises UserError like `generate`."""
    generator = split.generator
    if not isinstance(generator, SyncMnist):
        raise TypeError(f"{split.dataset} is not made by this generator: {generator!r}")
    classes = class_names(generator.kinds)
    if split.classes != classes:
        raise UserError(
            f"{split.dataset}: classes are {list(split.classes)}; expected {list(classes)}, in this order"
        )
    for key, value, native in (("frames", split.frames, FRAMES), ("side", split.side, generator.canvas)):
        if value > native:
            raise UserError(f"{split.dataset}: {key} is {value}; expected at most {native}")
    if split.channels != 1:
        raise UserError(f"{split.dataset}: channels is {split.channels}; expected 1, the digits are grey")
    drawn = draw(generator, split.split, start, stop, stamps.labels)
    return Draws(drawn.label_N, drawn.image_ND, drawn.corner_NTD2[:, : split.frames])
