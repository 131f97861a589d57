"""Drawing what the order of frames is worth: for every model its accuracy in order and shuffled, joined.

Such a figure has models as series, and on x `forward`, `shuffled` and, as the cell of a difference, `worth`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from retrace.evaluate.uncertainty import Interval
from retrace.plan.cell import ScoreCell
from retrace.plan.expand import Cell
from retrace.plan.items import Figure, Item
from retrace.report.canvas import canvas, label_axes, legend, say
from retrace.report.measure import PERCENT
from retrace.report.outcome import Outcome, run_label

X = ("forward", "shuffled", "worth")
COLUMNS = ("panel", "series", "x", "value", "ci_low", "ci_high", "n_seeds", "n_clips", "runs")
_ALL = "all"
_IN_ORDER: dict[str, Any] = {"marker": "o", "markersize": 5.5}
_SHUFFLED: dict[str, Any] = {"marker": "o", "markersize": 5.5, "markerfacecolor": "white"}
_CHANCE: dict[str, Any] = {"color": "#888888", "linestyle": (0, (4, 3)), "linewidth": 0.9}
_COLOUR, _LIGHT = "C0", "#a9cce3"
_ASIDE = 0.12
Found = Mapping[tuple[str, str, str], Outcome]
"""What became of the cells, by panel, series and x."""


def points(outcomes: Sequence[tuple[Cell, Outcome]]) -> pd.DataFrame:
    """Return every measured number: columns COLUMNS, accuracies in % and their differences in points."""
    rows = []
    for cell, found in outcomes:
        if found.state == "measured":
            axes, runs = dict(cell.place.axes), " ".join(run_label(run) for run in cell.runs)
            place = (axes.get("panel", _ALL), axes["series"], axes["x"])
            rows.append((*place, *(found.value, found.low, found.high, found.n_seeds, found.n_clips), runs))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def draw(
    figure: Figure, title: str, captions: Sequence[str], outcomes: Sequence[tuple[Cell, Outcome]]
) -> Drawing:
    """Return the drawing; the first of `captions` goes below the title, the rest to the foot."""
    found = {_place(cell): outcome for cell, outcome in outcomes if outcome.state == "measured"}
    panels = figure.panels or (Item(key=_ALL, label=""),)
    models = [m for m in figure.series if any((p.key, m.key, "forward") in found for p in panels)]
    handles = _handles()
    made = canvas(len(panels), title, captions, [str(handle.get_label()) for handle in handles])
    for panel, ax in zip(panels, made.axes, strict=True):
        here = [(cell, outcome) for cell, outcome in outcomes if _place(cell)[0] == panel.key]
        _marks(ax, panel.key, models, found)
        if (chance := _chance(here)) is not None:
            ax.axhline(chance, zorder=1, **_CHANCE)
        if not any(key == panel.key for key, *_ in found):
            say(ax, "; ".join(dict.fromkeys(outcome.reason for _, outcome in here)))
        ax.set_title(panel.label, parse_math=False)
    label_axes(made, figure.x_label, figure.y_label)
    legend(made, handles)
    return made.drawing


def _place(cell: Cell) -> tuple[str, str, str]:
    axes = dict(cell.place.axes)
    return axes.get("panel", _ALL), axes["series"], axes["x"]


def _marks(ax: Axes, panel: str, models: Sequence[Item], found: Found) -> None:
    """Draw a pair of marks for every model, with 95 % intervals, and write the difference beside it."""
    for at, model in enumerate(models):
        forward, shuffled, worth = (found.get((panel, model.key, x)) for x in X)
        if forward is None:
            continue
        ends = [_mark(ax, at - _ASIDE, forward, _IN_ORDER)]
        if shuffled is None:
            continue
        ends.append(_mark(ax, at + _ASIDE, shuffled, _SHUFFLED))
        ax.plot([at - _ASIDE, at + _ASIDE], [end.value for end in ends], color=_LIGHT, zorder=2)
        if worth is not None:
            top = max(end.high for end in ends)
            ax.annotate(
                f"{worth.value:+.1f}", (at, top), (0, 3), textcoords="offset points", ha="center", size=7
            )
    ax.set_xticks(range(len(models)), ["\n".join(model.label.split()) for model in models])
    ax.set_xlim(-0.6, len(models) - 0.4)
    ax.set_ylim(0, PERCENT)


def _mark(ax: Axes, at: float, found: Outcome, look: dict[str, Any]) -> Interval:
    assert found.value is not None and found.low is not None and found.high is not None
    drawn = Interval(float(found.value), found.low, found.high)
    ax.plot([at, at], [drawn.low, drawn.high], color=_COLOUR, linewidth=0.9, zorder=3)
    ax.plot(at, drawn.value, color=_COLOUR, linestyle="none", zorder=4, **look)
    return drawn


def _chance(here: Sequence[tuple[Cell, Outcome]]) -> float | None:
    for cell, _ in here:
        if cell.view is not None and isinstance(cell.definition, ScoreCell):
            return PERCENT / len(cell.view.domains[cell.definition.domain].classes)
    return None


def _handles() -> list[Line2D]:
    marks = ((_IN_ORDER, "frames in order"), (_SHUFFLED, "frames shuffled"))
    handles = [Line2D([], [], color=_COLOUR, linestyle="none", label=label, **look) for look, label in marks]
    return [*handles, Line2D([], [], label="chance", **_CHANCE)]
