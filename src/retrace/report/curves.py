"""Drawing curves by size: one panel a domain, one colour a series, the band one standard deviation."""

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from textwrap import wrap
from typing import NamedTuple

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullFormatter

from retrace.plan.expand import Cell
from retrace.plan.page import Figure, Item, ScoreCell
from retrace.report.measure import PERCENT
from retrace.report.outcome import Outcome
from retrace.report.points import ALL, panel_of

NOTE = "#555555"
_MARKERS = ("o", "s", "^", "D", "v", "P")
_PANEL_WIDTH, _PANEL_HEIGHT, _GAP_X, _GAP_Y = 2.2, 1.9, 0.2, 0.45
_LEFT, _RIGHT, _LINE = 0.62, 0.15, 0.14
_ASIDE = 1.03
_APART = 2**0.5
"""Sizes closer than half an octave do not both get a number."""


class Look(NamedTuple):
    """How a series is drawn, in every panel alike."""

    label: str
    colour: str
    marker: str


class Canvas(NamedTuple):
    """An empty drawing: its axes in reading order, and the heights kept free below them (figure fraction)."""

    drawing: Drawing
    axes: list[Axes]
    x_label: float
    legend: float


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
    canvas = _canvas(len(panels), title, captions)
    references: dict[str, Line2D] = {}
    for panel, ax in zip(panels, canvas.axes, strict=True):
        here = [(cell, found) for cell, found in outcomes if panel_of(cell) == panel.key]
        ours, stars = (points[points["panel"] == panel.key] for points in (measured, recorded))
        references |= _reference(ax, figure, [cell for cell, _ in here])
        _curves(ax, ours, looks)
        _stars(ax, stars, looks)
        if ours.empty and stars.empty:
            _say(ax, "; ".join(dict.fromkeys(found.reason for _, found in here)))
        ax.set_title(panel.label, parse_math=False)
        ax.set(xlabel="", ylabel="")
    _scales(canvas, figure, sorted({*measured["x"], *recorded["x"]}))
    _legend(canvas, looks, references, starred=not recorded.empty)
    return canvas.drawing


def _looks(figure: Figure, drawn: set[str]) -> dict[str, Look]:
    """Return the look of each series that is drawn; it does not depend on which others are."""
    colours = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    return {
        item.key: Look(item.label, colours[i % len(colours)], _MARKERS[i % len(_MARKERS)])
        for i, item in enumerate(figure.series)
        if item.key in drawn
    }


def _canvas(n_panels: int, title: str, captions: Sequence[str]) -> Canvas:
    """Lay out a grid of equal panels, in inches: title and scale above, legend and captions below."""
    columns = n_panels if n_panels <= 4 else min(4, ceil(n_panels / 2))
    rows = ceil(n_panels / columns)
    width = _LEFT + columns * _PANEL_WIDTH + (columns - 1) * _GAP_X + _RIGHT
    heads, notes = wrap(title, int(width * 11.5)), wrap(" ".join(captions[1:]), int(width * 17.5))
    above, foot = 0.55 + 0.18 * len(heads), 0.1 + _LINE * len(notes)
    below = foot + 0.68
    height = above + rows * _PANEL_HEIGHT + (rows - 1) * _GAP_Y + below
    drawing = Drawing(figsize=(width, height))
    grid = drawing.subplots(
        *(rows, columns),
        sharex=True,
        sharey=True,
        squeeze=False,
        gridspec_kw={
            "left": _LEFT / width,
            "right": 1 - _RIGHT / width,
            "top": 1 - above / height,
            "bottom": below / height,
            "wspace": _GAP_X / _PANEL_WIDTH,
            "hspace": _GAP_Y / _PANEL_HEIGHT,
        },
    )
    for ax in grid.flat[n_panels:]:
        ax.set_visible(False)
    left = 0.1 / width
    under_title = 1 - (0.13 + 0.17 * len(heads)) / height
    plain = {"parse_math": False, "linespacing": 1.35}
    drawing.text(left, 1 - 0.08 / height, "\n".join(heads), va="top", size=9.5, weight="bold", **plain)
    drawing.text(left, under_title, captions[0], va="top", color=NOTE, **plain)
    drawing.text(left, 0.08 / height, "\n".join(notes), va="bottom", color=NOTE, size=7, **plain)
    return Canvas(drawing, list(grid.flat[:n_panels]), (foot + 0.32) / height, (foot + 0.02) / height)


def _curves(ax: Axes, points: pd.DataFrame, looks: Mapping[str, Look]) -> None:
    """Draw mean and standard deviation over seeds: a line and a band, or a bar where there is one size.

    Bars step aside a little, so that those of one size do not hide each other.
    """
    aside = _ASIDE
    for key, look in looks.items():
        own = points[points["series"] == key]
        alone = own["x"].nunique() == 1
        how = {"err_style": "band"}
        if alone:
            how = {"err_style": "bars", "err_kws": {"capsize": 2, "elinewidth": 1.1}}
            own, aside = own.assign(x=own["x"] * aside), aside * _ASIDE
        plain = {"x": "x", "y": "value", "errorbar": "sd", "legend": False, "markeredgecolor": "white"}
        sns.lineplot(own, **plain, **how, color=look.colour, marker=look.marker, ax=ax)


def _say(ax: Axes, text: str) -> None:
    """Write into an empty panel why it is empty."""
    place = {"transform": ax.transAxes, "ha": "center", "va": "center", "parse_math": False}
    blank = {"facecolor": "white", "edgecolor": "none"}
    ax.text(0.5, 0.5, "\n".join(wrap(text, 30)), color=NOTE, bbox=blank, **place)


def _stars(ax: Axes, points: pd.DataFrame, looks: Mapping[str, Look]) -> None:
    for (key, x), own in points.groupby(["series", "x"]):
        ax.plot(x, own["value"].mean(), **_star(looks[key].colour))


def _star(colour: str) -> dict:
    return {"marker": "*", "markersize": 9, "color": colour, "markerfacecolor": "white", "linestyle": "none"}


def _reference(ax: Axes, figure: Figure, cells: Sequence[Cell]) -> dict[str, Line2D]:
    """Draw the line to compare with: chance for an accuracy, no loss for a ratio. Return it by its name."""
    name, level = ("no loss", 1.0) if figure.draw == "ratio_by_size" else ("chance", _chance(cells))
    if level is None:
        return {}
    return {name: ax.axhline(level, color="#888888", linestyle=(0, (4, 3)), linewidth=0.9, zorder=1)}


def _chance(cells: Sequence[Cell]) -> float | None:
    """Return the accuracy (%) of guessing, or None where no cell is worked on."""
    for cell in cells:
        if cell.view is not None and isinstance(cell.definition, ScoreCell):
            return PERCENT / len(cell.view.domains[cell.definition.domain].classes)
    return None


def _scales(canvas: Canvas, figure: Figure, sizes: list[float]) -> None:
    """Space the sizes by their logarithm; all have a tick, those that fit have a number."""
    ax = canvas.axes[0]
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
    box = canvas.axes[0].get_position(), canvas.axes[-1].get_position()
    middle = (box[0].x0 + max(ax.get_position().x1 for ax in canvas.axes)) / 2
    centred = {"ha": "center", "va": "center", "parse_math": False}
    canvas.drawing.text(middle, canvas.x_label, figure.x_label, **centred)
    height, width = (box[0].y1 + box[1].y0) / 2, canvas.drawing.get_figwidth()
    canvas.drawing.text(0.17 / width, height, figure.y_label, rotation=90, **centred)


def _labelled(sizes: Sequence[float]) -> Iterator[float]:
    """Yield the first size, the last, and between them those at least half an octave from both."""
    kept = sizes[0]
    yield kept
    for size in sizes[1:]:
        last = size == sizes[-1]
        if last or (size / kept >= _APART and sizes[-1] / size >= _APART):
            kept = size
            yield size


def _legend(
    canvas: Canvas, looks: Mapping[str, Look], references: Mapping[str, Line2D], *, starred: bool
) -> None:
    """Draw one legend for all panels, in one line below them."""
    edge = {"markeredgecolor": "white"}
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, label=look.label, **edge)
        for look in looks.values()
    ]
    if starred:
        handles.append(Line2D([], [], label="on record at full size", **_star("#444444")))
    for name, line in references.items():
        handles.append(Line2D([], [], label=name, **_line_style(line)))
    place = {"loc": "lower left", "bbox_to_anchor": (_LEFT / canvas.drawing.get_figwidth(), canvas.legend)}
    legend = canvas.drawing.legend(
        handles=handles, ncols=len(handles), borderpad=0, borderaxespad=0, columnspacing=1.6, **place
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _line_style(line: Line2D) -> dict:
    return {"color": line.get_color(), "linestyle": (0, (4, 3)), "linewidth": line.get_linewidth()}
