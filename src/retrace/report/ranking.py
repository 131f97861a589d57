"""Drawing how methods rank: one curve a dataset over the methods, in the order of the page.

Such a figure has datasets as series and methods on x. Ours has 95 % intervals, what is published is open.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from retrace.plan.expand import Cell
from retrace.plan.items import Figure
from retrace.report.canvas import canvas, label_axes, legend
from retrace.report.measure import PERCENT
from retrace.report.outcome import Outcome, run_label
from retrace.report.verdict import quoted

COLUMNS = ("series", "x", "value", "ci_low", "ci_high", "n_seeds", "n_clips", "published", "source", "runs")
_OURS: dict[str, Any] = {"marker": "o"}
_PUBLISHED: dict[str, Any] = {"marker": "o", "markerfacecolor": "white", "linestyle": "--"}


def points(outcomes: Sequence[tuple[Cell, Outcome]]) -> pd.DataFrame:
    """Return a line for every cell that has a number, ours or published: columns COLUMNS, numbers in %."""
    rows = []
    for cell, found in outcomes:
        axes, printed = dict(cell.place.axes), quoted(cell.published)
        if found.state == "measured" or printed is not None:
            ours = (found.value, found.low, found.high, found.n_seeds or None, found.n_clips or None)
            known = (None, None) if printed is None else (printed.value, printed.source)
            runs = " ".join(run_label(run) for run in cell.runs)
            rows.append((axes["series"], axes["x"], *ours, *known, runs))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def draw(figure: Figure, title: str, captions: Sequence[str], table: pd.DataFrame) -> Drawing:
    """Return the drawing of `points`; the first of `captions` goes below the title, the rest to the foot."""
    colours = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    shown = [(i, item) for i, item in enumerate(figure.series) if item.key in set(table["series"])]
    looks = {item.key: (item.label, colours[i % len(colours)]) for i, item in shown}
    places = {item.key: at for at, item in enumerate(figure.x)}
    handles = list(_handles(table, looks))
    made = canvas(1, title, captions, [str(handle.get_label()) for handle in handles])
    (ax,) = made.axes
    for key, (_, colour) in looks.items():
        own = table[table["series"] == key]
        for column, look in (("published", _PUBLISHED), ("value", _OURS)):
            known = own[own[column].notna()]
            ax.plot([places[x] for x in known["x"]], known[column].astype(float), color=colour, **look)
        for x, low, high in own.loc[own["ci_low"].notna(), ["x", "ci_low", "ci_high"]].itertuples(
            index=False
        ):
            ax.plot([places[x]] * 2, [low, high], color=colour, linewidth=0.9)
    ax.set_xticks(range(len(figure.x)), ["\n".join(item.label.split(" + ")) for item in figure.x])
    ax.set_xlim(-0.4, len(figure.x) - 0.6)
    ax.set_ylim(0, PERCENT)
    label_axes(made, figure.x_label, figure.y_label)
    legend(made, handles)
    return made.drawing


def _handles(table: pd.DataFrame, looks: Mapping[str, tuple[str, str]]) -> list[Line2D]:
    """Return the entries of the legend: what is drawn of each series."""
    handles = []
    for key, (label, colour) in looks.items():
        own = table[table["series"] == key]
        for column, name, look in (("value", "ours", _OURS), ("published", "published", _PUBLISHED)):
            if own[column].notna().any():
                handles.append(Line2D([], [], color=colour, label=f"{label}, {name}", **look))
    return handles
