"""What trainings that were executed took, and so how fast this hardware is at them."""

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from retrace.cost.operations import FORWARD_PASSES, Operations
from retrace.cost.tasks import Asked, costs
from retrace.plan import counted
from retrace.plan.layout import SPEEDS, run_folder
from retrace.plan.plan import Plan
from retrace.plan.spec import Run
from retrace.plan.speed import SpeedCell

TERA = 1e12
ASSUMED_TFLOPS = 10.0


class Executed(NamedTuple):
    """A training that is over: its operations, and the seconds of GPUs, or CPUs, that it took."""

    run: Run
    hardware: str
    operations: float
    seconds: float


class Speed(NamedTuple):
    """Operations a second that training reaches on one GPU, and in words where that is known from."""

    flops: float
    source: str


def finished(plan: Plan) -> dict[str, Run]:
    """Return the runs of `plan` that were trained here, by name."""
    return {
        name: run
        for name, run in plan.runs.items()
        if all((plan.root / run_folder(run) / file).is_file() for file in ("env.json", "train.json"))
    }


def executed(plan: Plan, runs: Mapping[str, Run], operations: Operations) -> list[Executed]:
    """Return what each of `runs`, which are finished, took."""
    found = []
    for run in runs.values():
        environment, summary = (
            _read(plan.root / run_folder(run) / name) for name in ("env.json", "train.json")
        )
        hardware = str(environment["gpu"] or environment["cpu"])
        seconds = environment["wall_seconds"] * environment.get("ranks", 1)
        found.append(Executed(run, hardware, operations.training(run, summary["epochs"]), seconds))
    return found


def speed(plan: Plan, tflops: float | None, done: Iterable[Executed]) -> Speed:
    """Return the speed to reckon with: the given one, a measured one, or one that is assumed.

    `done` are trainings of this scale; of several kinds of hardware the one that worked longest counts.
    """
    if tflops is not None:
        return Speed(tflops * TERA, "given by --tflops")
    by_hardware: dict[str, list[Executed]] = defaultdict(list)
    for one in done:
        by_hardware[one.hardware].append(one)
    if by_hardware:
        hardware, most = max(by_hardware.items(), key=lambda item: sum(one.seconds for one in item[1]))
        flops = sum(one.operations for one in most) / sum(one.seconds for one in most)
        return Speed(flops, f"measured in {len(most)} trainings of this scale on {hardware}")
    return _of_rule_speed(plan) or Speed(ASSUMED_TFLOPS * TERA, "assumed; give yours with --tflops")


def _of_rule_speed(plan: Plan) -> Speed | None:
    """Return the median speed that the rule `speed` has measured at this scale, if it has."""
    found = []
    for paper in plan.papers:
        path = plan.root / SPEEDS.format(scale=plan.scale, paper=paper)
        entries, cells = _read(path) if path.is_file() else {}, counted.speeds(plan, paper)
        found += [(cells[key], entries[key]) for key in entries.keys() & cells if "seconds" in entries[key]]
    if not found:
        return None
    flops = statistics.median(_flops(plan, cell, told) for cell, told in found)
    hardware = found[0][1]["hardware"]
    return Speed(flops, f"measured by the rule `speed` on {hardware}, in single precision")


def _flops(plan: Plan, cell: SpeedCell, told: dict[str, Any]) -> float:
    asked = Asked(cell.model, cell.classes, cell.channels, cell.frames, cell.side)
    passes = FORWARD_PASSES if cell.step == "training" else 1
    work = 2.0 * passes * told["batch"] * costs(plan.root, [asked])[asked.key].multiply_adds
    return work / statistics.median(told["seconds"])


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))
