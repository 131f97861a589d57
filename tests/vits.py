"""Small and full-size TimeSformers on a ViT, for tests."""

import torch
from torch import Tensor

from retrace.models.registry import build
from retrace.models.timesformer_vit import TimeSformerVit
from retrace.plan import model as kinds

BASE = {"width": 768, "layers": 12, "heads": 12, "patch": 16, "mlp_ratio": 4, "qkv_bias": True}
TINY = {"width": 12, "layers": 2, "heads": 3, "patch": 2, "mlp_ratio": 2, "qkv_bias": True}
FRAMES, GRID, CLASSES = 3, 2, 5
DIVIDED = ("time-first", "space-first", "parallel")
EVERY = (*DIVIDED, "joint", "space-only")


def spec(attention: str, sizes: dict, drop_path: float = 0.1) -> kinds.TimeSformerVit:
    """Return a model's definition."""
    whole = {
        "family": "timesformer-vit",
        "attention": attention,
        "drop_path": drop_path,
        "init_std": 0.02,
        "time_std": 0,
        **sizes,
    }
    return kinds.TimeSformerVit.model_validate(whole)


def tiny(attention: str, frames: int = FRAMES, *, spread: float | None = 0.5) -> TimeSformerVit:
    """Return a small model in float64, in evaluation mode, with every parameter drawn anew.

    `spread` None leaves the parameters as they were initialised.
    """
    torch.manual_seed(0)
    side = GRID * TINY["patch"]
    model = build(spec(attention, TINY), classes=CLASSES, channels=3, frames=frames, side=side)
    if spread is not None:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(0, spread)
    return model.double().eval()


def clips(frames: int = FRAMES) -> Tensor:
    """Return two random clips (B, T, C, H, W)."""
    side = GRID * TINY["patch"]
    return torch.rand((2, frames, 3, side, side), dtype=torch.double, generator=torch.manual_seed(1))
