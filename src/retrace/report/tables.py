"""Tables: ours beside the paper's, with a verdict in every cell, as Markdown, CSV and LaTeX."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import NamedTuple

import pandas as pd
from tabulate import tabulate

from retrace.errors import UserError
from retrace.files import write_text
from retrace.plan.cell import SegmenterCell
from retrace.plan.items import Table
from retrace.plan.layout import TABLE
from retrace.plan.plan import Plan
from retrace.plan.speed import SpeedCell
from retrace.report import rests_on, wording
from retrace.report.footnotes import Footnotes
from retrace.report.records import Record, table_records, tally
from retrace.report.results import Results

LEGEND = "Each cell: ours (the paper's) verdict."
LEGEND_TRAINED = "Ours is the mean over seeds with its 95 % interval."


class Style(NamedTuple):
    """How a format writes text as it is, footnote marks, and what should strike the eye."""

    escape: Callable[[str], str]
    marks: Callable[[list[int]], str]
    strong: Callable[[str], str]


def render(plan: Plan, paper: str, key: str) -> None:
    """Write one table as .md, .csv and .tex. Results that are missing become verdicts, never errors."""
    table = plan.item(paper, key)
    if not isinstance(table, Table):
        raise UserError(f"{paper}/{key} is a figure: `retrace figure {paper}/{key}` draws it")
    records = table_records(plan, Results(plan.root), paper, key)
    stem = TABLE.format(scale=plan.scale, paper=paper, table=key)
    write_text(plan.root / f"{stem}.md", _markdown(plan, paper, table, records))
    write_text(plan.root / f"{stem}.csv", _csv(records))
    write_text(plan.root / f"{stem}.tex", _latex(plan, paper, key, table, records))


def remarks(plan: Plan, table: Table, records: list[list[Record]]) -> Iterator[str]:
    """Yield what is said below a table besides its footnotes: how to read it, scale, notes, digits, tally."""
    cells = [record.cell for row in records for record in row]
    trained = any(cell.runs for cell in cells)
    yield f"{LEGEND} {LEGEND_TRAINED}" if trained else LEGEND
    sources = sorted({record.imported.source for row in records for record in row if record.imported})
    if sources:
        yield f"Theirs: the released weights of {', '.join(sources)}, not trained here, in our evaluation."
    if unit := common_unit(table):
        yield f"Unit of all cells: {unit}."
    scaled = trained or any(isinstance(cell.definition, SpeedCell | SegmenterCell) for cell in cells)
    yield wording.scale_line(plan) if scaled else _no_training(plan, any(map(rests_on.active, cells)))
    if table.note:
        yield table.note
    if digits := rests_on.digits_line(plan, cells):
        yield digits
    counts = ", ".join(f"{n} {word}" for word, n in tally(chain.from_iterable(records)).items())
    yield f"{len(cells)} cells: {counts}."


def common_unit(table: Table) -> str | None:
    """Return the unit that all columns share, if it is worth a word."""
    units = {column.unit for column in table.columns}
    return units.pop() if len(units) == 1 and not units & {"text", "ratio"} else None


def _no_training(plan: Plan, counted: bool) -> str:
    if counted:
        return f"Counted at the paper's own size; the scale ({plan.scale}) changes nothing here."
    return f"Scale {plan.scale}. Nothing in this table is made yet."


def _csv(records: list[list[Record]]) -> str:
    lines = [record.tidy() for row in records for record in row]
    return pd.DataFrame(lines, dtype=object).to_csv(index=False, lineterminator="\n")


def _grid(
    table: Table, records: list[list[Record]], style: Style
) -> tuple[list[str], list[list[str]], Footnotes]:
    """Return head, body and footnotes of a table in one style."""
    notes = Footnotes()
    shared = common_unit(table) is not None
    heads = [style.escape(table.header)]
    for column in table.columns:
        head = wording.heading(column.label, "" if shared else column.unit, column.better)
        heads.append(style.escape(head) + style.marks(notes.marks([column.note])))
    body = []
    for row in records:
        first = row[0].row
        label = style.escape(first.label) + style.marks(notes.marks([first.note]))
        body.append(
            [label, *(_cell(record, style) + style.marks(notes.marks(record.notes())) for record in row)]
        )
    return heads, body, notes


def _cell(record: Record, style: Style) -> str:
    column = record.column
    ours = wording.ours(record.outcome, column.unit, column.decimals)
    if isinstance(record.outcome.value, str):
        ours = style.escape(ours)
    published = wording.published(record.cell, column.unit, column.decimals)
    verdict = wording.verdict(record.verdict, column.unit, column.decimals)
    verdict = style.strong(style.escape(verdict)) if record.verdict.strikes else style.escape(verdict)
    text = f"{ours} ({style.escape(published)}) {verdict}"
    return text if record.imported is None else f"{text}; {theirs(record, style.escape)}"


def theirs(record: Record, escape: Callable[[str], str] = str) -> str:
    """Return the number from imported weights, or why there is none; nothing where there are no weights."""
    if record.imported is None:
        return ""
    _, found, verdict = record.imported
    number = wording.ours(found, record.column.unit, record.column.decimals)
    said = wording.verdict(verdict, record.column.unit, record.column.decimals)
    return f"theirs {number} {escape(said)}"


def _markdown(plan: Plan, paper: str, table: Table, records: list[list[Record]]) -> str:
    escape = wording.markdown
    style = Style(escape, wording.superscripts, lambda text: f"**{text}**")
    heads, body, notes = _grid(table, records, style)
    page = plan.papers[paper]
    parts = [
        f"# {escape(page.short)} {escape(table.number)}: {escape(table.title)}",
        f"{escape(page.authors)}, {escape(page.venue)} {page.year}; {escape(table.place)}.",
        tabulate(body, heads, tablefmt="pipe", disable_numparse=True),
        "\n".join(f"{wording.superscripts([number])} {escape(text)}  " for number, text in notes),
        *map(escape, remarks(plan, table, records)),
        _assumed(plan, records),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _assumed(plan: Plan, records: list[list[Record]]) -> str:
    found = rests_on.assumptions(plan, [record.cell for row in records for record in row])
    if not found:
        return ""
    lines = [f"- {wording.markdown(rests_on.in_words(plan, assumption))}" for assumption in found]
    return "\n".join(["Values that the paper does not print, and these numbers rest on:", "", *lines])


def _latex(plan: Plan, paper: str, key: str, table: Table, records: list[list[Record]]) -> str:
    escape = wording.latex
    style = Style(escape, _raised, lambda text: rf"\textbf{{{text}}}")
    heads, body, notes = _grid(table, records, style)
    page = plan.papers[paper]
    tabular = pd.DataFrame(body, columns=heads).to_latex(
        index=False, escape=False, column_format="l" * len(heads)
    )
    below = [rf"{_raised([number])} {escape(text)}\par" for number, text in notes]
    below += [escape(text) + r"\par" for text in remarks(plan, table, records)]
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            r"\begin{table}",
            rf"\caption{{{escape(f'{page.short} {table.number}: {table.title}')}}}",
            rf"\label{{tab:{paper}-{key}}}",
            tabular.rstrip("\n"),
            r"\par\medskip\raggedright\footnotesize",
            *below,
            r"\end{table}",
            "",
        ]
    )


def _raised(marks: list[int]) -> str:
    return rf"\textsuperscript{{{','.join(map(str, marks))}}}" if marks else ""
