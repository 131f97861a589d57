"""Weights matched by validation accuracy: which epoch answered, and whether it came near enough."""

from typing import Any

from retrace.errors import UserError
from retrace.plan.expand import Cell
from retrace.plan.layout import run_folder
from retrace.plan.spec import Run, VideoView, View
from retrace.report.results import Results

_MONITOR = "monitor/val_top1"
_ROUNDING = 1e-9
"""Binary fractions: 0.325 - 0.3 is not 0.025."""


def epoch(run: Run, view: View | VideoView, results: Results) -> int:
    """Return after how many epochs the weights of `run` were taken that `view` asks.

    Raises UserError where train.json, which knows, is missing or does not say.
    """
    at = view.at if isinstance(view, VideoView) else None
    return int(
        _report(run, results, "kept_epoch") if at is None else _entry(run, at.accuracy, results)["epoch"]
    )


def in_words(run: Run, view: View | VideoView, results: Results) -> str:
    """Return at which accuracy the weights that `view` asks validated, or nothing where it asks for none.

    Raises UserError as `epoch` does.
    """
    at = view.at if isinstance(view, VideoView) else None
    if at is None:
        return ""
    found = _entry(run, at.accuracy, results)
    validated = f"epoch {found['epoch']} validated at {100 * found[_MONITOR]:.4g} %"
    return f"asked at {100 * at.accuracy:g} %: {validated}"


def too_far(cell: Cell, results: Results) -> str:
    """Return why the weights that a cell asks do not count as matched, or nothing where they do.

    Raises UserError as `epoch` does.
    """
    for part in cell.trained():
        at = part.view.at if isinstance(part.view, VideoView) else None
        for run in part.runs if at else ():
            assert at is not None
            found = _entry(run, at.accuracy, results)
            if abs(found[_MONITOR] - at.accuracy) > at.within + _ROUNDING:
                wanted = f"within {100 * at.within:g} points of {100 * at.accuracy:g} %"
                nearest = f"epoch {found['epoch']}, at {100 * found[_MONITOR]:.1f} %"
                return f"no epoch validated {wanted}; the nearest is {nearest}"
    return ""


def _entry(run: Run, accuracy: float, results: Results) -> dict[str, float]:
    for entry in _report(run, results, "matched"):
        if entry["accuracy"] == accuracy:
            return entry
    raise UserError(f"{run_folder(run)}/train.json names no epoch for the accuracy {accuracy}")


def _report(run: Run, results: Results, key: str) -> Any:
    report = results.of_run(run, "train.json") or {}
    if key not in report:
        raise UserError(f"{run_folder(run)}/train.json does not tell '{key}': train the run again")
    return report[key]
