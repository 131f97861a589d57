"""The domains S1, S2 and T: frames in which divers, or all else, are made unrecognisable.

"Recur, Attend or Convolve?", supplement, section 6.2, and the authors' code.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from retrace.plan.composition import BlurElsewhere, Composition, PaintOver
from retrace.segment.model import Found
from retrace.segment.paste import pasted


def regions(found: Sequence[Found], size: tuple[int, int], how: Composition) -> Tensor:
    """Return the region of the divers in each frame of `size` (height, width), bool (T, H, W)."""
    return torch.stack([pasted(one, size, how.instances, how.threshold) for one in found])


def compose(x_TCHW: Tensor, region_THW: Tensor, effect: BlurElsewhere | PaintOver) -> Tensor:
    """Return frames with the region kept or painted over, uint8 (T, C, H, W); `x_TCHW` is in [0, 1].

    Where nothing was found the region is empty: S1 and S2 are blurred all over, T is the frame as it was,
    with the diver in it.
    """
    region_T1HW = region_THW[:, None]
    match effect:
        case BlurElsewhere(kernel=kernel, sigma=sigma):
            blurred_TCHW = gaussian_blur(x_TCHW, [kernel, kernel], [sigma, sigma])
            return _bytes(torch.where(region_T1HW, x_TCHW, blurred_TCHW))
        case PaintOver(colour=colour):
            paint_C11 = torch.tensor(colour, dtype=torch.uint8)[:, None, None]
            return torch.where(region_T1HW, paint_C11, _bytes(x_TCHW))


def _bytes(x_TCHW: Tensor) -> Tensor:
    return (x_TCHW * 255).to(torch.uint8)  # cut, not rounded, as in the authors' code
