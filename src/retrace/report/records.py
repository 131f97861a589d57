"""The cells of a table with all that is known of each: what every rendering of a table starts from."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from retrace.plan.expand import Cell
from retrace.plan.items import Column, Quoted, Row, Table
from retrace.plan.plan import Plan
from retrace.report.outcome import Outcome, of_imported, outcome, run_label
from retrace.report.results import Results
from retrace.report.verdict import WORDS, Verdict, quoted, verdict


class Imported(NamedTuple):
    """A number from weights that others trained, in our evaluation: `source` is whose they are."""

    source: str
    outcome: Outcome
    verdict: Verdict


class Record(NamedTuple):
    """One cell of a table. `imported` stands beside ours where somebody has imported weights for it."""

    row: Row
    column: Column
    cell: Cell
    outcome: Outcome
    verdict: Verdict
    imported: Imported | None

    def notes(self) -> Iterator[str]:
        """Yield what a reader has to know to read this cell right."""
        if self.outcome.reason:
            yield self.outcome.reason
        if isinstance(self.cell.published, Quoted):
            yield self.cell.published.why
        if self.imported and self.imported.outcome.reason:
            yield f"{self.imported.source}: {self.imported.outcome.reason}"

    def tidy(self) -> dict[str, Any]:
        """Return the cell as one line of a tidy table."""
        printed = quoted(self.cell.published)
        found = self.outcome
        line = {
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
        if self.imported is not None:
            theirs = self.imported.outcome
            line |= {
                "imported": _rounded(theirs.value),
                "imported_ci_low": _rounded(theirs.low),
                "imported_ci_high": _rounded(theirs.high),
                "imported_verdict": self.imported.verdict.short,
                "imported_from": self.imported.source,
            }
        return line


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
    def judged(found: Outcome) -> Verdict:
        return verdict(cell.published, found, column, comparable=plan.overlay.comparable)

    found, theirs = outcome(cell, results), of_imported(cell, results)
    imported = None
    if theirs is not None:
        imported = Imported(", ".join(results.sources(cell.runs)), theirs, judged(theirs))
    return Record(row, column, cell, found, judged(found), imported)


def _rounded(value: float | int | str | None) -> float | int | str | None:
    return round(value, 6) if isinstance(value, float) else value
