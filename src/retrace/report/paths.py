"""Drawing paths: some frames of each generated video, with arrows along the way of its digits so far."""

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from retrace.report.canvas import NOTE
from retrace.report.walks import Walks

COLUMNS = ("video", "class", "digit", "paired", "frame", "row", "column")
PAIRED, ALONE = "#2ECC71", "#FF4B3E"
"""Green and red as in the paper. The pair's arrows are also broader, for those who see no difference."""

RULE = "Shown are the first videos of the split. Arrows lead from the middle of a digit to where it is next."
_SHOWN = 5
"""Frames of a video that are drawn, evenly spaced from its first to its last."""

_TILE, _LEFT, _RIGHT, _GAP = 1.28, 0.62, 0.1, 0.05
_BRIGHTEST = 330
"""The grey level that would be white: digits are a little darker than the arrows over them."""

_ARROWS: dict[str, Any] = {
    **{"angles": "xy", "scale_units": "xy", "scale": 1, "units": "inches"},
    **{"headwidth": 4, "headlength": 4.4, "headaxislength": 4, "minlength": 0},
}
_PLAIN: dict[str, Any] = {"parse_math": False, "linespacing": 1.25}


def points(walks: Walks) -> pd.DataFrame:
    """Return where the middle of every digit is in every frame: columns COLUMNS; all numbers count from 0."""
    n, t, d = np.indices(walks.middles_NTD2.shape[:3]).reshape(3, -1)
    row, column = walks.middles_NTD2.reshape(-1, 2).T
    classes = np.array(walks.classes)
    found = {"video": n, "class": classes[n], "digit": d, "paired": walks.paired_ND[n, d], "frame": t}
    return pd.DataFrame({**found, "row": row, "column": column})[list(COLUMNS)]


def draw(title: str, captions: Sequence[str], walks: Walks) -> Drawing:
    """Return the drawing, a video a row; the first of `captions` stands below the title, the others below."""
    videos, frames = walks.frames_NTHW.shape[:2]
    shown = np.linspace(0, frames - 1, min(_SHOWN, frames)).round().astype(int)
    width = _LEFT + len(shown) * (_TILE + _GAP) + _RIGHT
    heads, under = wrap(title, int(width * 11.5)), wrap(captions[0], int(width * 14))
    notes = wrap(" ".join(captions[1:]), int(width * 17.5))
    above = 0.45 + 0.18 * len(heads) + 0.16 * len(under)
    below = 0.2 + 0.14 * len(notes)
    height = above + videos * (_TILE + _GAP) + below
    drawing = Drawing(figsize=(width, height))
    for video in range(videos):
        for place, frame in enumerate(shown):
            left, top = _LEFT + place * (_TILE + _GAP), above + video * (_TILE + _GAP)
            box = (left / width, 1 - (top + _TILE) / height, _TILE / width, _TILE / height)
            ax = drawing.add_axes(box)
            _tile(ax, walks, video, int(frame))
            if video == 0:
                ax.set_title(f"frame {frame + 1}", size=7.5, loc="center", pad=3)
        middle = 1 - (above + (video + 0.5) * (_TILE + _GAP)) / height
        drawing.text(0.1 / width, middle, walks.classes[video], va="center", size=8, weight="bold", **_PLAIN)
    _write(drawing, heads, under, notes)
    return drawing


def _tile(ax: Axes, walks: Walks, video: int, frame: int) -> None:
    """Draw one frame in grey; over it the way of each digit up to it, that of the pair uppermost."""
    side = walks.canvas
    seen_HW = walks.frames_NTHW[video, frame]
    ax.imshow(seen_HW, cmap="gray", vmin=0, vmax=_BRIGHTEST, extent=(0, side, side, 0))
    for paired, colour, width in ((False, ALONE, 0.013), (True, PAIRED, 0.017)):
        for begin_S2, step_S2 in _steps(walks, video, frame, paired):
            ax.quiver(
                *begin_S2[:, ::-1].T, *step_S2[:, ::-1].T, color=colour, width=width, zorder=width, **_ARROWS
            )
    ax.set_axis_off()


def _steps(walks: Walks, video: int, frame: int, paired: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield, for each digit that is `paired` or not, where its steps begin and how far they go (S, 2)."""
    for digit in np.flatnonzero(walks.paired_ND[video] == paired):
        way_S2 = walks.middles_NTD2[video, : frame + 1, digit]
        if frame:
            yield way_S2[:-1], np.diff(way_S2, axis=0)


def _write(drawing: Drawing, heads: list[str], under: list[str], notes: list[str]) -> None:
    width, height = drawing.get_size_inches()
    left, below_title = 0.1 / width, 1 - (0.13 + 0.17 * len(heads)) / height
    drawing.text(left, 1 - 0.08 / height, "\n".join(heads), va="top", size=9.5, weight="bold", **_PLAIN)
    drawing.text(left, below_title, "\n".join(under), va="top", color=NOTE, **_PLAIN)
    drawing.text(left, 0.08 / height, "\n".join(notes), va="bottom", color=NOTE, size=7, **_PLAIN)
