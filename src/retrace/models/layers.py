"""The layers of a backbone, in three ways: per frame (2D), inflated (I3D) and factorised (S3D).

A backbone is written once and built from one of them. Kernels are padded by half; `time` is the size of a
kernel along time, and `time_stride` its stride there, where the network is 3D.
"""

from torch import nn

from retrace.errors import UserError
from retrace.models.blocks.temporal_pool import TemporalMaxPool
from retrace.models.insert import InFrames, Inserts, InVolume, Site
from retrace.plan.strict import nearest


class Layers:
    """Makes layers and inserts blocks. `frames` is their number at the point that is being built.

    `eps` is that of every batch normalisation; `time_stride` the stride by which a 3D network pools time.
    """

    volume: bool
    time_stride = 1

    def __init__(self, frames: int, inserts: Inserts, *, eps: float, temporal_pooling: bool) -> None:
        self.frames, self.eps, self.temporal_pooling = frames, eps, temporal_pooling
        self._inserts, self._positions = inserts, set[str]()

    def insert(self, position: str, channels: int) -> nn.Module | None:
        """Return the block asked for at `position`, ready for this layout, or None."""
        self._positions.add(position)
        make = self._inserts.get(position)
        return None if make is None else self._placed(make(Site(position, channels, self.frames)))

    def check_positions(self) -> None:
        """Raise UserError if a block was asked for at a position that the finished backbone lacks."""
        for position in self._inserts:
            if position not in self._positions:
                hint = nearest(position, self._positions)
                raise UserError(f"the backbone has no position '{position}' for a block; {hint}")

    def conv(
        self, c_in: int, c_out: int, size: int, *, stride: int = 1, time: int = 1, time_stride: int = 1
    ) -> nn.Module:
        """Return a convolution of `size` x `size` (and `time`) without bias."""
        raise NotImplementedError

    def norm(self, channels: int) -> nn.Module:
        """Return a batch normalisation."""
        raise NotImplementedError

    def pool_time(self) -> nn.Module | None:
        """Return the pooling over time that follows a stage, or None."""
        raise NotImplementedError

    def _placed(self, block: nn.Module) -> nn.Module:
        raise NotImplementedError


class FrameLayers(Layers):
    """2D layers: every frame is an image of its own, (B T, C, H, W)."""

    volume = False

    def conv(
        self, c_in: int, c_out: int, size: int, *, stride: int = 1, time: int = 1, time_stride: int = 1
    ) -> nn.Module:
        return nn.Conv2d(c_in, c_out, size, stride, size // 2, bias=False)

    def norm(self, channels: int) -> nn.Module:
        return nn.BatchNorm2d(channels, self.eps)

    def pool_time(self) -> nn.Module | None:
        if not self.temporal_pooling:
            return None
        pool = self._placed(TemporalMaxPool())
        self.frames = -(-self.frames // 2)
        return pool

    def _placed(self, block: nn.Module) -> nn.Module:
        return InFrames(block, self.frames)


class VolumeLayers(Layers):
    """3D layers on (B, C, T, H, W), inflated as in I3D. Strides pool time."""

    volume = True

    def __init__(self, frames: int, inserts: Inserts, *, eps: float, temporal_pooling: bool) -> None:
        super().__init__(frames, inserts, eps=eps, temporal_pooling=temporal_pooling)
        self.time_stride = 2 if temporal_pooling else 1

    def conv(
        self, c_in: int, c_out: int, size: int, *, stride: int = 1, time: int = 1, time_stride: int = 1
    ) -> nn.Module:
        return inflated(c_in, c_out, size, stride, time, time_stride)

    def norm(self, channels: int) -> nn.Module:
        return nn.BatchNorm3d(channels, self.eps)

    def pool_time(self) -> None:
        return None

    def _placed(self, block: nn.Module) -> nn.Module:
        return InVolume(block)


class FactorizedLayers(VolumeLayers):
    """3D layers as in S3D: a kernel over space and time is one over space, then one over time."""

    def __init__(
        self, frames: int, inserts: Inserts, *, eps: float, temporal_pooling: bool, temporal_bias: bool
    ) -> None:
        super().__init__(frames, inserts, eps=eps, temporal_pooling=temporal_pooling)
        self.temporal_bias = temporal_bias

    def conv(
        self, c_in: int, c_out: int, size: int, *, stride: int = 1, time: int = 1, time_stride: int = 1
    ) -> nn.Module:
        if time == 1:
            return inflated(c_in, c_out, size, stride, time, time_stride)
        strides, padding = (time_stride, 1, 1), (time // 2, 0, 0)
        over_time = nn.Conv3d(c_out, c_out, (time, 1, 1), strides, padding, bias=self.temporal_bias)
        return FactorizedConv(inflated(c_in, c_out, size, stride), self.norm(c_out), over_time)


class FactorizedConv(nn.Sequential):
    """Convolution over space, norm and ReLU, convolution over time."""

    def __init__(self, spatial: nn.Module, bn: nn.Module, temporal: nn.Module) -> None:
        super().__init__()
        self.spatial, self.bn, self.relu, self.temporal = spatial, bn, nn.ReLU(inplace=True), temporal


def inflated(
    c_in: int, c_out: int, size: int, stride: int = 1, time: int = 1, time_stride: int = 1
) -> nn.Conv3d:
    """Return a 3D convolution of `time` x `size` x `size`."""
    strides, padding = (time_stride, stride, stride), (time // 2, size // 2, size // 2)
    return nn.Conv3d(c_in, c_out, (time, size, size), strides, padding, bias=False)
