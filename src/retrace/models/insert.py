"""How a block gets into a backbone: by position.

A block is a module that maps x_BTCHW to x_BTCHW, whatever the backbone; it reads the number of frames off
its input. The backbones show their features in that layout without a copy: 2D networks keep the frames in
the batch dimension, 3D networks stand time behind the channels. Features of a 2D network are channels-last
in memory: (B, T, H, W, C) is their order there.

Positions are named after modules: ``layer2.0`` is after the first residual block of the second stage (res3
in other papers), ``layer2.0.branch`` on the input of its residual branch; ``inception3a`` is after that
module. A backbone takes a mapping of positions to functions that make the block of a `Site`.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor, nn


class Site(NamedTuple):
    """What is known of a position when the block for it is made."""

    position: str
    channels: int
    frames: int


Inserts = Mapping[str, Callable[[Site], nn.Module]]


class InFrames(nn.Module):
    """A block inside a 2D network, which sees (B T, C, H, W)."""

    def __init__(self, block: nn.Module, frames: int) -> None:
        super().__init__()
        self.block, self.frames = block, frames

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Map (B T, C, H, W) to the same; a block that pools time returns fewer frames."""
        return self.block(x_NCHW.unflatten(0, (-1, self.frames))).flatten(0, 1)


class InVolume(nn.Module):
    """A block inside a 3D network, which sees (B, C, T, H, W)."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Map (B, C, T, H, W) to the same."""
        return self.block(x_BCTHW.transpose(1, 2)).transpose(1, 2)
