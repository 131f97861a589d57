"""A pathway: a 3D ResNet in which the first convolution of a block sees several frames, if any does.

C2D, I3D, Slow and both halves of SlowFast are such networks. Wang et al., "Non-local Neural Networks", 2018,
section 4.2; Feichtenhofer et al., "SlowFast Networks for Video Recognition", 2019, Table 1; which block has
which kernel is as in PySlowFast. Positions for blocks are those of `retrace.models.resnet`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from retrace.models.insert import InVolume
from retrace.models.layers import VolumeLayers, inflated
from retrace.models.resnet import DEPTHS, Bottleneck, residual_stage

STRIDE = 32
"""Pixels of the frame by which neighbours on the last feature map lie apart."""


class Times(NamedTuple):
    """Kernel sizes along time: that of the first convolution, and one for each block of each stage."""

    stem: int
    stages: tuple[tuple[int, ...], ...]


def c2d(backbone: str) -> Times:
    """Return the kernels of a network that sees every frame by itself."""
    return Times(1, tuple((1,) * depth for depth in DEPTHS[backbone]))


def i3d(backbone: str) -> Times:
    """Return those of I3D: all blocks of res2 look around, every second one of the stages that follow."""
    res2, res3, res4, res5 = DEPTHS[backbone]
    return Times(5, ((3,) * res2, _every_second(res3, 0), _every_second(res4, 0), _every_second(res5, 1)))


def slow(backbone: str, res4_inflated: int | None = None) -> Times:
    """Return those of Slow: from res4 on blocks look around, in res4 all or the first `res4_inflated`."""
    res2, res3, res4, res5 = DEPTHS[backbone]
    return Times(1, ((1,) * res2, (1,) * res3, _first(res4_inflated, res4), (3,) * res5))


def fast(backbone: str, res4_inflated: int) -> Times:
    """Return those of the fast pathway: all blocks look around, in res4 the first `res4_inflated`."""
    res2, res3, res4, res5 = DEPTHS[backbone]
    return Times(5, ((3,) * res2, (3,) * res3, _first(res4_inflated, res4), (3,) * res5))


def _every_second(depth: int, start: int) -> tuple[int, ...]:
    return tuple(3 if index % 2 == start else 1 for index in range(depth))


def _first(inflated_blocks: int | None, depth: int) -> tuple[int, ...]:
    wide = depth if inflated_blocks is None else inflated_blocks
    return (3,) * wide + (1,) * (depth - wide)


class Pathway(nn.Sequential):
    """The network up to its last feature map of `features` channels; the first has `width`.

    No stride is along time. `halved`: after res2 two frames become one, their maximum. `fed` tells how many
    channels join those that enter each stage. `widths` are the channels before each stage.
    """

    def __init__(
        self,
        times: Times,
        layers: VolumeLayers,
        *,
        width: int,
        channels: int,
        halved: bool = False,
        fed: Sequence[int] = (0, 0, 0, 0),
    ) -> None:
        super().__init__()
        self.conv1 = inflated(channels, width, 7, stride=2, time=times.stem)
        self.bn1, self.relu = layers.norm(width), nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        self.features, self.widths = width, list[int]()
        for stage, (kernels, joining) in enumerate(zip(times.stages, fed, strict=True), start=1):
            self.widths.append(self.features)
            c_in, inner = self.features + joining, width * 2 ** (stage - 1)
            blocks = residual_stage(layers, Bottleneck, stage, c_in, inner, [(time, 1) for time in kernels])
            self.add_module(f"layer{stage}", blocks)
            self.features = inner * Bottleneck.expansion
            if halved and stage == 1:
                self.pool1 = nn.MaxPool3d((2, 1, 1))
                layers.frames //= 2
        layers.check_positions()

    def steps(self) -> Iterator[Callable[[Tensor], Tensor]]:
        """Yield what comes before the first stage, and then the stages."""
        yield lambda x: self.maxpool(self.relu(self.bn1(self.conv1(x))))
        yield from list(self)[4:]


class Head(nn.Module):
    """Dropout and linear layer on the mean over all frames and a window; the mean of windows' answers.

    The window is what the network is trained on: a larger frame has several, one at each place of the last
    feature map. Their probabilities are averaged.
    """

    def __init__(self, features: int, classes: int, *, side: int, dropout: float) -> None:
        super().__init__()
        self.window = -(-side // STRIDE)
        self.dropout, self.fc = nn.Dropout(dropout), nn.Linear(features, classes)

    def forward(self, *maps_BCTHW: Tensor) -> Tensor:
        """Map the last feature maps of all pathways, (B, C, T, H, W), to logits (B, K)."""
        x_BPC = torch.cat([self._windows(x_BCTHW) for x_BCTHW in maps_BCTHW], 2)
        logits_BPK = self.fc(self.dropout(x_BPC))
        places = logits_BPK.shape[1]
        if places == 1:
            return logits_BPK[:, 0]
        return logits_BPK.log_softmax(2).logsumexp(1) - math.log(places)

    def _windows(self, x_BCTHW: Tensor) -> Tensor:
        x_BCHW = x_BCTHW.mean(2)
        window = [min(side, self.window) for side in x_BCHW.shape[2:]]
        return nn.functional.avg_pool2d(x_BCHW, window, stride=1).flatten(2).transpose(1, 2)


def volume(x_BTCHW: Tensor) -> Tensor:
    """Return clips as (B, C, T, H, W), channels-last in memory: the fastest for these networks."""
    return x_BTCHW.transpose(1, 2).contiguous(memory_format=torch.channels_last_3d)


def fill_in(model: nn.Module) -> None:
    """Initialise as PySlowFast does; blocks that are inserted fill in their own.

    Convolutions by Kaiming et al. with fan-out; a residual block starts as its shortcut, for its last norm
    has scale zero; the classifier is N(0, 0.01), its bias zero.
    """
    inserted = {part for block in model.modules() if isinstance(block, InVolume) for part in block.modules()}
    for module in model.modules():
        if isinstance(module, nn.Conv3d) and module not in inserted:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, Bottleneck):
            nn.init.zeros_(module.bn3.weight)
        elif isinstance(module, Head):
            nn.init.normal_(module.fc.weight, std=0.01)
            nn.init.zeros_(module.fc.bias)
