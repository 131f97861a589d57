"""Figures: the paper's curves or maps from our runs, or a card that says why there are none."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import matplotlib.style
import pandas as pd
from matplotlib.figure import Figure as Drawing

from retrace.errors import UserError
from retrace.files import atomic, write_text
from retrace.plan.cell import PathsCell
from retrace.plan.expand import Cell
from retrace.plan.items import Figure
from retrace.plan.layout import FIGURE
from retrace.plan.plan import Plan
from retrace.report import maps, matrices, order, paths, ranking, rests_on
from retrace.report.canvas import card
from retrace.report.outcome import Outcome, outcome
from retrace.report.points import points_of
from retrace.report.results import Results

STYLE = Path(__file__).with_name("figures.mplstyle")
_DRAWN = {"maps": "pictures", "matrices": "pictures", "paths": "pictures", "order": "numbers"}
"""What a kind of drawing shows, where it is not curves."""
_NO_DATE = {".png": {"Software": None}, ".pdf": {"CreationDate": None, "Creator": None, "Producer": None}}


class Subject(NamedTuple):
    """The figure that is drawn, and what became of its cells."""

    plan: Plan
    results: Results
    paper: str
    key: str
    outcomes: list[tuple[Cell, Outcome]]

    @property
    def figure(self) -> Figure:
        """Return what the page says of it."""
        return self.plan.papers[self.paper].figures[self.key]

    @property
    def title(self) -> str:
        """Return the paper, the number and the title."""
        return f"{self.plan.papers[self.paper].short} {self.figure.number}: {self.figure.title}"

    def said(self) -> list[str]:
        """Return what has to stand with the drawing."""
        return list(captions(self.plan, self.figure, self.outcomes))

    def card(self) -> Drawing:
        """Return in place of a drawing the reason why there is none."""
        return card(self.title, why_not_drawn(self.figure, self.outcomes))


def render(plan: Plan, paper: str, key: str) -> None:
    """Write one figure as .png and .pdf, and its points as .csv; a card where nothing can be drawn."""
    figure = plan.item(paper, key)
    if not isinstance(figure, Figure):
        raise UserError(f"{paper}/{key} is a table: `retrace table {paper}/{key}` renders it")
    results = Results(plan.root)
    subject = Subject(plan, results, paper, key, figure_outcomes(plan, results, paper, key))
    with matplotlib.style.context(STYLE):
        drawing, points = _DRAWERS.get(figure.draw or "", _curves)(subject)
        stem = FIGURE.format(scale=plan.scale, paper=paper, figure=key)
        for suffix, metadata in _NO_DATE.items():
            with atomic(plan.root / f"{stem}{suffix}") as temporary:
                drawing.savefig(temporary, metadata=metadata)
    write_text(plan.root / f"{stem}.csv", points.round(6).to_csv(index=False, lineterminator="\n"))


def _curves(subject: Subject) -> tuple[Drawing, pd.DataFrame]:
    """Return curves, or a card that says why there are none, and the points in them."""
    points = points_of(*subject)
    if points.nothing:
        return subject.card(), points.together()
    from retrace.report.curves import draw  # seaborn is slow to import, and cards do without

    drawing = draw(subject.figure, subject.title, subject.said(), points, subject.outcomes)
    return drawing, points.together()


def _maps(subject: Subject) -> tuple[Drawing, pd.DataFrame]:
    """Return maps over frames or matrices over time, or a card that says why not, and the numbers in them."""
    shown = maps.shown_cells(subject.figure, subject.outcomes, subject.results)
    if not shown:
        return subject.card(), pd.DataFrame(columns=maps.COLUMNS)
    if subject.figure.draw == "matrices":
        drawing = matrices.draw(subject.figure, subject.title, subject.said(), shown)
    else:
        drawing = maps.draw(subject.title, [*subject.said(), maps.rule(subject.plan, shown)], shown)
    return drawing, maps.points(shown)


def _order(subject: Subject) -> tuple[Drawing, pd.DataFrame]:
    """Return what order is worth to each model, or a card that says why it is not known, and the numbers."""
    points = order.points(subject.outcomes)
    if points.empty:
        return subject.card(), points
    return order.draw(subject.figure, subject.title, subject.said(), subject.outcomes), points


def _paths(subject: Subject) -> tuple[Drawing, pd.DataFrame]:
    """Return the paths of digits over frames, or a card that says why there are none, and where they lead."""
    ((cell, found),) = subject.outcomes
    if found.state != "measured":
        return subject.card(), pd.DataFrame(columns=paths.COLUMNS)
    assert isinstance(cell.definition, PathsCell) and cell.walks is not None
    walks = subject.results.walks(cell.walks, cell.definition.videos)
    assert walks is not None
    return paths.draw(subject.title, [*subject.said(), paths.RULE], walks), paths.points(walks)


def _ranking(subject: Subject) -> tuple[Drawing, pd.DataFrame]:
    """Return a curve over methods for every dataset, or a card that says why not, and its numbers."""
    points = ranking.points(subject.outcomes)
    if points.empty:
        return subject.card(), points
    return ranking.draw(subject.figure, subject.title, subject.said(), points), points


_DRAWERS = {"maps": _maps, "matrices": _maps, "order": _order, "paths": _paths, "ranking": _ranking}


def figure_outcomes(plan: Plan, results: Results, paper: str, key: str) -> list[tuple[Cell, Outcome]]:
    """Return every cell of a figure with what became of it. Raises UserError if x is not what is drawn."""
    figure = plan.item(paper, key)
    assert isinstance(figure, Figure)
    for item in figure.x:
        if figure.draw == "order" and item.key not in order.X:
            raise UserError(f"{paper}/{key}: x '{item.key}' is none of {', '.join(order.X)}")
        if figure.draw not in (None, "order", "ranking") and not _is_number(item.key):
            raise UserError(f"{paper}/{key}: x '{item.key}' is not a number, and '{figure.draw}' needs sizes")
    return [(cell, outcome(cell, results)) for cell in plan.cells(paper, key)]


def why_not_drawn(figure: Figure, outcomes: list[tuple[Cell, Outcome]]) -> str:
    """Return the reason why a figure has no point: its own, or those of its cells."""
    if figure.not_run is not None:
        return f"not run: {figure.not_run}"
    reasons = dict.fromkeys(f"{found.state}: {found.reason}" for _, found in outcomes)
    return "; ".join(reasons) or "not run: the figure has no cells"


def captions(plan: Plan, figure: Figure, outcomes: list[tuple[Cell, Outcome]]) -> Iterator[str]:
    """Yield what has to stand with the drawing: the scale first, then what is shown and what is missing."""
    drawn = _DRAWN.get(figure.draw or "", "curves")
    comparable = "" if plan.overlay.comparable else f": not comparable with the paper's {drawn}"
    yield f"Scale {plan.scale}{comparable}."
    seeds = sorted({found.n_seeds for _, found in outcomes if found.n_seeds})
    if seeds:
        many = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0])
        spread = "95 % bootstrap interval" if figure.draw == "order" else "standard deviation"
        yield f"Mean and {spread} over seeds (n = {many})."
    if digits := rests_on.digits_line(plan, [cell for cell, _ in outcomes]):
        yield digits
    failed = dict.fromkeys(f"{cell.place}: {f.reason}" for cell, f in outcomes if f.state == "failed")
    if failed:
        yield f"Failed: {len(failed)} points, the first {next(iter(failed))}."
    if figure.note:
        yield figure.note


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
