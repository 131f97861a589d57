"""Who a thing is: the hash of its canonical JSON, and the readable name in front of it."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from retrace.plan.attention import Blocks, Own
from retrace.plan.layered import LayeredCnn3d, LayeredConvLstm, TimeSformerVariant
from retrace.plan.maps import Maps
from retrace.plan.model import (
    AttentionCnn,
    Cnn3d,
    CnnLstm,
    ConvLstm,
    Model,
    Rstg,
    RstgI3d,
    SinglePathway,
    SlowFast,
    SmallI3d,
    TimeSformer,
    TimeSformerVit,
    VideoCnn,
)
from retrace.plan.spec import Run, Split, VideoView, View
from retrace.plan.video import Collection


def canonical(value: Any) -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces, pydantic models as plain data."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(value: Any) -> str:
    """Return the first 8 hexadecimal digits of the SHA-256 of the canonical JSON of `value`."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:8]


def model_label(model: Model) -> str:
    """Return a short readable name of `model`, e.g. ``convlstm-n8``, ``timesformer8-n16``."""
    match model:
        case Cnn3d() | ConvLstm():
            return f"{model.family}-n{model.hidden}"
        case TimeSformer():
            return f"{model.family}{model.heads}-n{model.hidden}"
        case LayeredCnn3d() | LayeredConvLstm():
            return f"{model.family}-l{len(model.hidden)}-n{max(model.hidden)}"
        case TimeSformerVariant():
            dropped = "-dropout" if model.attention_dropout or model.ff_dropout else ""
            return f"timesformer{model.heads}-d{model.width}-l{model.layers}{dropped}" + (
                "-extra" if model.extra_linear else ""
            )
        case TimeSformerVit():
            return f"{model.family}-{model.attention}-d{model.width}-l{model.layers}-p{model.patch}"
        case VideoCnn():
            arch = "tsn" if model.temporal == "none" else model.temporal
            pooled = "-tp" if model.temporal_pooling else ""
            return f"{arch}-{model.backbone}-w{model.width}{pooled}"
        case AttentionCnn() | SinglePathway() | SlowFast():
            parts = [_backbone(model), *_block_names(model.blocks)]
            return "-".join(parts) + f"-{model.backbone}-w{model.width}"
        case Rstg():
            graph = model.graph
            variant = f"{graph.variant}-positional" if graph.positions else graph.variant
            return f"{model.family}-{variant}-{graph.adjacency}-{graph.gather}-n{graph.width}"
        case RstgI3d():
            backbone = "i3d" if model.inflated else "c2d"
            nodes = f"-{model.graph.adjacency}-n{model.graph.width}" if model.graph else ""
            return "-".join(["rstg", backbone, *model.places]) + f"-w{model.width}{nodes}"
        case CnnLstm():
            return f"{model.family}{model.extra}-n{model.width}"
        case SmallI3d():
            return f"{model.family}{'-nonlocal' if model.non_local else ''}-w{model.width}"


def _backbone(model: AttentionCnn | SinglePathway | SlowFast) -> str:
    if isinstance(model, AttentionCnn):
        return "tsm" if model.shift else "r2d"
    return model.network if isinstance(model, SinglePathway) else model.family


def _block_names(blocks: Blocks) -> Iterator[str]:
    """Yield the names that the paper has for the blocks."""
    for place, attention, suffix in (("joint", "nl", ""), ("space", "sa", "-s"), ("time", "ta", "-t")):
        block = getattr(blocks, place)
        if isinstance(block, Own):
            yield block.block.rpartition(":")[2].lower()
        elif block is not None:
            one_place = block.kind in ("tape", "gta")
            yield attention if block.kind == "attention" else block.kind + ("" if one_place else suffix)


def split_name(split: Split) -> str:
    """Return the folder name of `split` inside its dataset, e.g. ``train-4000-1a2b3c4d``."""
    return f"{split.split}-{split.clips}-{digest(split)}"


def collection_name(collection: Collection) -> str:
    """Return the folder name of `collection` inside its dataset, e.g. ``v1-1a2b3c4d``."""
    return f"v{collection.version}-{digest(collection)}"


def run_name(run: Run) -> str:
    """Return the folder name of `run` inside its dataset, e.g. ``cnn3d-n8-f20-s42-1a2b3c4d``."""
    return f"{model_label(run.model)}-f{run.task.frames}-s{run.seed}-{digest(run)}"


def view_name(view: View | VideoView) -> str:
    """Return the folder name of `view` inside a run, e.g. ``from-2dot-1a2b3c4d``."""
    return f"{view.name}-{digest(view)}"


def maps_name(maps: Maps) -> str:
    """Return the folder name of `maps` inside a run, e.g. ``rollout-1a2b3c4d``."""
    return f"{maps.map.kind}-{digest(maps)}"
