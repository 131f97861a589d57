"""What one clip costs each model that is trained or asked: counted once, and kept.

What full size needs is kept in COUNTED, which comes with the code, for counting takes a minute; what is new
since then in results/costs/tasks.json.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from retrace.files import write_text
from retrace.plan.identity import digest
from retrace.plan.layout import TASKS
from retrace.plan.model import Model

COUNTED = Path(__file__).parent / "counted.json"


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
    own = _read(path) if path.is_file() else {}
    known = own | _read(COUNTED)
    missing = {key: one for key, one in wanted.items() if key not in known}
    if missing:
        known |= (new := _counted(missing))
        write_text(path, _text(own | new))
    return {key: Cost(*known[key]) for key in wanted}


def recount(asked: Iterable[Asked]) -> None:
    """Write COUNTED anew, with all that is `asked` and nothing else."""
    write_text(COUNTED, _text(_counted({one.key: one for one in asked})))


def _counted(asked: dict[str, Asked]) -> dict[str, Cost]:
    return {key: count(one) for key, one in tqdm(asked.items(), desc="counting", leave=False, disable=None)}


def _read(path: Path) -> dict[str, Cost]:
    return {key: Cost(*cost) for key, cost in json.loads(path.read_text(encoding="utf-8")).items()}


def _text(known: dict[str, Cost]) -> str:
    """Return `known` as JSON with a line for each, so that a difference is a line."""
    lines = (f"{json.dumps(key)}: {json.dumps(list(cost))}" for key, cost in sorted(known.items()))
    return "{\n" + ",\n".join(lines) + "\n}\n"


def count(one: Asked) -> Cost:
    """Count one anew, on the meta device."""
    import torch

    from retrace.cost.count import multiply_adds, parameters
    from retrace.models.registry import build

    with torch.device("meta"):
        model = build(one.model, classes=one.classes, channels=one.channels, frames=one.frames, side=one.side)
    clip = (1, one.frames, one.channels, one.side, one.side)
    return Cost(parameters(model), multiply_adds(model, clip))
