"""What one clip costs each model that is trained or asked: counted once, kept in results/costs/tasks.json."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from retrace.files import write_text
from retrace.plan.identity import digest
from retrace.plan.layout import TASKS
from retrace.plan.model import Model


class Asked(NamedTuple):
    """A model and the clips that it is shown."""

    model: Model
    classes: int
    channels: int
    frames: int
    side: int

    @property
    def key(self) -> str:
        return digest([self.model.model_dump(mode="json"), *self[1:]])


class Cost(NamedTuple):
    """The parameters of a model, and the multiply-adds of a forward pass on one clip."""

    parameters: int
    multiply_adds: int


def costs(root: Path, asked: Iterable[Asked]) -> dict[str, Cost]:
    """Return the cost of everything in `asked` by its key; what is not known yet is counted and kept."""
    path, wanted = root / TASKS, {one.key: one for one in asked}
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    missing = [key for key in wanted if key not in known]
    for key in tqdm(missing, desc="counting", leave=False, disable=None):
        known[key] = _count(wanted[key])
    if missing:
        write_text(path, json.dumps(known, indent=1, sort_keys=True) + "\n")
    return {key: Cost(*known[key]) for key in wanted}


def _count(one: Asked) -> Cost:
    import torch

    from retrace.cost.count import multiply_adds, parameters
    from retrace.models.registry import build

    with torch.device("meta"):
        model = build(one.model, classes=one.classes, channels=one.channels, frames=one.frames, side=one.side)
    clip = (1, one.frames, one.channels, one.side, one.side)
    return Cost(parameters(model), multiply_adds(model, clip))
