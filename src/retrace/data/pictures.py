"""Pictures of a split for the eye: a sheet of still frames, and an animated grid."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_TILE = 96
"""Least side of a shown frame in pixels; smaller frames are enlarged by whole factors."""

_GAP = 4
_TEXT = 16
_PAPER, _INK, _SOFT = 255, 0, 110
_CLIP_MS = 1600
"""Duration of a clip, as in the authors' GIFs: 20 frames of 80 ms."""

_CLASSES = 8
"""At most so many classes are shown."""


def shown(classes: tuple[str, ...]) -> list[int]:
    """Return the labels of the classes to show: all, or some spread evenly from the first to the last."""
    return np.linspace(0, len(classes) - 1, min(_CLASSES, len(classes))).round().astype(int).tolist()


def first_of_each(labels_N: np.ndarray, shown: list[int], clips: int) -> list[list[int]]:
    """Return the indices of the first `clips` clips of each shown class."""
    return [np.flatnonzero(labels_N == label)[:clips].tolist() for label in shown]


def contact_sheet(path: Path, clips_NTHW: np.ndarray, labels_N: np.ndarray, classes: tuple[str, ...]) -> None:
    """Write a PNG: one row per clip, three clips per shown class, about ten frames each.

    The last column lays all frames over each other (the brightest value of each pixel).
    """
    frames, named = clips_NTHW.shape[1], [classes[label] for label in shown(classes)]
    times = range(0, frames, max(1, round(frames / 10)))
    rows = [
        (place, clip)
        for place, found in enumerate(first_of_each(labels_N, shown(classes), 3))
        for clip in found
    ]
    tile = _scale(clips_NTHW) * clips_NTHW.shape[2] + _GAP
    left, top = 100, _TEXT + 2 * _GAP
    sheet = Image.new(
        "L",
        (left + tile * (len(times) + 1) + 2 * _GAP, top + tile * len(rows) + _GAP * 2 * len(named)),
        _PAPER,
    )
    pen = ImageDraw.Draw(sheet)
    for column, text in enumerate([*(f"frame {t}" for t in times), "all frames"]):
        _write(pen, (left + column * tile + _last(column, len(times)), _GAP), text, _SOFT)
    for row, (place, clip) in enumerate(rows):
        y = top + row * tile + place * _GAP * 2
        _write(pen, (_GAP, y), named[place], _INK)
        _write(pen, (_GAP, y + _TEXT + _GAP), f"clip {clip}", _SOFT)
        images = [*clips_NTHW[clip, times], clips_NTHW[clip].max(axis=0)]
        for column, image in enumerate(images):
            sheet.paste(_enlarge(image, clips_NTHW), (left + column * tile + _last(column, len(times)), y))
    sheet.save(path)


def preview(path: Path, clips_NTHW: np.ndarray, labels_N: np.ndarray, classes: tuple[str, ...]) -> None:
    """Write an endless GIF: one column per shown class, two clips each, at the authors' pace."""
    columns = first_of_each(labels_N, shown(classes), 2)
    tile = _scale(clips_NTHW) * clips_NTHW.shape[2] + _GAP
    top = _TEXT + 2 * _GAP
    canvas = Image.new("L", (tile * len(columns) + _GAP, top + tile * max(map(len, columns))), _PAPER)
    for column, label in enumerate(shown(classes)):
        _write(ImageDraw.Draw(canvas), (_GAP + column * tile, _GAP), classes[label], _INK)
    frames = []
    for step in range(clips_NTHW.shape[1]):
        frame = canvas.copy()
        for column, found in enumerate(columns):
            for row, clip in enumerate(found):
                frame.paste(
                    _enlarge(clips_NTHW[clip, step], clips_NTHW), (_GAP + column * tile, top + row * tile)
                )
        frames.append(frame)
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=_CLIP_MS // len(frames), loop=0)


def _scale(clips_NTHW: np.ndarray) -> int:
    return -(-_TILE // clips_NTHW.shape[2])


def _last(column: int, frames: int) -> int:
    """Set the column after the frames a little apart."""
    return 2 * _GAP if column == frames else 0


def _enlarge(image_HW: np.ndarray, clips_NTHW: np.ndarray) -> Image.Image:
    scale = _scale(clips_NTHW)
    return Image.fromarray(image_HW.repeat(scale, axis=0).repeat(scale, axis=1))


def _write(pen: ImageDraw.ImageDraw, place: tuple[int, int], text: str, grey: int) -> None:
    pen.text(place, text, fill=grey, font=ImageFont.load_default(_TEXT))
