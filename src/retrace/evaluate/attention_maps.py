"""What attention blocks look at, and which regions GTA finds (He et al., "GTA", 2021, Figures 1, 3, 6 and 7).

x_BTCHW is one clip, B = 1. A map has R x C cells over each of the T frames.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retrace.errors import UserError
from retrace.models.attention_cnn import AttentionCnn
from retrace.models.blocks.attention import Attention, DotProduct, HalfMax, Subsample
from retrace.models.blocks.gta import Gta
from retrace.models.blocks.inner import OnFrames
from retrace.models.blocks.temporal_attention import TemporalAttention
from retrace.models.blocks.token_sets import Over, to_sets
from retrace.models.insert import InFrames

ByName = dict[str, Tensor]


class Query(NamedTuple):
    """The place that attends: a frame, and a row and a column of the feature map."""

    frame: int
    row: int
    column: int


def looks(model: nn.Module, stage: str, x_BTCHW: Tensor, *, swapped: bool) -> ByName:
    """Return what the query sees in the last unit of `stage` (``layer2``): maps (T, R, C) that add up to 1.

    query: 1 at the place that attends. joint: over all frames. spatial: over the query's frame, and nothing
    elsewhere. temporal: over the frames at the query's place, (T, 1, 1). swapped: the spatial and the
    temporal block use each other's projections for query and key, without training again.
    Raises UserError if there are no such blocks.
    """
    unit, seen = _unit(model, stage, x_BTCHW)
    blocks = list(unit)
    query = most_moving(x_BTCHW, *seen[blocks[0]].shape[3:])
    marked = {"query": torch.zeros_like(seen[blocks[0]][0, :, 0])}
    marked["query"][query] = 1
    match blocks:
        case [Attention(over="space-time") as joint] if not isinstance(joint, DotProduct):
            return marked | {"joint": _over_clip(joint, seen[joint], query)}
        case [Attention(over="space") as space, TemporalAttention(groups=1, code=None) as time] if (
            not isinstance(space, DotProduct)
        ):
            maps = marked | {
                "spatial": _over_frame(space, seen[space], query, space.subsample),
                "temporal": _over_time(time, seen[time], query),
            }
            if swapped:
                maps["spatial, swapped"] = _over_frame(time, seen[space], query, space.subsample)
                maps["temporal, swapped"] = _over_time(space, seen[time], query)
            return maps
    raise UserError(f"{stage}: expected one joint attention block, or a spatial and a temporal one")


def regions(model: nn.Module, stage: str, x_BTCHW: Tensor, *, shown: int) -> ByName:
    """Return the strength |g| of the `shown` strongest regions of the last unit of `stage`, (T, H, W) each.

    Strongest: of the largest mean over the clip. Raises UserError if the unit has no region branch.
    """
    unit, seen = _unit(model, stage, x_BTCHW)
    gta = unit[-1]
    if not (isinstance(gta, Gta) and "region" in gta.branches):
        raise UserError(f"{stage}: there is no region branch of GTA")
    v_BTCHW = gta.value(seen[gta]).chunk(len(gta.branches), dim=2)[list(gta.branches).index("region")]
    g_TPK = gta.branches["region"].map(to_sets(v_BTCHW, "space")[0])
    g_KTHW = g_TPK.abs().permute(2, 0, 1).unflatten(2, v_BTCHW.shape[3:])
    strongest = g_KTHW.flatten(1).mean(1).argsort(descending=True)[:shown]
    return {f"region {number + 1}": g_KTHW[k] for number, k in enumerate(strongest.tolist())}


def temporal_matrix(model: nn.Module, stage: str, x_BTCHW: Tensor) -> Tensor:
    """Return the pixel branch's |mean of M over groups and heads| in the last unit of `stage`, (T, 1, T).

    Row t holds how much output frame t takes from each input frame. It does not depend on the clip.
    Raises UserError if the unit has no pixel branch.
    """
    gta = _unit(model, stage, x_BTCHW)[0][-1]
    if not (isinstance(gta, Gta) and "pixel" in gta.branches):
        raise UserError(f"{stage}: there is no pixel branch of GTA")
    return gta.branches["pixel"].matrices.flatten(0, -3).mean(0).abs()[:, None]


def most_moving(x_BTCHW: Tensor, height: int, width: int) -> Query:
    """Return the place in the middle frame where the pixels vary most over the clip."""
    varies_CHW = x_BTCHW[0].std(0)
    place = F.adaptive_avg_pool2d(varies_CHW, (height, width)).mean(0).argmax().item()
    return Query(x_BTCHW.shape[1] // 2, *divmod(int(place), width))


def _over_clip(block: Attention, x_BTCHW: Tensor, query: Query) -> Tensor:
    height, width = x_BTCHW.shape[3:]
    token = (query.frame * height + query.row) * width + query.column
    seen_S = affinity(block, x_BTCHW, "space-time", block.subsample)[0, token]
    return seen_S.unflatten(0, (x_BTCHW.shape[1], *_pooled(block.subsample, height, width)))


def _over_frame(
    block: Attention | TemporalAttention, x_BTCHW: Tensor, query: Query, subsample: Subsample
) -> Tensor:
    height, width = x_BTCHW.shape[3:]
    seen_S = affinity(block, x_BTCHW, "space", subsample)[query.frame, query.row * width + query.column]
    map_TS = torch.zeros(x_BTCHW.shape[1], len(seen_S), device=seen_S.device)
    map_TS[query.frame] = seen_S
    return map_TS.unflatten(1, _pooled(subsample, height, width))


def _over_time(block: Attention | TemporalAttention, x_BTCHW: Tensor, query: Query) -> Tensor:
    place = query.row * x_BTCHW.shape[4] + query.column
    return affinity(block, x_BTCHW, "time", "none")[place, query.frame][:, None, None]


def _pooled(subsample: Subsample, height: int, width: int) -> tuple[int, int]:
    return (height, width) if subsample == "none" else (max(height // 2, 1), max(width // 2, 1))


def _unit(model: nn.Module, stage: str, x_BTCHW: Tensor) -> tuple[nn.Sequential, dict[nn.Module, Tensor]]:
    """Return the last unit of a stage and what each of its blocks is given."""
    if not isinstance(model, AttentionCnn):
        raise UserError(
            f"maps of attention need a model of family attention-cnn, not a {type(model).__name__}"
        )
    units = [part for part in model.trunk.get_submodule(stage) if isinstance(part, InFrames)]
    if not units or not isinstance(unit := units[-1].block, nn.Sequential) or not len(unit):
        raise UserError(f"the model has no attention block in {stage}")
    seen: dict[nn.Module, Tensor] = {}

    def keep(block: nn.Module, given: tuple[Tensor, ...]) -> None:
        seen[block] = given[0]

    hooks = [block.register_forward_pre_hook(keep) for block in unit]
    try:
        model(x_BTCHW)
    finally:
        for hook in hooks:
            hook.remove()
    return unit, seen


def affinity(
    block: Attention | TemporalAttention, x_BTCHW: Tensor, over: Over, subsample: Subsample
) -> Tensor:
    """Return softmax(q k^T / sqrt(c)) by the projections of `block`, (M sets, L tokens, S keys)."""
    pool = OnFrames(HalfMax())
    seen = pool(x_BTCHW) if subsample == "before" else x_BTCHW
    k = block.key(seen)
    q_MLC, k_MSC = (
        to_sets(of, over)[0] for of in (block.query(x_BTCHW), pool(k) if subsample == "after" else k)
    )
    return (q_MLC @ k_MSC.transpose(1, 2) * q_MLC.shape[2] ** -0.5).softmax(2)
