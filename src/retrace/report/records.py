"""The cells of a table with all that is known of each: what every rendering of a table starts from."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from retrace.plan.expand import Cell
from retrace.plan.page import Column, Quoted, Row, Table
from retrace.plan.plan import Plan
from retrace.report.outcome import Outcome, outcome, run_label
from retrace.report.results import Results
from retrace.report.verdict import WORDS, Verdict, quoted, verdict


class Record(NamedTuple):
    """One cell of a table."""

    row: Row
    column: Column
    cell: Cell
    outcome: Outcome
    verdict: Verdict

    def notes(self) -> Iterator[str]:
        """Yield what a reader has to know to read this cell right."""
        if self.outcome.reason:
            yield self.outcome.reason
        if isinstance(self.cell.published, Quoted):
            yield self.cell.published.why

    def tidy(self) -> dict[str, Any]:
        """Return the cell as one line of a tidy table."""
        printed = quoted(self.cell.published)
        found = self.outcome
        return {
            "row": self.row.key,
            "column": self.column.key,
            "unit": self.column.unit,
            "published": None if printed is None else printed.value,
            "published_source": None if printed is None else printed.source,
            "ours": _rounded(found.value),
            "ci_low": _rounded(found.low),
            "ci_high": _rounded(found.high),
            "sd": _rounded(found.sd),
            "n_seeds": found.n_seeds or None,
            "coverage": _rounded(found.coverage),
            "difference": _rounded(self.verdict.difference),
            "verdict": self.verdict.short,
            "reason": found.reason or None,
            "runs": " ".join(run_label(run) for run in self.cell.runs) or None,
        }


def table_records(plan: Plan, results: Results, paper: str, key: str) -> list[list[Record]]:
    """Return the cells of one table, row by row."""
    table = plan.item(paper, key)
    assert isinstance(table, Table)
    cells = iter(plan.cells(paper, key))
    return [
        [_record(plan, results, row, column, next(cells)) for column in table.columns] for row in table.rows
    ]


def tally(records: Iterable[Record]) -> dict[str, int]:
    """Return how often each verdict was given, in the order of `verdict.WORDS`; the quoted apart."""
    counts = Counter(record.verdict.short for record in records)
    return dict(sorted(counts.items(), key=lambda item: (WORDS.index(item[0].partition(" (")[0]), item[0])))


def _record(plan: Plan, results: Results, row: Row, column: Column, cell: Cell) -> Record:
    found = outcome(cell, results)
    return Record(
        row, column, cell, found, verdict(cell.published, found, column, comparable=plan.overlay.comparable)
    )


def _rounded(value: float | int | None) -> float | int | None:
    return round(value, 6) if isinstance(value, float) else value
