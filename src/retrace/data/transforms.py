"""From decoded frames to what a model sees: resize, crop, flip, normalise, the same for all frames of a clip.

x_TCHW: Time (frames), Channels, Height, Width, uint8; V crops of a test come first, x_VTCHW. Decoded
frames are THWC: hand them over as `torch.from_numpy(x_THWC).permute(0, 3, 1, 2)`, a view whose memory
has the channels last, which is resized about twice as fast as planes.

The kernels are those that torchvision calls; torchvision itself takes longer to import than some jobs to run.
"""

from collections.abc import Sequence
from typing import assert_never

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from retrace.plan.clip import (
    Centre,
    Exact,
    Flip,
    Flips,
    Jitter,
    MultiScale,
    Pixels,
    RandomCrop,
    Resize,
    Row,
    ShortSide,
    TestClip,
    TestCrops,
    Three,
    TrainClip,
    Whole,
)

SNAP = 3
"""TSN's crop takes the side of the clip itself where a size is less than this many pixels from it."""


def train_transform(
    clip: TrainClip, x_TCHW: Tensor, rng: np.random.Generator, label: int, flips: Flips
) -> tuple[Tensor, int]:
    """Return a random view of a clip, uint8 (T, C, side, side), and its label.

    Resize, crop, flip, brightness, in this order. All draws come from `rng`, the same number of them
    whatever the label, so the view depends on the state of `rng` alone. `flips` is what the dataset's
    page says of a flip (`plan.clip.flips`); `clip.flip` says whether it is heeded.
    """
    if clip.resize is not None:
        x_TCHW = _resize(x_TCHW, clip.resize, clip)
    x_TCHW = _random_crop(x_TCHW, clip, rng)
    if clip.flip is not None and rng.random() < clip.flip.probability:
        x_TCHW, label = _flip(x_TCHW, label, clip.flip, flips)
    if clip.brightness:
        x_TCHW = _shift(x_TCHW, round(255 * rng.uniform(-clip.brightness, clip.brightness)))
    return x_TCHW, label


def test_crops(clip: TestClip, x_TCHW: Tensor) -> Tensor:
    """Return the crops of one clip, x_VTCHW uint8 (V, T, C, side, side), in the order of `crop_places`."""
    x_TCHW = _resize(x_TCHW, clip.resize, clip)
    height, width = x_TCHW.shape[-2:]
    places = crop_places(clip.crops, height, width, clip.side)
    return torch.stack([_crop(x_TCHW, top, left, clip.side, clip.side) for top, left in places])


def normalise(clip: Pixels, x: Tensor) -> Tensor:
    """Return (x / 255 - mean) / std as float32, on the device of `x`, which is uint8 (..., C, H, W).

    The channels come in as RGB; `mean` and `std` are in the order in which the model sees them.
    TimeSformer's released code shows BGR on Something-Something v2.
    """
    if clip.colour == "bgr":
        x = x.flip(-3)
    mean, std = (torch.tensor(values, device=x.device).view(3, 1, 1) for values in (clip.mean, clip.std))
    return x.to(torch.float32).mul_(1 / 255).sub_(mean).div_(std)


def multi_scale_sizes(height: int, width: int, scales: Sequence[float], side: int) -> list[tuple[int, int]]:
    """Return the (height, width) that TSN's crop is drawn from: 10 for four scales, maybe some twice.

    A length is floor(scale * shorter side), or `side` if it is nearly that; the scales of height and
    width are at most one step apart. TSN and TSM, authors' code; a snapped length that would reach out
    of the frame is cut to it, where the authors' code pads with black.
    """
    shorter = min(height, width)
    lengths = [int(shorter * scale) for scale in scales]
    lengths = [min(side, shorter) if abs(length - side) < SNAP else length for length in lengths]
    steps = range(len(lengths))
    return [(lengths[i], lengths[j]) for i in steps for j in steps if abs(i - j) <= 1]


def multi_scale_places(height: int, width: int, crop_height: int, crop_width: int) -> list[tuple[int, int]]:
    """Return the 13 (top, left) of TSN's crop: corners, centre, middles of edges, quarter points.

    All are whole multiples of floor(margin / 4), so the far edges may miss up to three pixels.
    """
    dy, dx = (height - crop_height) // 4, (width - crop_width) // 4
    corners = [(0, 0), (0, 4), (4, 0), (4, 4)]
    edges = [(2, 0), (2, 4), (4, 2), (0, 2)]
    quarters = [(1, 1), (1, 3), (3, 1), (3, 3)]
    return [(i * dy, j * dx) for i, j in [*corners, (2, 2), *edges, *quarters]]


def crop_places(crops: TestCrops, height: int, width: int, side: int) -> list[tuple[int, int]]:
    """Return the (top, left) of each square of `side` in a resized frame, in the order of the source.

    "quarters": first, last, middle of the long side in whole quarters of the margin (Deep Analysis, TSM).
    "ceil": first, middle, last, the middle rounded up (PySlowFast, TimeSformer). `Row`: floor of even
    steps from end to end (RSTG). Across the long side all are centred.
    """
    margins = (height - side, width - side)
    match crops:
        case Centre(offset="ceil"):
            return [(-(-margins[0] // 2), -(-margins[1] // 2))]
        case Centre() | Whole():
            return [(round(margins[0] / 2), round(margins[1] / 2))]
        case Three(offset="quarters"):
            dy, dx = margins[0] // 4, margins[1] // 4
            return _along(height > width, [0, 4 * max(dy, dx), 2 * max(dy, dx)], 2 * min(dy, dx))
        case Three():
            long, short = max(margins), min(margins)
            return _along(height > width, [0, -(-long // 2), long], -(-short // 2))
        case Row():
            steps = np.linspace(0, max(margins), crops.count).astype(int).tolist()
            return _along(height > width, steps, min(margins) // 2)
        case _:
            assert_never(crops)


def _along(upright: bool, places: list[int], across: int) -> list[tuple[int, int]]:
    """Return (top, left) for places along the long side, which is the height of an upright frame."""
    return [(place, across) if upright else (across, place) for place in places]


def _resize(x_TCHW: Tensor, resize: Resize, clip: Pixels) -> Tensor:
    match resize:
        case ShortSide():
            size = [resize.pixels]
        case Exact():
            size = [resize.height, resize.width]
        case _:
            assert_never(resize)
    return _to_size(x_TCHW, size, clip)


def _to_size(x_TCHW: Tensor, size: list[int], clip: Pixels) -> Tensor:
    """Resize to (height, width), or to one length of the shorter side with the longer one rounded down."""
    height, width = x_TCHW.shape[-2:]
    if len(size) == 1:
        short = min(height, width)
        size = [size[0] * height // short, size[0] * width // short]
    if size == [height, width]:
        return x_TCHW
    return interpolate(x_TCHW, size, mode=clip.filter, antialias=clip.antialias)


def _crop(x_TCHW: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    return x_TCHW[..., top : top + height, left : left + width]


def _random_crop(x_TCHW: Tensor, clip: TrainClip, rng: np.random.Generator) -> Tensor:
    match clip.crop:
        case MultiScale():
            return _multi_scale(x_TCHW, clip.crop, clip, rng)
        case Jitter():
            x_TCHW = _to_size(x_TCHW, [_short_side(clip.crop, rng)], clip)
            return _anywhere(x_TCHW, clip.side, rng)
        case RandomCrop():
            return _anywhere(x_TCHW, clip.side, rng)
        case Whole():
            return x_TCHW
        case _:
            assert_never(clip.crop)


def _multi_scale(x_TCHW: Tensor, crop: MultiScale, clip: TrainClip, rng: np.random.Generator) -> Tensor:
    """Crop first, then resize what is left of it."""
    height, width = x_TCHW.shape[-2:]
    sizes = multi_scale_sizes(height, width, crop.scales, clip.side)
    size = sizes[rng.integers(len(sizes))]
    places = multi_scale_places(height, width, *size)
    x_TCHW = _crop(x_TCHW, *places[rng.integers(len(places))], *size)
    return _to_size(x_TCHW, [clip.side, clip.side], clip)


def _short_side(crop: Jitter, rng: np.random.Generator) -> int:
    """Draw the length of the shorter side: Deep Analysis "integer", PySlowFast "real" and "inverse"."""
    match crop.draw:
        case "integer":
            return int(rng.integers(crop.shortest, crop.longest, endpoint=True))
        case "real":
            return round(rng.uniform(crop.shortest, crop.longest))
        case "inverse":
            return round(1 / rng.uniform(1 / crop.longest, 1 / crop.shortest))
        case _:
            assert_never(crop.draw)


def _anywhere(x_TCHW: Tensor, side: int, rng: np.random.Generator) -> Tensor:
    """Return a random square; every place is equally likely, the last row and column too."""
    height, width = x_TCHW.shape[-2:]
    top, left = rng.integers((height - side, width - side), endpoint=True).tolist()
    return _crop(x_TCHW, top, left, side, side)


def _flip(x_TCHW: Tensor, label: int, flip: Flip, flips: Flips) -> tuple[Tensor, int]:
    """Mirror the clip if its class permits. Deep Analysis "always", GTA "unpaired"."""
    other = label if flip.rule == "always" else flips[label]
    if other is None or (flip.rule == "unpaired" and other != label):
        return x_TCHW, label
    return x_TCHW.flip(-1), other


def _shift(x_TCHW: Tensor, levels: int) -> Tensor:
    """Add grey levels to every pixel, held within 0..255 (RSTG)."""
    return (x_TCHW.to(torch.int16) + levels).clamp_(0, 255).to(torch.uint8)
