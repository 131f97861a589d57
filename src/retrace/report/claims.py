"""Claims: the orderings that the papers argue, decided on our scores by a bootstrap."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from retrace.errors import UserError
from retrace.evaluate.uncertainty import Interval, interval
from retrace.files import write_text
from retrace.plan.expand import Cell
from retrace.plan.layout import CLAIMS
from retrace.plan.page import Claim, Comparison, Side
from retrace.plan.plan import Plan
from retrace.plan.speed import SpeedCell
from retrace.report import speed
from retrace.report.measure import measure
from retrace.report.outcome import outcome, run_label
from retrace.report.rests_on import active
from retrace.report.results import Results

VERDICTS = ("holds", "fails", "undecided", "not run")


class Compared(NamedTuple):
    """One comparison: how far `more` is ahead beyond what the claim asks for, or why nobody knows."""

    says: str
    cells: tuple[Cell, ...]
    margin: Interval | None
    reason: str = ""


class Decision(NamedTuple):
    """A claim and what our scores say to it. `margin` is the smallest of its comparisons'."""

    paper: str
    key: str
    claim: Claim
    verdict: str
    reason: str
    margin: Interval | None
    compared: tuple[Compared, ...]

    def runs(self) -> tuple[str, ...]:
        """Return the names of the runs that it was decided on."""
        cells = [cell for comparison in self.compared for cell in comparison.cells]
        return tuple(dict.fromkeys(run_label(run) for cell in cells for run in cell.runs))


def render(plan: Plan) -> None:
    """Write claims.csv: one line for every claim of every paper."""
    lines = [_line(decision) for decision in decisions(plan, Results(plan.root))]
    table = pd.DataFrame(lines, columns=_COLUMNS, dtype=object)
    write_text(plan.root / CLAIMS.format(scale=plan.scale), table.to_csv(index=False, lineterminator="\n"))


def decisions(plan: Plan, results: Results) -> Iterator[Decision]:
    """Yield every claim of every paper, decided."""
    for paper, page in plan.papers.items():
        for key, claim in page.claims.items():
            yield decide(plan, results, paper, key, claim)


def decide(plan: Plan, results: Results, paper: str, key: str, claim: Claim) -> Decision:
    """Decide one claim.

    It fails if one comparison's 95 % interval lies below 0, whatever the others say; it holds if all lie
    above. Otherwise it is undecided, or not run where a comparison cannot be made.
    """
    compared = tuple(_compare(plan, results, paper, key, comparison) for comparison in claim.comparisons)
    margins = [comparison.margin for comparison in compared if comparison.margin is not None]
    reason = claim.not_run or next((c.reason for c in compared if c.reason), "")
    smallest = min(margins, key=lambda margin: margin.value, default=None)
    if any(margin.high < 0 for margin in margins):
        verdict, reason = "fails", ""
    elif reason:
        verdict = "not run"
    else:
        verdict = "holds" if all(margin.low > 0 for margin in margins) else "undecided"
    return Decision(paper, key, claim, verdict, reason, smallest, compared)


def _compare(plan: Plan, results: Results, paper: str, claim: str, comparison: Comparison) -> Compared:
    pairs = [
        _pair(plan, paper, claim, *sides) for sides in zip(comparison.more, comparison.less, strict=True)
    ]
    says = " plus ".join(pair.says for pair in pairs)
    says += f" + {comparison.by:g}" if comparison.by else ""
    shared = dict.fromkeys(pair.shared for pair in pairs if pair.shared)
    says += f" at {', '.join(shared)}" if shared else ""
    cells = tuple(cell for pair in pairs for cell in (*pair.more, *pair.less))
    if not all(pair.more and pair.less for pair in pairs):
        return Compared(says, cells, None, f"the two sides share no cell at scale '{plan.scale}'")
    missing = [found for cell in cells if (found := outcome(cell, results)).state != "measured"]
    if missing:
        return Compared(says, cells, None, f"{missing[0].reason}; {len(missing)} of {len(cells)} cells")
    try:
        ahead = sum(_mean(pair.more, results) - _mean(pair.less, results) for pair in pairs) - comparison.by
    except (UserError, ValueError) as error:
        return Compared(says, cells, None, str(error))
    return Compared(says, cells, interval(np.atleast_1d(ahead)))


class _Pair(NamedTuple):
    """The cells of two sides that can be compared, and the positions of the last axis that they share."""

    says: str
    more: list[Cell]
    less: list[Cell]
    shared: str


def _pair(plan: Plan, paper: str, claim: str, more: Side, less: Side) -> _Pair:
    chosen = [[c for c in plan.side_cells(paper, claim, side) if active(c)] for side in (more, less)]
    return _Pair(f"{_in_words(more)} > {_in_words(less)}", *_alike(more, less, *chosen))


def _alike(
    more: Side, less: Side, more_cells: list[Cell], less_cells: list[Cell]
) -> tuple[list[Cell], list[Cell], str]:
    """Keep the cells whose counterpart the other side has too, and name the positions of the last axis.

    Counterparts have the same key on every axis along which both sides choose alike: a series that this
    scale runs at two sizes is compared with another one at those two sizes.
    """
    has = [
        {axis: True for axis, _ in side[0].place.axes} if side else {} for side in (more_cells, less_cells)
    ]
    axes = [axis for axis in has[0] if axis in has[1] and (more.of == less.of or axis == "x")]
    axes = [axis for axis in axes if getattr(more, axis) == getattr(less, axis)]

    def position(cell: Cell) -> tuple[str | None, ...]:
        return tuple(dict(cell.place.axes).get(axis) for axis in axes)

    both = {position(cell) for cell in more_cells} & {position(cell) for cell in less_cells}
    kept = [[cell for cell in side if position(cell) in both] for side in (more_cells, less_cells)]
    last = dict.fromkeys(dict(c.place.axes)[axes[-1]] for c in kept[0]) if axes else ()
    return kept[0], kept[1], f"{axes[-1]} {', '.join(last)}" if last else ""


def _mean(cells: list[Cell], results: Results) -> np.ndarray:
    """Return the mean over cells of their quantities (1 + R,)."""
    return np.mean([_quantity(cell, results) for cell in cells], axis=0)


def _quantity(cell: Cell, results: Results) -> np.ndarray:
    if isinstance(cell.definition, SpeedCell):
        found = speed.entry(cell.place.paper, cell.definition, results)
        return speed.quantity(cell.definition, found, results)
    if not cell.runs:
        return np.full(1 + results.bootstrap.n_resamples, outcome(cell, results).value, dtype=float)
    measured = measure(cell, results)
    assert measured is not None
    return measured.quantity


def _in_words(side: Side) -> str:
    chosen = [side.panel, side.series, side.x, side.row, side.column]
    words = [keys if isinstance(keys, str) else "+".join(keys) for keys in chosen if keys is not None]
    return f"{side.of} {' '.join(words)}".strip()


_COLUMNS = [
    *("paper", "claim", "says", "place", "source", "verdict", "reason"),
    *("margin", "ci_low", "ci_high", "comparisons", "runs"),
]


def _line(decision: Decision) -> list[Any]:
    claim, margin = decision.claim, decision.margin
    bounds = (None, None, None) if margin is None else (round(bound, 6) for bound in margin)
    place = (decision.paper, decision.key, claim.says, claim.place, claim.source)
    details = "; ".join(map(in_words, decision.compared)) or None
    runs = " ".join(decision.runs()) or None
    return [*place, decision.verdict, decision.reason or None, *bounds, details, runs]


def in_words(comparison: Compared) -> str:
    """Return a comparison with its margin, e.g. ``figure-4 a cnn3d > figure-4 b cnn3d: 0.2 [0.1, 0.3]``."""
    if comparison.margin is None:
        return f"{comparison.says}: not run: {comparison.reason}"
    value, low, high = comparison.margin
    return f"{comparison.says}: {value:+.3g} [{low:+.3g}, {high:+.3g}]"
