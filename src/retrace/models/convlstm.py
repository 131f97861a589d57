"""ConvLSTM of "Recur, Attend or Convolve?" (Broomé et al., WACV 2023; Tables 8 and 9, the authors' code)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from retrace.errors import UserError
from retrace.models.recurrence import recur_and_pool, recur_strided_and_pool
from retrace.models.tape import Shelf


class ConvLstmBlock(nn.Module):
    """A recurrence over all frames, 2x2 max-pooling of each, batch norm over clips, time and space.

    `stride` is that of the convolution of the input; the state is as large as what that one puts out.
    """

    def __init__(self, channels: int, hidden: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.input = nn.Conv2d(channels, 4 * hidden, kernel, stride, padding=kernel // 2)
        self.recurrent = nn.Conv2d(hidden, 4 * hidden, kernel, padding=kernel // 2)
        self.norm = nn.BatchNorm3d(hidden)
        self.stride = stride
        self._shelf = Shelf()

    def forward(self, x_BTHWC: Tensor) -> Tensor:
        """Map (B, T, H, W, C) to (B, T, H // 2, W // 2, N), or with stride s to H / s, rounded up, // 2."""
        bias = self.recurrent.bias + self.input.bias
        weights = self.recurrent.weight, self.input.weight
        if self.stride == 1:
            h_BTHWN = recur_and_pool(x_BTHWC, torch.cat(weights, 1), bias, self._shelf)
        else:
            h_BTHWN = recur_strided_and_pool(x_BTHWC, *weights, bias, self.stride, self._shelf)
        return self.norm(h_BTHWN.permute(0, 4, 1, 2, 3)).permute(0, 2, 3, 4, 1)


class ConvLstm(nn.Module):
    """Recurrent blocks; a linear layer reads the last frame of the last one, or all of its frames.

    `hidden` and `kernels` are those of each layer. Raises UserError if `side` is too small for the strides
    and poolings.
    """

    def __init__(
        self,
        hidden: Sequence[int],
        kernels: Sequence[int],
        *,
        stride: int,
        reads_all: bool,
        classes: int,
        channels: int,
        frames: int,
        side: int,
    ) -> None:
        super().__init__()
        last_side, smallest = side, 1
        for _ in hidden:
            last_side, smallest = -(-last_side // stride) // 2, stride * (2 * smallest - 1) + 1
        if not last_side:
            raise UserError(
                f"convlstm: {len(hidden)} layers halve a side of {side} to 0; expected a side >= {smallest}"
            )
        channels_of = pairwise([channels, *hidden])
        self.blocks = nn.Sequential(
            *(ConvLstmBlock(*pair, kernel, stride) for pair, kernel in zip(channels_of, kernels, strict=True))
        )
        self.reads_all = reads_all
        self.head = nn.Linear((frames if reads_all else 1) * hidden[-1] * last_side**2, classes)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Return logits (B, classes)."""
        features_BTHWN = self.blocks(x_BTCHW.permute(0, 1, 3, 4, 2))
        read = features_BTHWN if self.reads_all else features_BTHWN[:, -1:]
        return self.head(read.permute(0, 1, 4, 2, 3).flatten(1))
