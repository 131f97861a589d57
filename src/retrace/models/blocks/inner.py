"""The inner layers that the attention blocks share."""

from torch import Tensor, nn

from retrace.errors import UserError


def inner_width(channels: int, reduction: int, groups: int = 1) -> int:
    """Return ``channels / reduction``. Raises UserError if it is no whole multiple of `groups`."""
    inner, rest = divmod(channels, reduction)
    if rest or not inner or inner % groups:
        raise UserError(
            f"a block on {channels} channels cannot be {reduction} times narrower in {groups} groups: "
            f"expected a multiple of {reduction * groups} channels"
        )
    return inner


class OnFrames(nn.Sequential):
    """Layers for images, on every frame of a clip."""

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Map (B, T, C, H, W) to (B, T, C', H', W')."""
        return super().forward(x_BTCHW.flatten(0, 1)).unflatten(0, x_BTCHW.shape[:2])


class Project(nn.Conv2d):
    """1x1 convolution of every frame."""

    def __init__(self, c_in: int, c_out: int, *, groups: int = 1, bias: bool = True) -> None:
        super().__init__(c_in, c_out, 1, groups=groups, bias=bias)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Map (B, T, C, H, W) to (B, T, C', H, W)."""
        return super().forward(x_BTCHW.flatten(0, 1)).unflatten(0, x_BTCHW.shape[:2])


class Output(OnFrames):
    """1x1 convolution and batch normalisation, whose scale starts at zero: nothing comes out at first."""

    def __init__(self, c_in: int, c_out: int, *, bias: bool = True, eps: float = 1e-5) -> None:
        norm = nn.BatchNorm2d(c_out, eps)
        nn.init.zeros_(norm.weight)
        super().__init__(nn.Conv2d(c_in, c_out, 1, bias=bias), norm)
