"""The costs of one paper's models, all in one process: importing torch takes longer than counting."""

import json
from pathlib import Path

from retrace.cost.count import parameters, work
from retrace.files import write_text
from retrace.models.registry import build
from retrace.plan.cell import CostCell
from retrace.plan.layout import COSTS
from retrace.plan.plan import Plan


def write(plan: Plan, paper: str) -> None:
    """Count every model in the cost cells of `paper`, at the paper's own size, and write them as JSON.

    The file maps the digest of a cell (see `Plan.costs`) to its parameters, its multiply-adds per clip and
    those of its convolutions.
    """
    plan.require(paper)
    costs = {key: _count(cell) for key, cell in sorted(plan.costs(paper).items())}
    path = Path(plan.root) / COSTS.format(paper=paper)
    write_text(path, json.dumps(costs, indent=1) + "\n")


def _count(cell: CostCell) -> dict[str, int]:
    import torch

    with torch.device("meta"):
        model = build(
            cell.model, classes=cell.classes, channels=cell.channels, frames=cell.frames, side=cell.side
        )
    shape_BTCHW = (1, cell.frames, cell.channels, cell.side, cell.side)
    counted = work(model, shape_BTCHW)
    return {
        "parameters": parameters(model),
        "multiply_adds": counted.all,
        "conv_multiply_adds": counted.convolutions,
    }
