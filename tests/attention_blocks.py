"""The attention blocks, by name, as their page types have them: for tests."""

from typing import Any

import torch
from torch import Tensor, nn

from retrace.models.blocks.unit import attention_unit
from retrace.models.insert import Site
from retrace.plan.attention import Blocks
from retrace.plan.model import AttentionCnn
from video_cnns import used

PLACES = ("layer2.0", "layer2.2", "layer3.0", "layer3.2", "layer3.4")


def attention(reduction: int, subsample: str) -> dict[str, Any]:
    return {"kind": "attention", "reduction": reduction, "subsample": subsample}


def dot_product(reduction: int, subsample: str) -> dict[str, Any]:
    return {"kind": "dot-product", "reduction": reduction, "subsample": subsample}


def tape(**changes: Any) -> dict[str, Any]:
    plain = {"reduction": 4, "code": "sinusoid", "code_in_values": True, "groups": 1}
    return {"kind": "tape", **plain, **changes}


def gta(**changes: Any) -> dict[str, Any]:
    plain = {"reduction": 4, "pixels": True, "region_reduction": 8, "groups": 8, "cross_channel": True}
    return {"kind": "gta", **plain, **changes}


def cgnl(reduction: int, groups: int = 8) -> dict[str, Any]:
    return {"kind": "cgnl", "reduction": reduction, "groups": groups}


def gcnet(reduction: int) -> dict[str, Any]:
    return {"kind": "gcnet", "reduction": reduction}


def glore(reduction: int) -> dict[str, Any]:
    return {"kind": "glore", "reduction": reduction}


NL, SA, TA = attention(2, "after"), attention(4, "after"), attention(4, "none")
SMALL = {"region_reduction": 2, "groups": 4}
"""What suits a GTA block that is 8 channels wide inside."""

BLIND: dict[str, dict[str, Any]] = {
    "NL": {"joint": NL},
    "NL, pooled before": {"joint": attention(2, "before")},
    "NL without softmax": {"joint": dot_product(2, "before")},
    "SA": {"space": SA},
    "TA": {"time": TA},
    "DNL": {"space": SA, "time": TA},
    "CGNL": {"joint": cgnl(2)},
    "decoupled CGNL": {"space": cgnl(4), "time": cgnl(4)},
    "GCNet": {"joint": gcnet(4)},
    "decoupled GCNet": {"space": gcnet(4), "time": gcnet(4)},
    "GloRe": {"joint": glore(4)},
    "decoupled GloRe": {"space": glore(8), "time": glore(8)},
}
"""Units that cannot tell the order of frames; 32 channels suit them all."""

SEEING: dict[str, dict[str, Any]] = {
    "TAPE": {"time": tape()},
    "learnt TAPE": {"time": tape(code="learned")},
    "TAPE, code in q and k": {"time": tape(code_in_values=False)},
    "TAPE with CCMH": {"time": tape(groups=4)},
    "GTA": {"space": SA, "time": gta(**SMALL)},
    "pixel GTA": {"time": gta(**SMALL | {"region_reduction": None})},
    "region GTA": {"time": gta(**SMALL, pixels=False)},
    "multi-head GTA": {"time": gta(**SMALL, cross_channel=False)},
    "single GTA": {"time": gta(region_reduction=2, groups=1, cross_channel=False)},
}
"""Units that can."""

UNITS = BLIND | SEEING


def blocks(joint: Any = None, space: Any = None, time: Any = None) -> Blocks:
    return Blocks(joint=joint, space=space, time=time)


def unit(places: dict[str, Any], *, channels: int = 32, frames: int = 4) -> nn.Sequential:
    """Return new blocks in double precision."""
    torch.manual_seed(0)
    return attention_unit(blocks(**places), Site("layer2.0", channels, frames)).double()


def awake(net: nn.Module) -> nn.Module:
    """Return `net`, ready to predict, with norms as if trained and nothing left at zero."""
    used(net)
    for parameter in net.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.3)
    return net.eval()


def spec(places: dict[str, Any], **changes: Any) -> AttentionCnn:
    """Return R2D-50 with blocks at the usual places, apart from `changes`."""
    plain = {"backbone": "resnet50", "width": 64, "shift": False, "positions": PLACES, "dropout": 0.5}
    return AttentionCnn(family="attention-cnn", blocks=blocks(**places), **plain | changes)


def clips(*shape: int) -> Tensor:
    """Return random x_BTCHW in double precision, in the memory layout of a 2D network's features."""
    torch.manual_seed(1)
    x = torch.randn(shape, dtype=torch.float64)
    return x.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
