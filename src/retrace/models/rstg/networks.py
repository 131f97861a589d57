"""The networks for SyncMNIST that begin with three convolutions a frame.

Source: Nicolicioiu et al., "Recurrent Space-time Graph Neural Networks", supplement, section D, and the
released code.
"""

import torch
from torch import Tensor, nn

from retrace.errors import UserError
from retrace.models.rstg.block import GraphToVector
from retrace.models.rstg.initialise import as_in_tensorflow
from retrace.plan.model import SpaceTimeGraph

_BLOCKS = 3


class Trunk(nn.Module):
    """Three times a 3x3 convolution without padding, ReLU and a 2x2 max-pool, frame by frame.

    The pool comes first: it gives what it would give behind the ReLU, which then has a quarter of the work.
    """

    def __init__(self, channels: int, width: int, side: int) -> None:
        """Raise UserError if nothing is left of a frame of `side` pixels."""
        super().__init__()
        for _ in range(_BLOCKS):
            side = (side - 2) // 2
        if side < 1:
            raise UserError("the convolutions for SyncMNIST need frames of at least 22 x 22 pixels")
        self.layers = nn.Sequential()
        for c_in in (channels, *[width] * (_BLOCKS - 1)):
            self.layers.extend([nn.Conv2d(c_in, width, 3), nn.MaxPool2d(2), nn.ReLU(inplace=True)])
        self.layers.to(memory_format=torch.channels_last)  # convolves and pools in two thirds of the time

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Map (B, T, C, H, W) to (B, T, width, h, w): 64 x 64 becomes 6 x 6."""
        x_NCHW = x_BTCHW.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        return self.layers(x_NCHW).unflatten(0, x_BTCHW.shape[:2])


class RstgNet(nn.Module):
    """Convolutions, graph, classifier: the graph is all that mixes frames."""

    def __init__(self, graph: SpaceTimeGraph, *, classes: int, channels: int, side: int) -> None:
        super().__init__()
        self.trunk = Trunk(channels, graph.width, side)
        self.graph = GraphToVector(graph, graph.width, residual=False)
        self.classify = nn.Linear(graph.width, classes)
        as_in_tensorflow(self)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Map clips (B, T, C, H, W) in [0, 1] to logits (B, classes)."""
        return self.classify(self.graph(self.trunk(x_BTCHW)))


class CnnLstm(nn.Module):
    """Convolutions, mean over space, LSTM, classifier on the last state.

    The `extra` convolutions keep the size; between them are ReLU and batch norm.
    """

    def __init__(self, width: int, extra: int, *, classes: int, channels: int, side: int) -> None:
        super().__init__()
        self.trunk = Trunk(channels, width, side)
        self.more = nn.Sequential()
        for index in range(extra):
            if index:
                self.more.extend([nn.ReLU(inplace=True), nn.BatchNorm2d(width)])
            self.more.append(nn.Conv2d(width, width, 3, padding=1))
        self.lstm = nn.LSTM(width, width)
        self.classify = nn.Linear(width, classes)
        as_in_tensorflow(self)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Map clips (B, T, C, H, W) in [0, 1] to logits (B, classes)."""
        x_NCHW = self.more(self.trunk(x_BTCHW).flatten(0, 1))
        x_TBC = x_NCHW.mean(dim=(2, 3)).unflatten(0, x_BTCHW.shape[:2]).transpose(0, 1)
        return self.classify(self.lstm(x_TBC)[0][-1])
