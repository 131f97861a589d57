"""What a person looks at to trust a segmenter: its curve, and what it finds in frames with known divers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from retrace.segment.found import Found
from retrace.segment.frames import Frame
from retrace.segment.region import INSTANCES, THRESHOLD, region

_NAMES = {
    "box_iou": "box IoU, as the paper has it",
    "diver_box_iou": "box IoU a diver",
    "mask_iou": "mask IoU",
}
_MOST, _COLUMNS = 15, 5
_TILE = 240
"""Width in pixels."""

_GAP, _TEXT = 4, 13
_PAPER, _INK = "white", "black"
_FOUND, _LABEL = (255, 140, 0), (0, 255, 255)
_TINT = 0.45


def curve(
    path: Path,
    figures: dict[str, list[float]],
    untrained: dict[str, float],
    best: int,
    published: float | None,
) -> None:
    """Write a PNG of each figure by epoch, from the untrained network on; the epoch kept is marked."""
    drawing = Figure(figsize=(6.4, 3.4), layout="constrained")
    ax = drawing.subplots()
    for name, values in figures.items():
        line = ax.plot(
            range(len(values) + 1), [100 * v for v in (untrained[name], *values)], label=_NAMES[name]
        )
        ax.plot(best, 100 * values[best - 1], "o", color=line[0].get_color())
    if published is not None:
        ax.axhline(100 * published, linestyle=":", color="black", label="box IoU, printed")
    ax.set(xlabel="epoch; 0: before the first", ylabel="validation frames (%)", ylim=(0, 100), xlim=(0, None))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(frameon=False, fontsize="small")
    drawing.savefig(path, dpi=120, metadata={"Software": None})


def overlays(path: Path, frames: Sequence[Frame], found: Sequence[Found]) -> None:
    """Write a PNG of up to 15 frames: what was found as orange regions and boxes, labels as cyan outlines.

    The region is that of S1; each of its boxes has its score.
    """
    tiles = [_tile(*pair) for pair in list(zip(frames, found, strict=True))[:_MOST]]
    columns, height = min(_COLUMNS, len(tiles)), max(tile.height for tile in tiles)
    rows, head = -(-len(tiles) // columns), _TEXT + 2 * _GAP
    size = (columns * (_TILE + _GAP) + _GAP, head + rows * (height + _GAP))
    sheet = Image.new("RGB", size, _PAPER)
    text = "orange: found, with its confidence; cyan: the outline of what is labelled"
    ImageDraw.Draw(sheet).text((_GAP, _GAP), text, fill=_INK, font=ImageFont.load_default(_TEXT))
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        sheet.paste(tile, (_GAP + column * (_TILE + _GAP), head + row * (height + _GAP)))
    sheet.save(path)


def _tile(frame: Frame, found: Found) -> Image.Image:
    """Return one frame with what was found and what is labelled drawn over it, `_TILE` pixels wide."""
    picture_HW3 = frame.image_3HW.permute(1, 2, 0).numpy().astype(float)
    region_HW = region(found, frame.image_3HW.shape[-2:], INSTANCES, THRESHOLD).numpy()
    picture_HW3[region_HW] += _TINT * (np.array(_FOUND) - picture_HW3[region_HW])
    for mask_HW in frame.masks_NHW:
        picture_HW3[_outline(mask_HW)] = _LABEL
    scale = _TILE / picture_HW3.shape[1]
    size = (_TILE, round(picture_HW3.shape[0] * scale))
    tile = Image.fromarray(picture_HW3.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
    pen, font = ImageDraw.Draw(tile), ImageFont.load_default(_TEXT - 2)
    for box_4, score in zip(found.boxes_N4[:INSTANCES], found.scores_N[:INSTANCES], strict=True):
        x0, y0, x1, y1 = (box_4 * scale).tolist()
        pen.rectangle((x0, y0, x1, y1), outline=_FOUND)
        pen.text((x0 + 2, max(y0 - _TEXT, 0)), f"{score:.2f}", fill=_FOUND, font=font)
    return tile


def _outline(mask_HW: Tensor) -> np.ndarray:
    """Return the pixels of a mask that touch what is not of it, or the border of the frame."""
    mask = np.pad(mask_HW.numpy(), 1)
    inner = mask[1:-1, 1:-1] & mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    return mask[1:-1, 1:-1] & ~inner
