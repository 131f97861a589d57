"""The costs of one paper's models, all in one process: importing torch takes longer than counting."""

import json
from pathlib import Path
from typing import Any

from retrace.cost.count import parameters, work
from retrace.cost.shapes import output_shapes
from retrace.files import write_text
from retrace.models.registry import build
from retrace.plan import counted
from retrace.plan.cell import CountedCell
from retrace.plan.layout import COSTS
from retrace.plan.plan import Plan


def write(plan: Plan, paper: str) -> None:
    """Count every model in the cost cells of `paper`, at the paper's own size, and write them as JSON.

    The file maps the digest of a model at its size (see `Plan.costs`) to its parameters, its multiply-adds
    per clip, those of its convolutions and, where sizes of layers are printed, those.
    """
    plan.require(paper)
    layers = counted.layers(plan, paper)
    networks = sorted(counted.costs(plan, paper).items())
    costs = {key: _count(cell, layers.get(key, [])) for key, cell in networks}
    path = Path(plan.root) / COSTS.format(paper=paper)
    write_text(path, json.dumps(costs, indent=1) + "\n")


def _count(cell: CountedCell, layers: list[str]) -> dict[str, Any]:
    import torch

    with torch.device("meta"):
        model = build(
            cell.model, classes=cell.classes, channels=cell.channels, frames=cell.frames, side=cell.side
        )
    shape_BTCHW = (1, cell.frames, cell.channels, cell.side, cell.side)
    counted = work(model, shape_BTCHW)
    shapes = output_shapes(model, shape_BTCHW, layers) if layers else {}
    return {
        "parameters": parameters(model),
        "multiply_adds": counted.all,
        "conv_multiply_adds": counted.convolutions,
        **({"shapes": shapes} if shapes else {}),
    }
