"""Temporal pooling between the stages of a 2D network ("Deep Analysis", supplement, section 5)."""

from torch import Tensor, nn

from retrace.models.blocks.clip_image import from_image, to_image


class TemporalMaxPool(nn.Module):
    """Maximum over three frames at every second one: T frames become ceil(T / 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d((3, 1), stride=(2, 1), padding=(1, 0))

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Map (B, T, C, H, W) to (B, ceil(T / 2), C, H, W)."""
        return from_image(self.pool(to_image(x_BTCHW)), *x_BTCHW.shape[3:])
