"""The normalisations of a space-time graph."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-12
"""That of TensorFlow's contributed layer norm."""


class JointNorm(nn.Module):
    """Layer norm over all dimensions but the first, channels last; gain and offset are one a channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, ..., C) to the same shape."""
        return torch.addcmul(self.bias, F.layer_norm(x, x.shape[1:], eps=EPS), self.weight)


class ResidualNorm(nn.Module):
    """gain (norm(z) + offset) over all dimensions but the first, the gain being zero at first.

    So a network starts as if what is added to it were not there, and only the gain has a gradient.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(channels))
        self.offset = nn.Parameter(torch.zeros(channels))

    def forward(self, z: Tensor) -> Tensor:
        """Map (B, ..., C) to the same shape."""
        return self.gain * (F.layer_norm(z, z.shape[1:], eps=EPS) + self.offset)


class NodeNorm(nn.BatchNorm1d):
    """Batch norm of node features (B, T, N, C) over clips, frames and nodes, with TensorFlow's settings."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-3, momentum=0.01)

    def forward(self, v_BTNC: Tensor) -> Tensor:
        """Map (B, T, N, C) to the same shape."""
        return super().forward(v_BTNC.flatten(0, 2)).unflatten(0, v_BTNC.shape[:3])
