"""The recurrence of a convolutional LSTM followed by 2x2 max-pooling, with its own backward pass.

One autograd node stands for all time steps of a layer. Four things make it fast on a CPU, and none
changes what is computed:

- clips do not depend on each other, so a few at a time run through all steps and stay in the cache;
- activations lie channels-last, h and x side by side, so a step is one convolution;
- tanh(a) = 1 - 2 sigmoid(-2a), so one call serves all four gates (ATen's tanh is five times slower);
- what the backward pass reads goes into buffers that the next training step uses again.
"""

from collections import defaultdict
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

_PIXELS = 8192
"""Pixels of a step that a CPU takes at a time: with 16 hidden units their gates fill 2 MiB."""

_PLAIN_3X3: tuple[Any, ...] = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)
"""Stride, padding, dilation, transposed, output padding, groups."""


class Tape(NamedTuple):
    """What some clips leave behind for the backward pass, step by step, each (T, clips, H, W, channels).

    Without a backward pass there is only one step, overwritten again and again.
    """

    fed: Tensor  # h of the step before, then x: the input of the convolution
    gates: Tensor  # i, f, o and s, where tanh(g) = 1 - 2 s
    state: Tensor  # z = -2 c
    kept: Tensor  # which pixel of its plane each pool kept, (T, clips, H // 2, W // 2, N)


class Shelf:
    """The tapes of past training steps. Fresh memory costs a CPU more than the arithmetic on it.

    A shelf holds tapes of one layer; its copies and pickles are empty.
    """

    def __init__(self) -> None:
        self._tapes: defaultdict[tuple, list[Tape]] = defaultdict(list)

    def __reduce__(self) -> tuple[type["Shelf"], tuple[()]]:
        return Shelf, ()

    def take(self, x_BTHWC: Tensor, hidden: int, steps: int, dtype: torch.dtype) -> Tape:
        """Return a tape for `steps` steps of the clips x; gates and what is fed are of `dtype`."""
        clips, _, height, width, channels = x_BTHWC.shape
        idle = self._tapes[steps, x_BTHWC.shape, hidden, dtype, x_BTHWC.dtype, x_BTHWC.device]
        if idle:
            return idle.pop()
        plane = (steps, clips, height, width)
        return Tape(
            fed=x_BTHWC.new_empty(*plane, hidden + channels, dtype=dtype),
            gates=x_BTHWC.new_empty(*plane, 4 * hidden, dtype=dtype),
            state=x_BTHWC.new_empty(*plane, hidden),
            kept=x_BTHWC.new_empty(steps, clips, height // 2, width // 2, hidden, dtype=torch.int64),
        )

    def give(self, tape: Tape, x_BTHWC):
        pass
