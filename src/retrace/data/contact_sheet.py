"""A picture of a collection for the eye: some videos of some classes, frame after frame."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from retrace.data.decode import decode

_CLASSES, _FRAMES = 8, 8
"""At most so many classes, and frames of a video."""

_HEIGHT = 72
_GAP, _TEXT = 4, 13
_PAPER, _INK, _SOFT = "white", "black", "#6e6e6e"


def contact_sheet(path: Path, videos: list[dict[str, Any]], classes: tuple[str, ...], frames: Path) -> None:
    """Write a PNG: for up to eight classes, spread evenly over the list, the first video of each split.

    A video is a row of up to eight frames from its first to its last. `videos` are rows of videos.parquet,
    `frames` is the folder that their files lie in.
    """
    rows = [video for name in _spread(classes, _CLASSES) for video in _first(videos, name)]
    strips = [_strip(video, frames) for video in rows]
    width = max((strip.width for strip in strips), default=0) + 2 * _GAP
    line = _TEXT + 2 * _GAP
    sheet = Image.new("RGB", (max(width, 320), (line + _HEIGHT) * len(rows) + _GAP), _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(_TEXT)
    for row, (video, strip) in enumerate(zip(rows, strips, strict=True)):
        top = row * (line + _HEIGHT)
        facts = f"{video['split']} {video['id']}, {video['frames']} frames, {video['fps']:.3g} fps"
        name = str(video["class"])
        pen.text((_GAP, top + _GAP), name, fill=_INK, font=font)
        pen.text(
            (_GAP + pen.textlength(name, font=font) + 3 * _GAP, top + _GAP), facts, fill=_SOFT, font=font
        )
        sheet.paste(strip, (_GAP, top + line))
    sheet.save(path)


def _spread(items: tuple[str, ...], most: int) -> list[str]:
    chosen = np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)
    return [items[index] for index in chosen]


def _first(videos: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    of_class = [video for video in videos if video["class"] == name]
    return list({video["split"]: video for video in reversed(of_class)}.values())[::-1]


def _strip(video: dict[str, Any], frames: Path) -> Image.Image:
    """Return the frames of one video side by side, each `_HEIGHT` pixels high."""
    indices = np.linspace(0, video["frames"] - 1, min(_FRAMES, video["frames"])).round().astype(int)
    clip_THWC = decode(frames / video["file"], indices.tolist())
    width = max(1, round(clip_THWC.shape[2] * _HEIGHT / clip_THWC.shape[1]))
    strip = Image.new("RGB", ((width + _GAP) * len(clip_THWC) - _GAP, _HEIGHT), _PAPER)
    for column, frame_HWC in enumerate(clip_THWC):
        tile = Image.fromarray(frame_HWC).resize((width, _HEIGHT), Image.Resampling.BILINEAR)
        strip.paste(tile, (column * (width + _GAP), 0))
    return strip
