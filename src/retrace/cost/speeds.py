"""The speeds of one paper's models on the machine at hand."""

import json
from pathlib import Path
from typing import Any

import torch

from retrace.cost.machine import Cpu, Gpu, machine
from retrace.cost.speed import measured
from retrace.errors import UserError
from retrace.files import write_text
from retrace.models.registry import build
from retrace.plan import counted
from retrace.plan.layout import SPEEDS
from retrace.plan.plan import Plan
from retrace.plan.speed import SpeedCell


def write(plan: Plan, paper: str) -> None:
    """Measure every model in the speed cells of `paper`, as the scale has them, and write them as JSON.

    The file maps the digest of a cell (see `Plan.speeds`) to what `retrace.cost.speed.measured` returns, or
    to a ``reason`` why there is nothing.
    """
    plan.require(paper)
    here = machine()
    speeds = {key: _measure(cell, here) for key, cell in sorted(counted.speeds(plan, paper).items())}
    path = Path(plan.root) / SPEEDS.format(scale=plan.scale, paper=paper)
    write_text(path, json.dumps(speeds, indent=1) + "\n")


def _measure(cell: SpeedCell, here: Gpu | Cpu) -> dict[str, Any]:
    if cell.device == "gpu" and not isinstance(here, Gpu):
        return {"reason": "no GPU here when it was to be measured"}
    torch.manual_seed(0)
    try:
        model = build(
            cell.model, classes=cell.classes, channels=cell.channels, frames=cell.frames, side=cell.side
        )
    except UserError as error:
        return {"reason": str(error)}
    x_shape_TCHW = (cell.frames, cell.channels, cell.side, cell.side)
    return measured(model, x_shape_TCHW, cell.step, cell.most, here)
