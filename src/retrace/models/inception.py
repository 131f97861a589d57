"""InceptionV1 with batch normalisation in torchvision's layout (GoogLeNet), 2D or 3D, with places for blocks.

Szegedy et al., "Going Deeper with Convolutions", 2015. As in torchvision, the branch called 5x5 has a 3x3
kernel: its weights are of that shape. Positions: after ``conv1``, ``conv2``, ``conv3`` and after each
module, ``inception3a`` to ``inception5b``.
"""

from collections import OrderedDict
from typing import Literal

import torch
from torch import Tensor, nn

from retrace.errors import UserError
from retrace.models.layers import Layers, inflated

SMALLEST = 32
"""Pixels a side: one is left of 32."""

MODULES = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}
"""Channels in; of 1x1; of 3x3 reduced and out; of "5x5" reduced and out; of the pooled branch."""

AFTER = ("conv1", "conv2", "conv3", *(f"inception{name}" for name in MODULES))


class InceptionV1(nn.Sequential):
    """The network up to its last feature map of `features` channels; the first has `width`, of 64.

    3D: the first convolution has `first_time` frames, every other 3x3 becomes 3x3x3, and the last three
    spatial pools may halve the frames. 2D: a pool over time may follow each of these. `pool4` is the kernel
    of the last pool of a 3D network: 3, padded, or 2, not padded, which loses a frame where it has no stride.
    """

    def __init__(
        self, layers: Layers, *, width: int, channels: int, first_time: int, pool4: Literal[2, 3], side: int
    ) -> None:
        super().__init__()
        if side < SMALLEST:
            raise UserError(f"InceptionV1 needs clips of {SMALLEST} pixels or more a side, these have {side}")
        first = inflated if layers.volume else layers.conv
        conv1 = _normed(layers, first(channels, width, 7, stride=2, time=first_time), width)
        self._add(layers, "conv1", conv1, width)
        self.pool1 = _pool_space(layers)
        self._add(layers, "conv2", _conv(layers, width, width, 1), width)
        self._add(layers, "conv3", _conv(layers, width, 3 * width, 3), 3 * width)
        self._pool(layers, "pool2", 3)
        pools = {"3b": ("pool3", 3), "4e": ("pool4", pool4)}
        for name, widths in MODULES.items():
            module = Inception(layers, *(count * width // 64 for count in widths))
            self._add(layers, f"inception{name}", module, module.c_out)
            if name in pools:
                self._pool(layers, *pools[name])
        self.features = module.c_out
        layers.check_positions()

    def _add(self, layers: Layers, name: str, module: nn.Module, channels: int) -> None:
        self.add_module(name, module)
        if (after := layers.insert(name, channels)) is not None:
            self.add_module(f"after_{name}", after)

    def _pool(self, layers: Layers, name: str, size: int) -> None:
        """Add a pool over space that also pools time, or that a pool over time follows."""
        if layers.volume:
            self.add_module(name, _pool_volume(layers, size))
            return
        self.add_module(name, nn.MaxPool2d(2 if name == "pool4" else 3, 2, ceil_mode=True))
        if (over_time := layers.pool_time()) is not None:
            self.add_module(f"{name}_time", over_time)


def _pool_space(layers: Layers) -> nn.Module:
    return (
        nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)) if layers.volume else nn.MaxPool2d(3, 2, ceil_mode=True)
    )


def _pool_volume(layers: Layers, size: int) -> nn.Module:
    if layers.frames + 2 * (size // 3) < size:
        raise UserError(f"too few frames: {layers.frames} left for the last pool, which takes {size}")
    layers.frames = (layers.frames + 2 * (size // 3) - size) // layers.time_stride + 1
    return nn.MaxPool3d(size, (layers.time_stride, 2, 2), size // 3)


def _conv(layers: Layers, c_in: int, c_out: int, size: int) -> nn.Sequential:
    return _normed(layers, layers.conv(c_in, c_out, size, time=size), c_out)


def _normed(layers: Layers, conv: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(conv=conv, bn=layers.norm(channels), relu=nn.ReLU(inplace=True)))


class Inception(nn.Module):
    """Four branches, side by side in the channels."""

    def __init__(
        self, layers: Layers, c_in: int, one: int, red3: int, three: int, red5: int, five: int, pooled: int
    ) -> None:
        super().__init__()
        pool = nn.MaxPool3d(3, 1, 1) if layers.volume else nn.MaxPool2d(3, 1, 1)
        self.branch1 = _conv(layers, c_in, one, 1)
        self.branch2 = nn.Sequential(_conv(layers, c_in, red3, 1), _conv(layers, red3, three, 3))
        self.branch3 = nn.Sequential(_conv(layers, c_in, red5, 1), _conv(layers, red5, five, 3))
        self.branch4 = nn.Sequential(pool, _conv(layers, c_in, pooled, 1))
        self.c_out = one + three + five + pooled

    def forward(self, x: Tensor) -> Tensor:
        """Map (B T, C, H, W) or (B, C, T, H, W) to the same layout."""
        branches = (self.branch1, self.branch2, self.branch3, self.branch4)
        return torch.cat([branch(x) for branch in branches], 1)
