"""Figure 2 of "Recurrent Space-time Graph Neural Networks": SyncMNIST with the paths of its digits."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from retrace.data.synthetic.sync_draws import STAMP, no_pair
from retrace.data.synthetic.sync_mnist import generate, walks
from retrace.data.synthetic.sync_render import Stamps
from retrace.plan.spec import Split

_GREEN, _RED = (60, 220, 90), (235, 70, 60)
_TILE, _GAP, _TEXT = 224, 6, 18


def paths_figure(
    split: Split, stamps: Stamps, clips: tuple[int, ...], frames: tuple[int, ...]
) -> Image.Image:
    """Draw some frames of some clips, a clip a row, with arrows along the way of each digit's middle so far.

    The pair that moves together is green, the others are red; the class stands beside the row.
    """
    font = ImageFont.load_default(_TEXT)
    left = _TEXT * 4
    size = (left + len(frames) * (_TILE + _GAP), (_TILE + _GAP) * len(clips) + _TEXT + 2 * _GAP)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for column, t in enumerate(frames):
        pen.text((left + column * (_TILE + _GAP), _GAP), f"frame {t + 1}", fill="black", font=font)
    for row, clip in enumerate(clips):
        top = _TEXT + 2 * _GAP + row * (_TILE + _GAP)
        for column, tile in enumerate(_tiles(split, stamps, clip, frames)):
            sheet.paste(tile, (left + column * (_TILE + _GAP), top))
        label = generate(split, clip, clip + 1, stamps)[1][0]
        pen.text((_GAP, top), split.classes[label], fill="black", font=font)
    return sheet


def _tiles(split: Split, stamps: Stamps, clip: int, frames: tuple[int, ...]) -> list[Image.Image]:
    """Return the enlarged frames of one clip with the paths up to each of them."""
    draws = walks(split, clip, clip + 1, stamps)
    clip_THW = generate(split, clip, clip + 1, stamps)[0][0]
    scale = _TILE / split.generator.canvas
    middle_TD2 = (draws.corner_NTD2[0] + STAMP / 2) * scale
    paired = draws.label_N[0] != no_pair(split.generator.kinds)
    tiles = []
    for t in frames:
        frame = Image.fromarray(clip_THW[t]).resize((_TILE, _TILE), Image.Resampling.NEAREST)
        tile = frame.convert("RGB")
        pen = ImageDraw.Draw(tile)
        for digit in reversed(range(middle_TD2.shape[1])):  # the pair's arrows come last and lie on top
            colour = _GREEN if paired and digit < 2 else _RED
            for begin, end in zip(middle_TD2[:t, digit], middle_TD2[1 : t + 1, digit], strict=True):
                _arrow(pen, begin[::-1], end[::-1], colour)
        tiles.append(tile)
    return tiles


def _arrow(pen: ImageDraw.ImageDraw, begin_xy: np.ndarray, end_xy: np.ndarray, colour: tuple) -> None:
    way = end_xy - begin_xy
    length = float(np.hypot(*way))
    if length == 0:
        return
    ahead = way / length
    aside = np.array([-ahead[1], ahead[0]])
    head = min(7.0, length)
    pen.line([*begin_xy, *(end_xy - ahead * head)], fill=colour, width=2)
    wings = [end_xy - head * ahead + side * 0.5 * head * aside for side in (1, -1)]
    pen.polygon([tuple(point) for point in (end_xy, *wings)], fill=colour)
