"""3D CNN of "Recur, Attend or Convolve?" (Broomé et al., WACV 2023; Table 8 and the authors' code)."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retrace.errors import UserError


class Cnn3d(nn.Module):
    """Equal blocks of 3x3x3 convolution, ReLU, 2x2x2 max-pooling and batch norm; a linear layer reads all.

    Raises UserError if `frames` or `side` is too small for `layers` poolings.
    """

    def __init__(
        self, hidden: int, layers: int, *, classes: int, channels: int, frames: int, side: int
    ) -> None:
        super().__init__()
        last_frames, last_side = frames >> layers, side >> layers
        if not (last_frames and last_side):
            raise UserError(
                f"cnn3d: {layers} layers halve clips of {frames} frames and side {side} to nothing; "
                f"expected at least {2**layers} of both"
            )
        widths = [channels] + [hidden] * layers
        self.blocks = nn.Sequential(*(Block(*pair) for pair in pairwise(widths)))
        self.head = nn.Linear(hidden * last_frames * last_side**2, classes)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Return logits (B, classes)."""
        return self.head(self.blocks(x_BTCHW.transpose(1, 2)).flatten(1))


class Block(nn.Module):
    """Convolution, ReLU, pooling and then batch norm: the authors normalise last."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(channels, hidden, 3, padding=1)
        self.norm = nn.BatchNorm3d(hidden)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Map (B, C, T, H, W) to (B, N, T // 2, H // 2, W // 2)."""
        weight = self.convolution.weight
        if x_BCTHW.device.type == "cpu":  # twice as fast; contiguous() would leave a single channel as it is
            weight = weight.clone(memory_format=torch.channels_last_3d)
        convolved = F.conv3d(x_BCTHW, weight, self.convolution.bias, padding=1)
        # The ReLU of a maximum is the maximum of ReLUs, gradients included, and has an eighth of the work.
        return self.norm(F.relu(F.max_pool3d(convolved, 2)))
