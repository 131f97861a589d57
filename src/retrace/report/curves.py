"""Drawing curves by size: one panel a domain, one colour a series, the band one standard deviation."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullFormatter

from retrace.plan.expand import Cell
from retrace.plan.page import Figure, Item, ScoreCell
from retrace.report.canvas import canvas, label_axes, legend, say
from retrace.report.measure import PERCENT
from retrace.report.outcome import Outcome
from retrace.report.points import ALL, panel_of

_MARKERS = ("o", "s", "^", "D", "v", "P")
_STAR: dict[str, Any] = {"marker": "*", "markersize": 9, "markerfacecolor": "white", "linestyle": "none"}
_REFERENCE: dict[str, Any] = {"color": "#888888", "linestyle": (0, (4, 3)), "linewidth": 0.9}
_ON_RECORD = "on record at full size"
_ASIDE = 1.03
_APART = 1.3
"""Sizes whose ratio is smaller do not both get a number."""


class Look(NamedTuple):
    """How a series is drawn, in every panel alike."""

    label: str
    colour: str
    marker: str


def draw(
    figure: Figure,
    title: str,
    captions: Sequence[str],
    measured: pd.DataFrame,
    recorded: pd.DataFrame,
    outcomes: Sequence[tuple[Cell, Outcome]],
) -> Drawing:
    """Return the drawing of `figure`; the first of `captions` goes below the title, the rest to the foot.

    The points have the columns `points.COLUMNS`; those on record are drawn as open stars.
    """
    panels = figure.panels or (Item(key=ALL, label=""),)
    looks = _looks(figure, {*measured["series"], *recorded["series"]})
    handles = _handles(figure, looks, starred=not recorded.empty)
    made = canvas(len(panels), title, captions, [str(handle.get_label()) for handle in handles])
    for panel, ax in zip(panels, made.axes, strict=True):
        here = [(cell, found) for cell, found in outcomes if panel_of(cell) == panel.key]
        ours, stars = (points[points["panel"] == panel.key] for points in (measured, recorded))
        level = _reference(figure, [cell for cell, _ in here])
        if level is not None:
            ax.axhline(level, zorder=1, **_REFERENCE)
        _curves(ax, ours, looks)
        for key, own in stars.groupby("series"):
            means = own.groupby("x")["value"].mean()
            ax.plot(means.index, means, color=looks[str(key)].colour, **_STAR)
        if ours.empty and stars.empty:
            say(ax, "; ".join(dict.fromkeys(found.reason for _, found in here)))
        ax.set_title(panel.label, parse_math=False)
        ax.set(xlabel="", ylabel="")
    _scales(made.axes[0], figure, sorted({*measured["x"], *recorded["x"]}))
    label_axes(made, figure.x_label, figure.y_label)
    legend(made, handles)
    return made.drawing


def _looks(figure: Figure, drawn: set[str]) -> dict[str, Look]:
    """Return the look of each series that is drawn; it does not depend on which others are."""
    colours = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    series = figure.series or (Item(key=ALL, label="ours"),)
    return {
        item.key: Look(item.label, colours[i % len(colours)], _MARKERS[i % len(_MARKERS)])
        for i, item in enumerate(series)
        if item.key in drawn
    }


def _handles(figure: Figure, looks: Mapping[str, Look], *, starred: bool) -> list[Line2D]:
    """Return the entries of the legend."""
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, markeredgecolor="white", label=look.label)
        for look in looks.values()
    ]
    if starred:
        handles.append(Line2D([], [], color="#444444", label=_ON_RECORD, **_STAR))
    name = "no loss" if figure.draw == "ratio_by_size" else "chance"
    return [*handles, Line2D([], [], label=name, **_REFERENCE)]


def _curves(ax: Axes, points: pd.DataFrame, looks: Mapping[str, Look]) -> None:
    """Draw mean and standard deviation over seeds: a line and a band, or a bar where there is one size.

    Bars step aside a little, so that those of one size do not hide each other.
    """
    plain: dict[str, Any] = {"errorbar": "sd", "legend": False, "markeredgecolor": "white"}
    bars: dict[str, Any] = {"err_style": "bars", "err_kws": {"capsize": 2, "elinewidth": 1.1}}
    aside = _ASIDE
    for key, look in looks.items():
        own = points[points["series"] == key]
        how = {"err_style": "band"}
        if own["x"].nunique() == 1:
            own, how, aside = own.assign(x=own["x"] * aside), bars, aside * _ASIDE
        sns.lineplot(own, x="x", y="value", color=look.colour, marker=look.marker, ax=ax, **plain, **how)


def _reference(figure: Figure, cells: Sequence[Cell]) -> float | None:
    """Return the level to compare with: chance (%) for an accuracy, no loss for a ratio; None if unknown."""
    if figure.draw == "ratio_by_size":
        return 1.0
    for cell in cells:
        if cell.view is not None and isinstance(cell.definition, ScoreCell):
            return PERCENT / len(cell.view.domains[cell.definition.domain].classes)
    return None


def _scales(ax: Axes, figure: Figure, sizes: list[float]) -> None:
    """Space the sizes by their logarithm; all have a tick, those that fit have a number."""
    ax.set_xscale("log", base=2)
    labelled = list(_labelled(sizes))
    ax.xaxis.set_major_locator(FixedLocator(labelled))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_locator(FixedLocator([size for size in sizes if size not in labelled]))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlim(sizes[0] / 1.25, sizes[-1] * 1.25)
    if figure.draw == "accuracy_by_size":
        ax.set_ylim(0, PERCENT)
    else:
        ax.set_ylim(bottom=0)


def _labelled(sizes: Sequence[float]) -> Iterator[float]:
    """Yield the first size, the last, and between them those well apart from both."""
    kept = sizes[0]
    yield kept
    for size in sizes[1:]:
        last = size == sizes[-1]
        if last or (size / kept >= _APART and sizes[-1] / size >= _APART):
            kept = size
            yield size
