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

from retrace.plan.cell import ScoreCell
from retrace.plan.expand import Cell
from retrace.plan.items import Figure, Item, LegendEntry, Look, Series
from retrace.report.canvas import canvas, label_axes, legend, say
from retrace.report.measure import PERCENT
from retrace.report.outcome import Outcome
from retrace.report.points import ALL, Points, panel_of

_MARKERS = ("o", "s", "^", "D", "v", "P")
_STAR: dict[str, Any] = {"marker": "*", "markersize": 9, "markerfacecolor": "white", "linestyle": "none"}
_REFERENCE: dict[str, Any] = {"color": "#888888", "linestyle": (0, (4, 3)), "linewidth": 0.9}
_ON_RECORD = "on record at full size"
_GREY = "#888888"
_ASIDE = 1.03
_APART = 1.3
"""Sizes whose ratio is smaller do not both get a number."""


class Style(NamedTuple):
    """How a series is drawn, in every panel alike."""

    label: str
    colour: str
    marker: str
    dashed: bool


class Panel(NamedTuple):
    """One panel: curves, stars for what is on record, a level to compare with, or why it is empty."""

    label: str
    curves: pd.DataFrame
    stars: pd.DataFrame
    level: float | None
    idle: str


def draw(
    figure: Figure,
    title: str,
    captions: Sequence[str],
    points: Points,
    outcomes: Sequence[tuple[Cell, Outcome]],
) -> Drawing:
    """Return the drawing of `figure`; the first of `captions` goes below the title, the rest to the foot.

    What is on record is drawn as open stars; what is published has a row of panels of its own below ours.
    """
    panels = [*_ours(figure, points, outcomes), *_published(figure, points)]
    drawn = points.together()
    styles = _styles(figure, set(drawn["series"]))
    handles = _handles(figure, styles, starred=not points.recorded.empty)
    made = canvas(len(panels), title, captions, [str(handle.get_label()) for handle in handles])
    for panel, ax in zip(panels, made.axes, strict=True):
        if panel.level is not None:
            ax.axhline(panel.level, zorder=1, **_REFERENCE)
        _curves(ax, panel.curves, styles)
        for key, own in panel.stars.groupby("series"):
            means = own.groupby("x")["value"].mean()
            ax.plot(means.index, means, color=styles[str(key)].colour, **_STAR)
        if panel.idle:
            say(ax, panel.idle)
        ax.set_title(panel.label, parse_math=False)
        ax.set(xlabel="", ylabel="")
    _scales(made.axes[0], figure, sorted(set(drawn["x"])))
    label_axes(made, figure.x_label, figure.y_label)
    legend(made, handles)
    return made.drawing


def _ours(figure: Figure, points: Points, outcomes: Sequence[tuple[Cell, Outcome]]) -> Iterator[Panel]:
    for panel in figure.panels or (Item(key=ALL, label=""),):
        here = [(cell, found) for cell, found in outcomes if panel_of(cell) == panel.key]
        curves, stars = (table[table["panel"] == panel.key] for table in points[:2])
        reasons = dict.fromkeys(found.reason for _, found in here)
        idle = "; ".join(reasons) if curves.empty and stars.empty else ""
        label = f"{panel.label}, ours".lstrip(", ") if figure.published else panel.label
        yield Panel(label, curves, stars, _reference(figure, [cell for cell, _ in here]), idle)


def _published(figure: Figure, points: Points) -> Iterator[Panel]:
    for panel in figure.panels or (Item(key=ALL, label=""),) if figure.published else ():
        curves = points.published[points.published["panel"] == panel.key]
        yield Panel(f"{panel.label}, published".lstrip(", "), curves, curves[:0], None, "")


def _styles(figure: Figure, drawn: set[str]) -> dict[str, Style]:
    """Return the style of each series that is drawn; it does not depend on which others are."""
    series = figure.series or (Series.model_validate({"key": ALL, "label": "ours"}),)
    return {item.key: _style(item.label, item, i) for i, item in enumerate(series) if item.key in drawn}


def _style(label: str, look: Look, place: int) -> Style:
    colours = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    colour = place if look.colour is None else look.colour
    marker = place if look.marker is None else look.marker
    return Style(label, colours[colour % len(colours)], _MARKERS[marker % len(_MARKERS)], look.dashed)


def _handles(figure: Figure, styles: Mapping[str, Style], *, starred: bool) -> list[Line2D]:
    """Return the entries of the legend."""
    handles = [_handle(style, style.colour, style.marker) for style in styles.values()]
    if figure.legend:
        handles = [_meaning(entry) for entry in figure.legend]
    if starred:
        handles.append(Line2D([], [], color="#444444", label=_ON_RECORD, **_STAR))
    name = "no loss" if figure.draw == "ratio_by_size" else "chance"
    return [*handles, Line2D([], [], label=name, **_REFERENCE)]


def _handle(style: Style, colour: str, marker: str) -> Line2D:
    return Line2D([], [], marker=marker, label=style.label, **_line(colour, dashed=style.dashed))


def _line(colour: str, *, dashed: bool) -> dict[str, Any]:
    """Return how a line is drawn; what is dashed has open markers, so that a lone point shows it too."""
    if dashed:
        return {"color": colour, "ls": "--", "markerfacecolor": "white", "markeredgecolor": colour}
    return {"color": colour, "ls": "-", "markeredgecolor": "white"}


def _meaning(entry: LegendEntry) -> Line2D:
    """Return a handle that shows what an entry speaks of and leaves the rest grey and without a marker."""
    style = _style(entry.label, entry, 0)
    colour = _GREY if entry.colour is None else style.colour
    return _handle(style, colour, "" if entry.marker is None else style.marker)


def _curves(ax: Axes, points: pd.DataFrame, styles: Mapping[str, Style]) -> None:
    """Draw mean and standard deviation over seeds: a line and a band, or a bar where there is one size.

    Bars step aside a little, so that those of one size do not hide each other.
    """
    plain: dict[str, Any] = {"errorbar": "sd", "legend": False}
    bars: dict[str, Any] = {"err_style": "bars", "err_kws": {"capsize": 2, "elinewidth": 1.1}}
    aside = _ASIDE
    for key, style in styles.items():
        own = points[points["series"] == key]
        how = {"err_style": "band"}
        if own["x"].nunique() == 1:
            own, how, aside = own.assign(x=own["x"] * aside), bars, aside * _ASIDE
        look = _line(style.colour, dashed=style.dashed)
        sns.lineplot(own, x="x", y="value", marker=style.marker, ax=ax, **look, **plain, **how)


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
    ax.xaxis.set_major_formatter("{x:.4g}")
    ax.xaxis.set_minor_locator(FixedLocator([size for size in sizes if size not in labelled]))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlim(sizes[0] / 1.25, sizes[-1] * 1.25)
    if figure.draw == "ratio_by_size":
        ax.set_ylim(bottom=0)
    else:
        ax.set_ylim(0, PERCENT)


def _labelled(sizes: Sequence[float]) -> Iterator[float]:
    """Yield the first size, the last, and between them those well apart from both."""
    kept = sizes[0]
    yield kept
    for size in sizes[1:]:
        last = size == sizes[-1]
        if last or (size / kept >= _APART and sizes[-1] / size >= _APART):
            kept = size
            yield size
