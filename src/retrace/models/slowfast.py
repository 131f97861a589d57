"""SlowFast, and the networks of a single pathway that it is compared with: Slow, I3D and C2D.

Feichtenhofer et al., "SlowFast Networks for Video Recognition", 2019, section 3, and PySlowFast where that
leaves a choice; attention blocks between residual blocks as He et al., "GTA", 2021, have them.
"""

import torch
from torch import Tensor, nn

from retrace.errors import UserError
from retrace.models import pathway
from retrace.models.blocks.unit import units
from retrace.models.insert import Inserts
from retrace.models.layers import VolumeLayers
from retrace.models.pathway import Head, Pathway
from retrace.plan import model as kinds


class SinglePathway(nn.Module):
    """One pathway and its head."""

    def __init__(
        self, model: kinds.SinglePathway, *, classes: int, channels: int, frames: int, side: int
    ) -> None:
        """Raise UserError if there are too few frames."""
        super().__init__()
        halved = model.network != "slow"
        if halved and frames < 2:
            raise UserError(f"{model.network} halves the frames: it needs at least 2")
        self.frames = frames
        self.trunk = Pathway(
            _times(model),
            _layers(frames, units(model.blocks, model.positions)),
            width=model.width,
            channels=channels,
            halved=halved,
        )
        self.head = Head(self.trunk.features, classes, side=side, dropout=model.dropout)
        pathway.fill_in(self)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Map clips (B, T, C, H, W), normalised as their transform does it, to logits (B, K).

        Raises UserError if the clips have another number of frames than the model is built for.
        """
        _check_frames(x_BTCHW, self.frames)
        return self.head(self.trunk(pathway.volume(x_BTCHW)))


def _times(model: kinds.SinglePathway) -> pathway.Times:
    match model.network:
        case "c2d":
            return pathway.c2d(model.backbone)
        case "i3d":
            return pathway.i3d(model.backbone)
        case "slow":
            return pathway.slow(model.backbone)


class SlowFast(nn.Module):
    """The fast pathway sees every frame of a clip, the slow one every `alpha`-th; the clip is the fast one's.

    Before each stage the slow pathway has the features of both: lateral connections bring the fast ones to
    its frames and twice their channels. One head reads both.
    """

    def __init__(self, model: kinds.SlowFast, *, classes: int, channels: int, frames: int, side: int) -> None:
        """Raise UserError if the frames are no multiple of `alpha`."""
        super().__init__()
        if frames % model.alpha:
            raise UserError(
                f"a clip of {frames} frames does not suit alpha {model.alpha}: use a multiple of it"
            )
        self.frames = frames
        slow_frames = frames // model.alpha
        self.register_buffer("seen_slowly", slow_indices(frames, slow_frames), persistent=False)
        self.fast = Pathway(
            pathway.fast(model.backbone, model.fast_res4),
            _layers(frames, {}),
            width=model.width // model.beta_inverse,
            channels=channels,
        )
        self.lateral = nn.ModuleList(
            Lateral(width, model.lateral_time, model.alpha) for width in self.fast.widths
        )
        self.slow = Pathway(
            pathway.slow(model.backbone, model.slow_res4),
            _layers(slow_frames, units(model.blocks, model.positions)),
            width=model.width,
            channels=channels,
            fed=[2 * width for width in self.fast.widths],
        )
        features = self.slow.features + self.fast.features
        self.head = Head(features, classes, side=side, dropout=model.dropout)
        pathway.fill_in(self)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Map clips (B, T, C, H, W), normalised as their transform does it, to logits (B, K).

        Raises UserError if the clips have another number of frames than the model is built for.
        """
        _check_frames(x_BTCHW, self.frames)
        slow, fast = pathway.volume(x_BTCHW[:, self.seen_slowly]), pathway.volume(x_BTCHW)
        steps = zip(self.slow.steps(), self.fast.steps(), [*self.lateral, None], strict=True)
        for of_slow, of_fast, lateral in steps:
            slow, fast = of_slow(slow), of_fast(fast)
            if lateral is not None:
                slow = torch.cat([slow, lateral(fast)], 1)
        return self.head(slow, fast)


class Lateral(nn.Sequential):
    """Convolution along time with the stride of the slow frames, to twice the channels; norm and ReLU."""

    def __init__(self, channels: int, time: int, alpha: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(
            channels, 2 * channels, (time, 1, 1), (alpha, 1, 1), (time // 2, 0, 0), bias=False
        )
        self.bn, self.relu = nn.BatchNorm3d(2 * channels), nn.ReLU(inplace=True)


def slow_indices(frames: int, slow_frames: int) -> Tensor:
    """Return which frames the slow pathway sees: spread from the first to the last, rounded down.

    As in PySlowFast, and so not every `alpha`-th: 0, 4, 8, 13, 17, 22, 26, 31 of 32.
    """
    return torch.arange(slow_frames) * (frames - 1) // max(slow_frames - 1, 1)


def _layers(frames: int, inserts: Inserts) -> VolumeLayers:
    return VolumeLayers(frames, inserts, eps=1e-5, temporal_pooling=False)


def _check_frames(x_BTCHW: Tensor, frames: int) -> None:
    if x_BTCHW.shape[1] != frames:
        raise UserError(f"the clips have {x_BTCHW.shape[1]} frames, the model is built for {frames}")
