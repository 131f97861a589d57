"""An empty drawing: equal panels, room for title, legend and captions, all reckoned in inches."""

from collections.abc import Sequence
from math import ceil
from textwrap import wrap
from typing import Any, NamedTuple

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

NOTE = "#555555"
_PANEL_WIDTH, _LONE_PANEL_WIDTH, _PANEL_HEIGHT = 2.2, 4.2, 1.9
_GAP_X, _GAP_Y, _LEFT, _RIGHT = 0.2, 0.45, 0.62, 0.15
_NOTE_LINE, _LINE, _TITLE_LINE, _LEGEND_LINE = 0.14, 0.16, 0.18, 0.19
_LETTER, _HANDLE = 0.068, 0.55
"""How wide a letter of the legend is at most, and what stands around its text."""
_PLAIN: dict[str, Any] = {"parse_math": False, "linespacing": 1.35}


class Canvas(NamedTuple):
    """A drawing, its axes in reading order, and where x label and legend go (figure fraction)."""

    drawing: Drawing
    axes: list[Axes]
    x_label: float
    legend: float
    legend_columns: int


def canvas(n_panels: int, title: str, captions: Sequence[str], entries: Sequence[str]) -> Canvas:
    """Lay out `n_panels`; the first of `captions` goes below the title, the rest to the foot.

    `entries` are the texts of the legend, which stands in as many lines as they need.
    """
    columns = n_panels if n_panels <= 4 else min(4, ceil(n_panels / 2))
    rows = ceil(n_panels / columns)
    panel = _LONE_PANEL_WIDTH if columns == 1 else _PANEL_WIDTH
    width = _LEFT + columns * panel + (columns - 1) * _GAP_X + _RIGHT
    legend_columns = _legend_columns(width - _LEFT, entries)
    heads, under = wrap(title, int(width * 11.5)), wrap(captions[0], int(width * 14))
    notes = wrap(" ".join(captions[1:]), int(width * 17.5))
    above = 0.39 + _TITLE_LINE * len(heads) + _LINE * len(under)
    foot = 0.12 + _NOTE_LINE * len(notes)
    legend = _LEGEND_LINE * ceil(len(entries) / legend_columns)
    below = foot + legend + 0.47
    height = above + rows * _PANEL_HEIGHT + (rows - 1) * _GAP_Y + below
    drawing = Drawing(figsize=(width, height))
    axes = _grid(drawing, (rows, columns), n_panels, above, below, panel)
    _write(drawing, heads, under, notes)
    return Canvas(drawing, axes, (foot + legend + 0.13) / height, foot / height, legend_columns)


def label_axes(made: Canvas, x_label: str, y_label: str) -> None:
    """Write one label for all x axes and one for all y axes."""
    boxes = [ax.get_position() for ax in made.axes]
    middle = (boxes[0].x0 + max(box.x1 for box in boxes)) / 2
    height = (boxes[0].y1 + min(box.y0 for box in boxes)) / 2
    centred = {"ha": "center", "va": "center", **_PLAIN}
    made.drawing.text(middle, made.x_label, x_label, **centred)
    made.drawing.text(0.17 / made.drawing.get_figwidth(), height, y_label, rotation=90, **centred)


def legend(made: Canvas, handles: Sequence[Artist]) -> None:
    """Draw one legend for all panels."""
    place = (_LEFT / made.drawing.get_figwidth(), made.legend)
    drawn = made.drawing.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=place,
        ncols=made.legend_columns,
        borderpad=0,
        borderaxespad=0,
        columnspacing=1.6,
    )
    for text in drawn.get_texts():
        text.set_parse_math(False)


def say(ax: Axes, text: str) -> None:
    """Write into an empty panel why it is empty."""
    blank = {"facecolor": "white", "edgecolor": "none"}
    place = {"transform": ax.transAxes, "ha": "center", "va": "center", **_PLAIN}
    ax.text(0.5, 0.5, "\n".join(wrap(text, 30)), color=NOTE, bbox=blank, **place)


def card(title: str, reason: str) -> Drawing:
    """Return a drawing that holds a title and the reason why there is nothing to see."""
    heads, lines = wrap(title, 76), wrap(reason, 92)
    height = 0.46 + _TITLE_LINE * len(heads) + _LINE * len(lines)
    drawing = Drawing(figsize=(6.4, height))
    drawing.text(0.03, 1 - 0.16 / height, "\n".join(heads), va="top", size=9, weight="bold", **_PLAIN)
    drawing.text(0.03, 0.16 / height, "\n".join(lines), va="bottom", color=NOTE, **_PLAIN)
    return drawing


def _legend_columns(room: float, entries: Sequence[str]) -> int:
    widths = [_HANDLE + _LETTER * len(entry) for entry in entries]
    if sum(widths) <= room:
        return max(1, len(entries))
    return max(1, int(room / max(widths)))


def _grid(
    drawing: Drawing, shape: tuple[int, int], n_panels: int, above: float, below: float, panel: float
) -> list[Axes]:
    width, height = drawing.get_size_inches()
    place = {
        "left": _LEFT / width,
        "right": 1 - _RIGHT / width,
        "top": 1 - above / height,
        "bottom": below / height,
        "wspace": _GAP_X / panel,
        "hspace": _GAP_Y / _PANEL_HEIGHT,
    }
    grid = drawing.subplots(*shape, sharex=True, sharey=True, squeeze=False, gridspec_kw=place)
    for ax in grid.flat[n_panels:]:
        ax.set_visible(False)
    return list(grid.flat[:n_panels])


def _write(drawing: Drawing, heads: list[str], under: list[str], notes: list[str]) -> None:
    width, height = drawing.get_size_inches()
    left, below_title = 0.1 / width, 1 - (0.13 + 0.17 * len(heads)) / height
    drawing.text(left, 1 - 0.08 / height, "\n".join(heads), va="top", size=9.5, weight="bold", **_PLAIN)
    drawing.text(left, below_title, "\n".join(under), va="top", color=NOTE, **_PLAIN)
    drawing.text(left, 0.08 / height, "\n".join(notes), va="bottom", color=NOTE, size=7, **_PLAIN)
