"""3D CNN of "Recur, Attend or Convolve?" (Broomé et al., WACV 2023; Tables 8 and 9, the authors' code)."""

from collections.abc import Collection, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retrace.errors import UserError


class Cnn3d(nn.Module):
    """Blocks of convolution, ReLU, 2x2x2 max-pooling and batch norm; a linear layer reads all that is left.

    `hidden` and `kernels` are those of each layer; the layers in `pools`, counted from 1, pool.
    Raises UserError if `frames` or `side` is too small for the poolings.
    """

    def __init__(
        self,
        hidden: Sequence[int],
        kernels: Sequence[int],
        pools: Collection[int],
        *,
        pool_padding: int,
        classes: int,
        channels: int,
        frames: int,
        side: int,
    ) -> None:
        super().__init__()
        last_frames, last_side = (_pooled(size, len(pools), pool_padding) for size in (frames, side))
        if not (last_frames and last_side):
            raise UserError(
                f"cnn3d: {len(pools)} layers halve clips of {frames} frames and side {side} to nothing; "
                f"expected at least {2 ** len(pools)} of both"
            )
        widths = [channels, *hidden]
        self.blocks = nn.Sequential(
            *(
                Block(*widths[layer - 1 : layer + 1], kernel, pool_padding if layer in pools else None)
                for layer, kernel in enumerate(kernels, start=1)
            )
        )
        self.head = nn.Linear(hidden[-1] * last_frames * last_side**2, classes)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Return logits (B, classes)."""
        return self.head(self.blocks(x_BTCHW.transpose(1, 2)).flatten(1))


class Block(nn.Module):
    """Convolution, ReLU, pooling and then batch norm: the authors normalise last.

    `pool_padding` is how much is added on either side before pooling; none: there is no pooling.
    """

    def __init__(self, channels: int, hidden: int, kernel: int, pool_padding: int | None) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(channels, hidden, kernel, padding=kernel // 2)
        self.norm = nn.BatchNorm3d(hidden)
        self.pool_padding = pool_padding

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Map (B, C, T, H, W) to (B, N, T // 2, H // 2, W // 2), or without pooling to (B, N, T, H, W)."""
        weight = self.convolution.weight
        if x_BCTHW.device.type == "cpu":  # twice as fast; contiguous() would leave a single channel as it is
            weight = weight.clone(memory_format=torch.channels_last_3d)
        convolved = F.conv3d(x_BCTHW, weight, self.convolution.bias, padding=self.convolution.padding)
        # The ReLU of a maximum is the maximum of ReLUs, gradients included, and has an eighth of the work.
        if self.pool_padding is not None:
            convolved = F.max_pool3d(convolved, 2, padding=self.pool_padding)
        return self.norm(F.relu(convolved))


def _pooled(size: int, times: int, padding: int) -> int:
    """Return what is left of a length after poolings by 2."""
    for _ in range(times):
        size = (size + 2 * padding) // 2
    return size
