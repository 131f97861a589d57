"""Temporal shift (Lin et al., "TSM: Temporal Shift Module for Efficient Video Understanding", 2019)."""

import torch
from torch import Tensor, nn

FOLD = 8
"""An eighth of the channels comes from the next frame, an eighth from the one before."""


class TemporalShift(nn.Module):
    """The first C // 8 channels of frame t are those of t + 1, the next C // 8 those of t - 1.

    Zero outside the clip; no parameters, no multiply-adds.
    """

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Map (B, T, C, H, W) to the same shape."""
        return _Shift.apply(x_BTCHW)


class _Shift(torch.autograd.Function):
    """One copy forward and one back: autograd would copy the whole gradient for every slice."""

    @staticmethod
    def forward(ctx: object, x_BTCHW: Tensor) -> Tensor:
        fold = x_BTCHW.shape[2] // FOLD
        return _shifted(x_BTCHW, slice(0, fold), slice(fold, 2 * fold))

    @staticmethod
    def backward(ctx: object, grad_BTCHW: Tensor) -> Tensor:
        fold = grad_BTCHW.shape[2] // FOLD
        return _shifted(grad_BTCHW, slice(fold, 2 * fold), slice(0, fold))


def _shifted(x_BTCHW: Tensor, from_next: slice, from_last: slice) -> Tensor:
    y_BTCHW = x_BTCHW.clone()
    y_BTCHW[:, :-1, from_next] = x_BTCHW[:, 1:, from_next]
    y_BTCHW[:, -1, from_next] = 0
    y_BTCHW[:, 1:, from_last] = x_BTCHW[:, :-1, from_last]
    y_BTCHW[:, 0, from_last] = 0
    return y_BTCHW
