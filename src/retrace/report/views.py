"""What the page shows of cells, claims and data, as plain values: the template only places them."""

import base64
import shlex
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from retrace.plan.cell import CountedCell
from retrace.plan.expand import Cell
from retrace.plan.items import Column, Figure, Table
from retrace.plan.layout import (
    COSTS,
    FIGURE,
    RESULTS,
    SHEET,
    SPEEDS,
    collection_folder,
    run_folder,
    split_folder,
)
from retrace.plan.page import Claim
from retrace.plan.plan import Plan, target
from retrace.plan.spec import Split
from retrace.plan.speed import SpeedCell
from retrace.plan.video import Collection
from retrace.report import tables, wording
from retrace.report.claims import Compared, Decision
from retrace.report.figures import figure_outcomes, why_not_drawn
from retrace.report.footnotes import Footnotes
from retrace.report.outcome import Outcome
from retrace.report.records import Record, table_records, tally
from retrace.report.results import Results, read_json
from retrace.report.verdict import Verdict, verdict

_PIXELS_PER_PIXEL = 1.45
"""Drawings hold more pixels than they are shown with, so that fine screens stay crisp."""


def link(path: PurePath | str) -> str:
    """Return `path`, which lies in the results folder, as a link from the page."""
    return f"../{PurePath(path).relative_to(RESULTS).as_posix()}"


class Image(NamedTuple):
    """A PNG file inside the page, and how wide it is shown (CSS pixels)."""

    uri: str
    width: int


class CellView(NamedTuple):
    """One number: ours, the paper's, the verdict, links to its making, and the command that tells more."""

    ours: str
    interval: str
    sd: str
    published: str
    verdict: Verdict
    said: str
    theirs: str
    """The number from weights that others released; empty where none are imported."""
    notes: list[int]
    making: list[tuple[str, str]]
    why: str


class TableView(NamedTuple):
    key: str
    table: Table
    heads: list[tuple[str, list[int]]]
    rows: list[tuple[str, list[int], list[CellView]]]
    notes: Footnotes
    remarks: list[str]
    tally: dict[str, int]
    idle: str
    """Why no cell of it has a number; empty if one has."""
    target: str


class FigureView(NamedTuple):
    key: str
    figure: Figure
    image: Image | None
    axes: list[str]
    points: list[tuple[list[str], CellView]]
    missing: dict[str, int]
    idle: str
    target: str


class Whisker(NamedTuple):
    """A comparison, and where its margin lies on a line from 0 to 100 on which `zero` is no difference."""

    compared: Compared
    text: str
    zero: float
    low: float
    width: float
    value: float


class ClaimView(NamedTuple):
    decision: Decision
    claim: Claim
    whiskers: list[Whisker]
    why: str


class SplitView(NamedTuple):
    split: Split
    title: str
    licence: str
    folder: str
    image: Image | None


class SplitCount(NamedTuple):
    """The videos of one split: stored, by the official annotation, and as the papers print it."""

    split: str
    kept: int | None
    expected: int
    published: int | None


class CollectionView(NamedTuple):
    collection: Collection
    title: str
    licence: str
    folder: str
    stands_for: list[str]
    counts: list[SplitCount]
    audit: dict[str, Any]
    """The content of audit.json; empty while there is none."""
    image: Image | None


def table_view(plan: Plan, results: Results, paper: str, key: str) -> TableView:
    """Return one table as the page shows it."""
    table = plan.item(paper, key)
    assert isinstance(table, Table)
    records = table_records(plan, results, paper, key)
    shared, notes = tables.common_unit(table), Footnotes()
    heads = [
        (wording.heading(c.label, "" if shared else c.unit, c.better), notes.marks([c.note]))
        for c in table.columns
    ]
    rows = []
    for line in records:
        row = line[0].row
        marks = notes.marks([row.note])
        rows.append((row.label, marks, [_of_record(plan, record, notes) for record in line]))
    flat = [record for line in records for record in line]
    reasons = dict.fromkeys(r.outcome.reason for r in flat if r.outcome.state == "not run")
    idle = "" if any(r.outcome.value is not None for r in flat) else "; ".join(reasons)
    remarks = list(tables.remarks(plan, table, records))
    return TableView(key, table, heads, rows, notes, remarks, tally(flat), idle, target(paper, key))


def figure_view(plan: Plan, results: Results, paper: str, key: str) -> FigureView:
    """Return one figure as the page shows it, the drawing included if it is there."""
    figure = plan.item(paper, key)
    assert isinstance(figure, Figure)
    outcomes = figure_outcomes(plan, results, paper, key)
    labels = {
        (axis, item.key): item.label
        for axis, items in (("panel", figure.panels), ("series", figure.series), ("x", figure.x))
        for item in items
    }
    points = [
        ([labels[axis] for axis in cell.place.axes], _of_point(plan, cell, found))
        for cell, found in outcomes
        if found.state == "measured"
    ]
    missing = Counter(f"{f.state}: {f.reason}" for _, f in outcomes if f.state != "measured")
    path = plan.root / f"{FIGURE.format(scale=plan.scale, paper=paper, figure=key)}.png"
    idle = "" if points else why_not_drawn(figure, outcomes)
    axes = list(dict.fromkeys(axis for axis, _ in labels))
    return FigureView(key, figure, image(path), axes, points, dict(missing), idle, target(paper, key))


def claim_view(decision: Decision) -> ClaimView:
    """Return one claim as the page shows it, its margins on a common line."""
    margins = [c.margin for c in decision.compared if c.margin is not None]
    ends = [0.0, *(bound for margin in margins for bound in margin)]
    start, span = min(ends), (max(ends) - min(ends)) or 1.0

    def at(value: float) -> float:
        return round(4 + 92 * (value - start) / span, 2)

    whiskers = []
    for compared in decision.compared:
        value, low, high = compared.margin or (0.0, 0.0, 0.0)
        text = f"{value:+.3g} [{low:+.3g}, {high:+.3g}]" if compared.margin else f"not run: {compared.reason}"
        width = round(at(high) - at(low), 2)
        whiskers.append(Whisker(compared, text, at(0.0), at(low), width, at(value)))
    why = f"retrace why {shlex.quote(f'{decision.paper}/{decision.key}')}"
    return ClaimView(decision, decision.claim, whiskers, why)


def split_view(plan: Plan, split: Split) -> SplitView:
    """Return one split as the page shows it, its contact sheet included if it is there."""
    folder, page = split_folder(split), plan.datasets[split.dataset]
    sheet = image(plan.root / folder / SHEET)
    return SplitView(split, page.title, page.licence, link(folder), sheet)


def collection_view(plan: Plan, collection: Collection) -> CollectionView:
    """Return one collection of videos as the page shows it, its contact sheet included if it is there."""
    page, folder = plan.library.videos[collection.dataset], collection_folder(collection)
    audit = read_json(plan.root / folder / "audit.json") or {}
    counts = [
        SplitCount(name, audit["splits"][name]["kept"] if audit else None, split.videos, split.published)
        for name, split in page.splits.items()
    ]
    stands_for = [
        plan.library.videos[name].title
        for name, stand_in in plan.overlay.stand_ins.items()
        if stand_in == collection.dataset
    ]
    sheet = image(plan.root / folder / SHEET)
    return CollectionView(
        collection, page.title, page.licence, link(folder), stands_for, counts, audit, sheet
    )


def image(path: Path) -> Image | None:
    """Return a PNG file, or None if there is no such file."""
    if not path.is_file():
        return None
    content = path.read_bytes()
    pixels = int.from_bytes(content[16:20], "big")  # the width in the header of a PNG
    uri = f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"
    return Image(uri, round(pixels / _PIXELS_PER_PIXEL))


def _of_record(plan: Plan, record: Record, notes: Footnotes) -> CellView:
    marks = notes.marks(record.notes())
    seen = _view(plan, record.cell, record.outcome, record.verdict, record.column, marks)
    return seen._replace(theirs=tables.theirs(record))


def _of_point(plan: Plan, cell: Cell, found: Outcome) -> CellView:
    decided = verdict(cell.published, found, None, comparable=plan.overlay.comparable)
    return _view(plan, cell, found, decided, None, [])


def _view(
    plan: Plan, cell: Cell, found: Outcome, decided: Verdict, column: Column | None, notes: list[int]
) -> CellView:
    unit = column.unit if column else wording.unit_of(cell)
    decimals = column.decimals if column else None
    number = wording.number(found.value, unit, decimals)
    return CellView(
        number,
        wording.ours(found, unit, decimals).removeprefix(number).strip(),
        "" if found.sd is None else wording.number(found.sd, unit, decimals),
        wording.published(cell, unit, decimals),
        decided,
        wording.verdict(decided, unit, decimals),
        "",
        notes,
        list(_making(plan.scale, cell, found)),
        _why(plan, cell),
    )


def _making(scale: str, cell: Cell, found: Outcome) -> Iterable[tuple[str, str]]:
    told = "train.json" if found.state == "measured" else "spec.json"
    if isinstance(cell.definition, CountedCell):
        yield "count", link(COSTS.format(paper=cell.place.paper))
    if isinstance(cell.definition, SpeedCell):
        yield "measurement", link(SPEEDS.format(scale=scale, paper=cell.place.paper))
    if cell.segmenter is not None:
        yield "segmenter", link(cell.segmenter / "segmenter.json")
    for run in cell.runs:
        yield f"seed {run.seed}", link(run_folder(run) / told)


def _why(plan: Plan, cell: Cell) -> str:
    words = [f"{cell.place.paper}/{cell.place.item}", *(key for _, key in cell.place.axes)]
    return f"retrace why {shlex.join(words)} --scale {plan.scale}"
