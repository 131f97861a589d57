"""SlowFast and the networks of a single pathway, small and large, for tests."""

from typing import Any

import torch
from torch import nn

from attention_blocks import blocks
from retrace.models.registry import build
from retrace.plan import model as kinds

R50 = ("layer2.1", "layer2.3", "layer3.1", "layer3.3", "layer3.5")
R101 = ("layer3.6", "layer3.13", "layer3.20")

Kind = kinds.SinglePathway | kinds.SlowFast


def single(network: str, places: dict[str, Any] | None = None, **changes: Any) -> kinds.SinglePathway:
    """Return a network at full width, apart from `changes`."""
    plain = {"backbone": "resnet50", "width": 64, "positions": R50, "dropout": 0.5}
    return kinds.SinglePathway(
        family="single-pathway", network=network, blocks=blocks(**places or {}), **plain | changes
    )


def slowfast(places: dict[str, Any] | None = None, **changes: Any) -> kinds.SlowFast:
    """Return SlowFast 8x8 or 16x8 R50, apart from `changes`."""
    plain = {"backbone": "resnet50", "width": 64, "alpha": 4, "beta_inverse": 8, "lateral_time": 7}
    depth = {"slow_res4": 6, "fast_res4": 6, "positions": R50, "dropout": 0.5}
    return kinds.SlowFast(family="slowfast", blocks=blocks(**places or {}), **plain | depth | changes)


def slowfast_101(places: dict[str, Any] | None = None, **changes: Any) -> kinds.SlowFast:
    """Return SlowFast R101 whose res4 looks around everywhere in both pathways, apart from `changes`."""
    plain = {"backbone": "resnet101", "lateral_time": 5, "slow_res4": 23, "fast_res4": 23, "positions": R101}
    return slowfast(places, **plain | changes)


def made(model: Kind, *, frames: int = 8, side: int = 32) -> nn.Module:
    """Return a new network for 5 classes."""
    torch.manual_seed(0)
    return build(model, classes=5, channels=3, frames=frames, side=side)
