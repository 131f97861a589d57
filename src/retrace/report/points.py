"""The points that a figure draws: ours, those on record at full size, and what is published."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pandas as pd

from retrace.errors import UserError
from retrace.plan import counted
from retrace.plan.cell import ScoreCell
from retrace.plan.expand import Cell
from retrace.plan.items import Figure
from retrace.plan.layout import COSTS
from retrace.plan.plan import Plan
from retrace.report.outcome import Outcome, of_cost, run_label
from retrace.report.results import RECORD, Results
from retrace.report.verdict import quoted

FULL_SIZE = "paper"
"""The scale whose runs are the papers' own size: what is on record belongs to it."""
ALL = "all"
COLUMNS = ("panel", "series", "x", "seed", "value", "run", "scale", "n_clips")


class Points(NamedTuple):
    """What a figure draws; each a table with the columns COLUMNS, x a number."""

    measured: pd.DataFrame
    recorded: pd.DataFrame
    published: pd.DataFrame

    @property
    def nothing(self) -> bool:
        return all(points.empty for points in self)

    def together(self) -> pd.DataFrame:
        """Return all points in one table."""
        rows = [row for points in self for row in points.itertuples(index=False)]
        return pd.DataFrame(rows, columns=list(COLUMNS))


def points_of(
    plan: Plan, results: Results, paper: str, key: str, outcomes: list[tuple[Cell, Outcome]]
) -> Points:
    """Return the points of one figure: of every run of every measured cell, on record, and published.

    Raises UserError where a point stands at a cost that is not counted.
    """
    lines = (
        (_line(plan, results, cell, (run.seed, value, run_label(run), plan.scale, found.n_clips)))
        for cell, found in outcomes
        for run, value in found.per_seed
    )
    printed = (
        _line(plan, results, cell, (None, number.value, None, "published", None))
        for cell, _ in outcomes
        if (number := quoted(cell.published)) is not None
    )
    recorded = _recorded(plan, results, paper, key)
    return Points(*(pd.DataFrame(list(rows), columns=list(COLUMNS)) for rows in (lines, recorded, printed)))


def _recorded(plan: Plan, results: Results, paper: str, key: str) -> Iterator[list[Any]]:
    """Yield a point for every accepted full-size number of the figure; none if this scale is full size."""
    record = results.on_record(paper)
    if plan.scale == FULL_SIZE or record.empty:
        return
    numbers = {
        (run, view, domain): (top1, n)
        for run, view, domain, top1, n in record[list(RECORD[:5])].itertuples(index=False)
    }
    for cell in Plan(plan.root, FULL_SIZE).cells(paper, key):
        for made in _of_record(cell, numbers):
            yield _line(plan, results, cell, made)


def _of_record(
    cell: Cell, numbers: dict[tuple[str, str, str], tuple[float, int]]
) -> Iterator[tuple[Any, ...]]:
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
        yield run.seed, value, name, f"{FULL_SIZE}, on record", found[1]


def panel_of(cell: Cell) -> str:
    """Return the key of the panel that `cell` stands in; ALL where a figure has one panel without a name."""
    return dict(cell.place.axes).get("panel", ALL)


def _line(plan: Plan, results: Results, cell: Cell, made: tuple[Any, ...]) -> list[Any]:
    """Return one row; `made` is all from the column `seed` on."""
    series = dict(cell.place.axes).get("series", ALL)
    return [panel_of(cell), series, _x(plan, results, cell), *made]


def _x(plan: Plan, results: Results, cell: Cell) -> float:
    """Return where on the x axis `cell` stands: at its key, or at what its whole test costs in GMAC."""
    item, scored = plan.item(cell.place.paper, cell.place.item), isinstance(cell.definition, ScoreCell)
    if not (isinstance(item, Figure) and item.draw == "accuracy_by_cost" and scored):
        return float(dict(cell.place.axes)["x"])
    cost, n_views = counted.test_cost(plan, cell)
    found = of_cost(cell.place.paper, cost, results)
    if not isinstance(found.value, float):
        raise UserError(f"{cell.place}: {found.reason}: snakemake {COSTS.format(paper=cell.place.paper)}")
    return n_views * found.value
