"""ConvLSTM of "Recur, Attend or Convolve?" (Broomé et al., WACV 2023; Table 8 and the authors' code)."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from retrace.errors import UserError
from retrace.models.recurrence import recur_and_pool
from retrace.models.tape import Shelf


class ConvLstmBlock(nn.Module):
    """A recurrence over all frames, 2x2 max-pooling of each, batch norm over clips, time and space."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.input = nn.Conv2d(channels, 4 * hidden, 3, padding=1)
        self.recurrent = nn.Conv2d(hidden, 4 * hidden, 3, padding=1)
        self.norm = nn.BatchNorm3d(hidden)
        self._shelf = Shelf()

    def forward(self, x_BTHWC: Tensor) -> Tensor:
        """Map (B, T, H, W, C) to (B, T, H // 2, W // 2, N)."""
        weight = torch.cat([self.recurrent.weight, self.input.weight], 1)
        bias = self.recurrent.bias + self.input.bias
        h_BTHWN = recur_and_pool(x_BTHWC, weight, bias, self._shelf)
        return self.norm(h_BTHWN.permute(0, 4, 1, 2, 3)).permute(0, 2, 3, 4, 1)


class ConvLstm(nn.Module):
    """Recurrent blocks of equal width; a linear layer reads the last frame of the last one.

    Raises UserError if `side` is too small for `layers` poolings.
    """

    def __init__(self, hidden: int, layers: int, *, classes: int, channels: int, side: int) -> None:
        super().__init__()
        last_side = side >> layers
        if not last_side:
            raise UserError(
                f"convlstm: {layers} layers halve a side of {side} to 0; expected a side >= {2**layers}"
            )
        widths = [channels] + [hidden] * layers
        self.blocks = nn.Sequential(*(ConvLstmBlock(*pair) for pair in pairwise(widths)))
        self.head = nn.Linear(hidden * last_side**2, classes)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Return logits (B, classes)."""
        features_BTHWN = self.blocks(x_BTCHW.permute(0, 1, 3, 4, 2))
        return self.head(features_BTHWN[:, -1].permute(0, 3, 1, 2).flatten(1))
