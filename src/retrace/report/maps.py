"""Drawing maps: the frames of each video in a row, and below it a row of the same frames for every map.

A map is stretched over its frames and laid over them in colour, from 0 to the largest value in the row. The
frames stand once where several cells show the same ones.
"""

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure as Drawing
from PIL import Image

from retrace.evaluate.pictures import Pictures
from retrace.plan.expand import Cell
from retrace.plan.items import Figure, Item
from retrace.plan.plan import Plan
from retrace.report.canvas import NOTE
from retrace.report.outcome import Outcome, run_label
from retrace.report.results import Results

COLUMNS = ("panel", "series", "video", "class", "answer", "map", "frame", "row", "column", "value", "run")
MOST_FRAMES = 8
"""So many frames of a clip are drawn at most, evenly spaced over it."""

_COLOURS = "inferno"
_LEFT, _RIGHT, _GAP, _BETWEEN = 1.45, 0.1, 0.04, 0.16
_FRAME = 0.9
_GREY = np.array([0.299, 0.587, 0.114])
"""How much red, green and blue count for brightness (ITU-R BT.601)."""
_SHARE = 0.72
"""How much of the colour is the map's where it is largest; the rest is the frame."""
_PLAIN: dict[str, Any] = {"parse_math": False, "linespacing": 1.25}


class Shown(NamedTuple):
    """A cell that has maps: its label in the figure, what it shows, and the names of the classes."""

    label: str
    cell: Cell
    pictures: Pictures
    classes: tuple[str, ...]


class Strip(NamedTuple):
    """A row of the drawing: frames (T, H, W, 3), uint8, and what stands to the left of them."""

    text: str
    note: str
    frames_THWC: np.ndarray
    apart: bool
    """Whether another video ends above."""


def shown_cells(figure: Figure, outcomes: Sequence[tuple[Cell, Outcome]], results: Results) -> list[Shown]:
    """Return the cells of a figure that have maps."""
    found = []
    for cell, outcome in outcomes:
        if outcome.state != "measured" or cell.maps is None:
            continue
        pictures = results.pictures(cell.runs[0], cell.maps)
        assert pictures is not None
        found.append(Shown(_label(figure, cell), cell, pictures, cell.runs[0].task.classes))
    return found


def rule(plan: Plan, shown: Sequence[Shown]) -> str:
    """Return which videos are shown, and which of their frames."""
    drawn = [one.cell.maps for one in shown if one.cell.maps is not None]
    names = dict.fromkeys(maps.view.domains[maps.domain].dataset for maps in drawn)
    titles = "; ".join(plan.library.videos[name].title for name in names)
    return (
        f"Shown is the first video by id of each of the first classes that has one ({titles}), whatever "
        f"models make of it; of a clip at most {MOST_FRAMES} frames, evenly spaced."
    )


def points(shown: Sequence[Shown]) -> pd.DataFrame:
    """Return every number of every map: columns COLUMNS; frames, rows and columns count from 0."""
    parts = []
    for one in shown:
        axes = dict(one.cell.place.axes)
        for name, maps_NTRC in one.pictures.maps_NTRC.items():
            n, t, r, c = np.indices(maps_NTRC.shape).reshape(4, -1)
            part = pd.DataFrame({"frame": t, "row": r, "column": c, "value": maps_NTRC.ravel()})
            part["video"] = np.array(one.pictures.ids)[n]
            part["class"] = np.array(one.classes)[one.pictures.labels_N[n]]
            part["answer"] = np.array(one.classes)[one.pictures.answers_N[n]]
            parts.append(
                part.assign(
                    map=name,
                    panel=axes.get("panel", ""),
                    series=axes.get("series", ""),
                    run=run_label(one.cell.runs[0]),
                )
            )
    return (
        pd.concat(parts, ignore_index=True)[list(COLUMNS)] if parts else pd.DataFrame(columns=list(COLUMNS))
    )


def draw(title: str, captions: Sequence[str], shown: Sequence[Shown]) -> Drawing:
    """Return the drawing; the first of `captions` goes below the title, the rest to the foot."""
    rows = strips(shown)
    frames = max(len(strip.frames_THWC) for strip in rows)
    width = _LEFT + frames * (_FRAME + _GAP) + _RIGHT
    heads, under = wrap(title, int(width * 11.5)), wrap(captions[0], int(width * 14))
    notes = wrap(" ".join(captions[1:]), int(width * 17.5))
    above = 0.28 + 0.18 * len(heads) + 0.16 * len(under)
    below = 0.12 + 0.14 * len(notes) + 0.42
    tall = [_FRAME * s.frames_THWC.shape[1] / s.frames_THWC.shape[2] + _GAP for s in rows]
    height = above + sum(tall) + _BETWEEN * sum(s.apart for s in rows) + below
    drawing = Drawing(figsize=(width, height))
    top = above
    for strip, own in zip(rows, tall, strict=True):
        top += _BETWEEN * strip.apart
        _row(drawing, strip, top, own - _GAP)
        top += own
    _write(drawing, heads, under, notes)
    _colour_bar(drawing, below - 0.2)
    return drawing


def heated(frames_THWC: np.ndarray, map_TRC: np.ndarray) -> np.ndarray:
    """Return the frames in grey with a map in colour over them (T, H, W, 3), uint8.

    Colour and its opacity grow from 0 to the largest value of the map; what is negative counts as 0.
    """
    size = frames_THWC.shape[2], frames_THWC.shape[1]
    stretched = [
        Image.fromarray(m.astype(np.float32)).resize(size, Image.Resampling.BILINEAR) for m in map_TRC
    ]
    heat_THW = np.clip(np.stack([np.asarray(m) for m in stretched]) / max(float(map_TRC.max()), 1e-12), 0, 1)
    grey_THW1 = (frames_THWC @ _GREY)[..., None] / 255
    colour_THWC = mpl.colormaps[_COLOURS](heat_THW)[..., :3]
    return np.rint(255 * ((1 - _SHARE) * grey_THW1 + _SHARE * colour_THWC)).astype(np.uint8)


def _label(figure: Figure, cell: Cell) -> str:
    axes = dict(cell.place.axes)
    entries: list[tuple[str, tuple[Item, ...]]] = [("panel", figure.panels), ("series", figure.series)]
    return ", ".join(item.label for axis, items in entries for item in items if item.key == axes.get(axis))


def strips(shown: Sequence[Shown]) -> list[Strip]:
    """Return the rows: for every video the maps of all cells, and in front of them the frames if new."""
    videos = dict.fromkeys(video for one in shown for video in one.pictures.ids)
    return [strip for number, video in enumerate(videos) for strip in _of_video(video, shown, number > 0)]


def _of_video(video: str, shown: Sequence[Shown], apart: bool) -> Iterator[Strip]:
    before: np.ndarray | None = None
    for one in (one for one in shown if video in one.pictures.ids):
        place = one.pictures.ids.index(video)
        frames_THWC = one.pictures.frames_NTHWC[place]
        label, answer = (
            one.classes[number[place]] for number in (one.pictures.labels_N, one.pictures.answers_N)
        )
        chosen = _evenly(len(frames_THWC))
        if before is None or not np.array_equal(before, frames_THWC):
            yield Strip(label, f"video {video}", frames_THWC[chosen], apart and before is None)
        before = frames_THWC
        for name, maps_NTRC in one.pictures.maps_NTRC.items():
            text = ": ".join(filter(None, [one.label, name]))
            said = "answer: right" if answer == label else f"answer: {answer}"
            yield Strip(text, said, heated(frames_THWC, maps_NTRC[place])[chosen], False)


def _evenly(frames: int) -> list[int]:
    drawn = min(frames, MOST_FRAMES)
    return [(2 * k + 1) * frames // (2 * drawn) for k in range(drawn)]


def _row(drawing: Drawing, strip: Strip, top: float, tall: float) -> None:
    width, height = drawing.get_size_inches()
    for k, frame_HWC in enumerate(strip.frames_THWC):
        left = _LEFT + k * (_FRAME + _GAP)
        ax = drawing.add_axes((left / width, 1 - (top + tall) / height, _FRAME / width, tall / height))
        ax.imshow(frame_HWC, aspect="auto", interpolation="nearest")
        ax.set_axis_off()
    lines = [*wrap(strip.text, 24), *wrap(strip.note, 24)]
    middle = 1 - (top + tall / 2) / height
    drawing.text(0.1 / width, middle, "\n".join(lines), va="center", size=6.5, **_PLAIN)


def _write(drawing: Drawing, heads: list[str], under: list[str], notes: list[str]) -> None:
    width, height = drawing.get_size_inches()
    left = 0.1 / width
    drawing.text(left, 1 - 0.08 / height, "\n".join(heads), va="top", size=9.5, weight="bold", **_PLAIN)
    below_title = 1 - (0.13 + 0.17 * len(heads)) / height
    drawing.text(left, below_title, "\n".join(under), va="top", color=NOTE, **_PLAIN)
    drawing.text(left, 0.08 / height, "\n".join(notes), va="bottom", color=NOTE, size=7, **_PLAIN)


def _colour_bar(drawing: Drawing, bottom: float) -> None:
    width, height = drawing.get_size_inches()
    ax = drawing.add_axes((_LEFT / width, bottom / height, 1.6 / width, 0.08 / height))
    bar = drawing.colorbar(ScalarMappable(cmap=_COLOURS), cax=ax, orientation="horizontal")
    bar.set_ticks([0, 1], labels=["0", "largest of the row"])
    bar.outline.set_visible(False)
