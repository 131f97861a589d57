"""The video CNNs of "Deep Analysis", small and large, for tests."""

from typing import Any

import torch
from torch import nn

from retrace.models.registry import build
from retrace.models.video_cnn import VideoCnn
from retrace.plan import model as kinds

ARCHS = {
    "TSN": "none",
    "I3D": "i3d",
    "S3D": "s3d",
    "TAM": "tam",
    "CONV": "conv",
    "TSM": "tsm",
    "NLN": "nonlocal",
}
"""The names in the tables and the values of `temporal`."""


def kind(backbone: str, temporal: str, **changes: Any) -> kinds.VideoCnn:
    """Return a model at the paper's size without temporal pooling, apart from `changes`."""
    plain = {"width": 64, "temporal_pooling": False, "dropout": 0.5, "legacy_pool4": False}
    return kinds.VideoCnn(family="video-cnn", backbone=backbone, temporal=temporal, **plain | changes)


def small(backbone: str, temporal: str, *, frames: int = 8, side: int = 32, **changes: Any) -> VideoCnn:
    """Return a narrow network for 5 classes, ready to predict, its norms as if it had been trained."""
    model = kind(backbone, temporal, **{"width": 8} | changes)
    torch.manual_seed(0)
    net = build(model, classes=5, channels=3, frames=frames, side=side)
    used(net)
    return net.eval()


def used(net: nn.Module) -> None:
    """Give every batch normalisation scales, shifts and statistics of its own."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)


def on_meta(
    backbone: str, temporal: str, *, classes: int, frames: int, side: int, **changes: Any
) -> VideoCnn:
    """Return a network without memory."""
    with torch.device("meta"):
        return build(
            kind(backbone, temporal, **changes), classes=classes, channels=3, frames=frames, side=side
        )


def transfer(source: nn.Module, target: nn.Module) -> list[str]:
    """Copy all weights of `source` into `target`; return what `target` has besides."""
    missing, unexpected = target.load_state_dict(source.state_dict(), strict=False)
    assert not unexpected
    return missing
