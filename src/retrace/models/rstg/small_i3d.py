"""The small I3D and Non-Local networks for SyncMNIST.

Source: Nicolicioiu et al., "Recurrent Space-time Graph Neural Networks", supplement, section D, which
prints the stages and their depth and "around 10 M parameters"; the widths are ours.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from retrace.errors import UserError
from retrace.models.rstg.initialise import as_in_tensorflow

_LEAST = 8
"""Side of the smallest frames of which something is left."""


class SmallI3d(nn.Module):
    """Convolution, pool, and the stages res2, res3 and res5 of an inflated ResNet-50, two blocks each.

    Nothing pools time. With 64 channels at first the last of them has 1024, half of a ResNet's.
    """

    def __init__(self, width: int, non_local: bool, *, classes: int, channels: int, side: int) -> None:
        """Raise UserError if frames are too small."""
        super().__init__()
        if side < _LEAST:
            raise UserError(f"small-i3d needs frames of at least {_LEAST} x {_LEAST} pixels")
        self.conv1 = nn.Conv3d(channels, width, (5, 7, 7), (1, 2, 2), (2, 3, 3), bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.res2 = _stage(width, width, 4 * width, 1, (3, 3))
        self.res3 = _stage(4 * width, 2 * width, 8 * width, 2, (3, 1))
        self.non_local = NonLocal(8 * width) if non_local else nn.Identity()
        self.res5 = _stage(8 * width, 8 * width, 16 * width, 1, (1, 3))
        self.classify = nn.Linear(16 * width, classes)
        as_in_tensorflow(self)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Map clips (B, T, C, H, W) in [0, 1] to logits (B, classes)."""
        x = F.relu(self.bn1(self.conv1(x_BTCHW.transpose(1, 2))))
        x = F.max_pool3d(x, (1, 3, 3), (1, 2, 2))
        x = self.res5(self.non_local(self.res3(self.res2(x))))
        return self.classify(x.mean(dim=(2, 3, 4)))


def _stage(c_in: int, inner: int, c_out: int, stride: int, times: tuple[int, ...]) -> nn.Sequential:
    blocks = nn.Sequential()
    for index, time in enumerate(times):
        first = index == 0
        blocks.append(Bottleneck(c_in if first else c_out, inner, c_out, stride if first else 1, time))
    return blocks


class Bottleneck(nn.Module):
    """Convolutions time x 1 x 1, 1 x 3 x 3 with the stride, and 1 x 1 x 1, beside a shortcut."""

    def __init__(self, c_in: int, inner: int, c_out: int, stride: int, time: int) -> None:
        super().__init__()
        strides = (1, stride, stride)
        self.branch = nn.Sequential(
            nn.Conv3d(c_in, inner, (time, 1, 1), padding=(time // 2, 0, 0), bias=False),
            nn.BatchNorm3d(inner),
            nn.ReLU(inplace=True),
            nn.Conv3d(inner, inner, (1, 3, 3), strides, (0, 1, 1), bias=False),
            nn.BatchNorm3d(inner),
            nn.ReLU(inplace=True),
            nn.Conv3d(inner, c_out, 1, bias=False),
            nn.BatchNorm3d(c_out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if c_in != c_out or stride > 1:
            self.shortcut = nn.Sequential(
                nn.Conv3d(c_in, c_out, 1, strides, bias=False), nn.BatchNorm3d(c_out)
            )

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        return F.relu(self.branch(x_BCTHW) + self.shortcut(x_BCTHW))


class NonLocal(nn.Module):
    """x + norm(W softmax(theta(x) phi(y)^T / sqrt(C / 2)) g(y)), y being x max-pooled by two in space.

    As the released code has it: subsampled and scaled; the norm's gain is zero at first.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.theta, self.phi, self.g = (nn.Conv3d(channels, inner, 1) for _ in range(3))
        self.out = nn.Conv3d(inner, channels, 1)
        self.norm = nn.BatchNorm3d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        y_BCTHW = F.max_pool3d(x_BCTHW, (1, 2, 2)) if min(x_BCTHW.shape[3:]) > 1 else x_BCTHW
        q, k, v = (
            part.flatten(2).transpose(1, 2)[:, None]  # (B, 1, places, C / 2)
            for part in (self.theta(x_BCTHW), self.phi(y_BCTHW), self.g(y_BCTHW))
        )
        mixed_BCS = F.scaled_dot_product_attention(q, k, v)[:, 0].transpose(1, 2)
        return x_BCTHW + self.norm(self.out(mixed_BCS.unflatten(2, x_BCTHW.shape[2:])))
