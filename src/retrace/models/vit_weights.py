"""Weights for `TimeSformerVit` from an image ViT of timm.

Functions on state dicts. `fresh` is that of a newly built model and says which names and shapes are wanted.
A classifier of another size, or none, is left as `fresh` has it.
"""

import math
from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from retrace.errors import UserError

Weights = Mapping[str, Tensor]
Resize = Literal["bicubic", "flat-nearest"]
"""How a table of positions is resized: over the grid of patches, or as the released code does it."""


def from_image_vit(image: Weights, fresh: Weights, resize: Resize = "bicubic") -> dict[str, Tensor]:
    """Return weights that let the model start as the ViT of `image`, which has timm's names.

    Attention over time and its norm are copies of those over space; the linear map behind it and the table
    of times are zero (TimeSformer, supplement, section 1, and the released code). Raises UserError if names
    or shapes do not fit.
    """
    found = dict(image)
    for name, tensor in fresh.items():
        over_space = name.replace("temporal_", "")
        if name == "time_embed" or ".temporal_fc." in name:
            found[name] = torch.zeros_like(tensor)
        elif over_space != name and over_space in image:
            found[name] = image[over_space]
    found = with_tables_of(fresh, found, resize)
    if "head.weight" not in found or found["head.weight"].shape != fresh["head.weight"].shape:
        found |= {name: fresh[name] for name in ("head.weight", "head.bias")}
    _refuse_misfits(found, fresh)
    return {name: found[name].detach().to(tensor, copy=True) for name, tensor in fresh.items()}


def with_tables_of(fresh: Weights, found: Weights, resize: Resize = "bicubic") -> dict[str, Tensor]:
    """Return `found` with its tables of positions and times, where it has any, in the sizes of `fresh`."""
    weights = dict(found)
    if "pos_embed" in weights:
        grid = math.isqrt(fresh["pos_embed"].shape[1] - 1)
        weights["pos_embed"] = resize_positions(weights["pos_embed"], grid, resize)
    if "time_embed" in weights and "time_embed" in fresh:
        weights["time_embed"] = resize_times(weights["time_embed"], fresh["time_embed"].shape[1])
    return weights


def resize_positions(table_1SD: Tensor, grid: int, resize: Resize = "bicubic") -> Tensor:
    """Return a table of cls and `grid` x `grid` patches, (1, 1 + grid², D), from one of another grid.

    "bicubic" interpolates over rows and columns. "flat-nearest" takes the nearest entry of the list of
    patches, as the released code does when it loads weights: from 14 to 28, row r becomes half of row r // 2,
    the left half if r is even, each entry four times. Raises UserError if the patches fill no square.
    """
    cls_11D, patches_1ND = table_1SD[:, :1], table_1SD[:, 1:]
    count = patches_1ND.shape[1]
    if count == grid**2:
        return table_1SD
    patches_1DN = patches_1ND.transpose(1, 2)
    if resize == "flat-nearest":
        resized_1DN = F.interpolate(patches_1DN, grid**2, mode="nearest")
    else:
        side = math.isqrt(count)
        if side**2 != count:
            raise UserError(f"a table of {count} positions is not that of a square grid of patches")
        square = patches_1DN.unflatten(2, (side, side))
        resized_1DN = F.interpolate(square, (grid, grid), mode="bicubic", antialias=True).flatten(2)
    return torch.cat([cls_11D, resized_1DN.transpose(1, 2)], 1)


def resize_times(table_1TD: Tensor, frames: int) -> Tensor:
    """Return a table of `frames` times, (1, frames, D): the nearest entries of one of another length."""
    return F.interpolate(table_1TD.transpose(1, 2), frames, mode="nearest").transpose(1, 2)


def _refuse_misfits(found: Weights, fresh: Weights) -> None:
    shapes = [{name: tuple(tensor.shape) for name, tensor in w.items()} for w in (found, fresh)]
    differing = [
        f"{name}: found {shapes[0].get(name, 'nothing')}, expected {shapes[1].get(name, 'nothing')}"
        for name in sorted(shapes[0].keys() | shapes[1].keys())
        if shapes[0].get(name) != shapes[1].get(name)
    ]
    if differing:
        raise UserError("the weights do not fit the model:\n  " + "\n  ".join(differing))
