"""The points that a figure draws: one for every run, and those on record at full size."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from retrace.plan.expand import Cell
from retrace.plan.page import ScoreCell
from retrace.plan.plan import Plan
from retrace.report.outcome import Outcome, run_label
from retrace.report.results import RECORD, Results

FULL_SIZE = "paper"
"""The scale whose runs are the papers' own size: what is on record belongs to it."""
ALL = "all"
COLUMNS = ("panel", "series", "x", "seed", "value", "run", "scale", "n_clips")


def measured_points(plan: Plan, outcomes: list[tuple[Cell, Outcome]]) -> pd.DataFrame:
    """Return a point for every run of every measured cell: columns COLUMNS, x a number."""
    lines = [
        _line(cell, run.seed, value, run_label(run), plan.scale, found.n_clips)
        for cell, found in outcomes
        for run, value in found.per_seed
    ]
    return pd.DataFrame(lines, columns=list(COLUMNS))


def recorded_points(plan: Plan, results: Results, paper: str, key: str) -> pd.DataFrame:
    """Return a point for every accepted full-size number of the figure; none if this scale is full size."""
    lines: list[list[Any]] = []
    record = results.on_record(paper)
    if not (plan.scale == FULL_SIZE or record.empty):
        numbers = {
            (run, view, domain): (top1, n)
            for run, view, domain, top1, n in record[list(RECORD[:5])].itertuples(index=False)
        }
        for cell in Plan(plan.root, FULL_SIZE).cells(paper, key):
            lines += _recorded(cell, numbers)
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _recorded(cell: Cell, numbers: dict[tuple[str, str, str], tuple[float, int]]) -> Iterator[list[Any]]:
    definition = cell.definition
    if not isinstance(definition, ScoreCell) or definition.measure not in ("top1", "ratio"):
        return
    for run in cell.runs:
        name = run_label(run)
        found = numbers.get((name, definition.view, definition.domain))
        below = numbers.get((name, definition.view, definition.over or definition.domain))
        if found is None or below is None:
            continue
        value = found[0] / below[0] if definition.over else found[0]
        yield _line(cell, run.seed, value, name, f"{FULL_SIZE}, on record", found[1])


def panel_of(cell: Cell) -> str:
    """Return the key of the panel that `cell` stands in; ALL where a figure has one panel without a name."""
    return dict(cell.place.axes).get("panel", ALL)


def _line(cell: Cell, seed: int, value: float, run: str, scale: str, n_clips: int) -> list[Any]:
    axes = dict(cell.place.axes)
    return [panel_of(cell), axes.get("series", ALL), float(axes["x"]), seed, value, run, scale, n_clips]
