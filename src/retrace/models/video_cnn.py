"""Image CNNs made to see time: TSN, I3D, S3D, TAM, Conv., TSM and non-local networks.

Chen et al., "Deep Analysis of CNN-based Spatio-temporal Representations for Action Recognition", 2021;
supplement, section 5, and the authors' code where that leaves a choice.
"""

from functools import partial

import torch
from torch import Tensor, nn

from retrace.errors import UserError
from retrace.models import inception, resnet
from retrace.models.blocks.non_local import NonLocal
from retrace.models.blocks.tam import TemporalAggregation
from retrace.models.blocks.tsm import TemporalShift
from retrace.models.insert import Inserts, Site
from retrace.models.layers import FactorizedLayers, FrameLayers, Layers, VolumeLayers
from retrace.plan.model import VideoCnn as Kind

NON_LOCAL = ("layer2.0", "layer2.2", "layer3.0", "layer3.2", "layer3.4")
"""Five blocks, as the printed parameters of Table 3 imply; their places are the usual ones."""


class VideoCnn(nn.Module):
    """Backbone, mean over space, dropout and linear layer on each frame left, mean of their logits."""

    def __init__(self, model: Kind, *, classes: int, channels: int, frames: int, side: int) -> None:
        super().__init__()
        self.frames = frames
        layers = _layers(model, frames)
        self.volume = layers.volume
        self.trunk = _trunk(model, layers, channels=channels, side=side)
        self.frames_left = layers.frames
        self.dropout = nn.Dropout(model.dropout)
        self.fc = nn.Linear(self.trunk.features, classes)
        self._initialise(model)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Map clips (B, T, C, H, W), normalised as their transform does it, to logits (B, K).

        Raises UserError if the clips have another number of frames than the model is built for.
        """
        if x_BTCHW.shape[1] != self.frames:
            raise UserError(f"the clips have {x_BTCHW.shape[1]} frames, the model is built for {self.frames}")
        return self.fc(self.dropout(self.features(x_BTCHW))).mean(1)

    def features(self, x_BTCHW: Tensor) -> Tensor:
        """Map clips (B, T, C, H, W) to features of the frames that are left, (B, T', D)."""
        if self.volume:
            x_BCTHW = x_BTCHW.transpose(1, 2).contiguous(memory_format=torch.channels_last_3d)
            return self.trunk(x_BCTHW).mean((3, 4)).transpose(1, 2)
        x_NCHW = x_BTCHW.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        return self.trunk(x_NCHW).mean((2, 3)).unflatten(0, (-1, self.frames_left))

    @torch.no_grad()
    def _initialise(self, model: Kind) -> None:
        """Fill in as the authors' code does; its 2D InceptionV1 is as torch makes it."""
        if self.volume:
            nn.init.normal_(self.fc.weight, std=0.001)
            nn.init.zeros_(self.fc.bias)
        elif model.backbone == "inceptionv1":
            return
        for module in self.trunk.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        for module in self.trunk.modules():
            if isinstance(module, TemporalAggregation):
                module.initialise_like_convolutions()


def _layers(model: Kind, frames: int) -> Layers:
    """Return what the backbone is made of, and where its blocks go."""
    eps = 1e-3 if model.backbone == "inceptionv1" else 1e-5
    common = {"eps": eps, "temporal_pooling": model.temporal_pooling}
    match model.temporal:
        case "i3d":
            return VolumeLayers(frames, {}, **common)
        case "s3d":
            return FactorizedLayers(frames, {}, **common, temporal_bias=model.backbone == "inceptionv1")
        case _:
            return FrameLayers(frames, _inserts(model), **common)


def _inserts(model: Kind) -> Inserts:
    places = inception.AFTER if model.backbone == "inceptionv1" else resnet.branches(model.backbone)
    match model.temporal:
        case "tam" | "conv" as kind:
            return dict.fromkeys(places, partial(_aggregation, depthwise=kind == "tam"))
        case "tsm":
            return dict.fromkeys(places, lambda site: TemporalShift())
        case "nonlocal":
            return dict.fromkeys(NON_LOCAL, lambda site: NonLocal(site.channels))
    return {}


def _aggregation(site: Site, *, depthwise: bool) -> nn.Module:
    return TemporalAggregation(site.channels, depthwise=depthwise)


def _trunk(
    model: Kind, layers: Layers, *, channels: int, side: int
) -> "resnet.ResNet | inception.InceptionV1":
    if model.backbone != "inceptionv1":
        return resnet.ResNet(model.backbone, layers, width=model.width, channels=channels)
    return inception.InceptionV1(
        layers,
        width=model.width,
        channels=channels,
        side=side,
        first_time=7 if model.temporal == "i3d" else 3,
        pool4=2 if model.temporal == "s3d" or model.legacy_pool4 else 3,
    )
