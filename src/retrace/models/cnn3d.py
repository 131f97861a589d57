"""3D CNN of "Recur, Attend or Convolve?" (Broomé et al., WACV 2023; Table 8 and the authors' code)."""

from itertools import pairwise

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
        self.blocks = nn.Sequential(*(_block(*pair) for pair in pairwise(widths)))
        self.head = nn.Linear(hidden * last_frames * last_side**2, classes)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Return logits (B, classes)."""
        return self.head(self.blocks(x_BTCHW.transpose(1, 2)).flatten(1))


def _block(channels: int, hidden: int) -> nn.Sequential:
    """Map (B, C, T, H, W) to (B, N, T // 2, H // 2, W // 2). Batch norm comes last, as the authors do."""
    return nn.Sequential(
        nn.Conv3d(channels, hidden, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2), nn.BatchNorm3d(hidden)
    )
