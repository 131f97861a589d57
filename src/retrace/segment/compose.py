"""The domains S1, S2 and T: frames in which divers, or all else, are made unrecognisable.

"Recur, Attend or Convolve?", supplement, section 6.2, and the authors' code.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from retrace.plan.composition import BlurElsewhere, Composition, PaintOver
from retrace.segment.found import Found
from retrace.segment.region import region


def regions(found: Sequence[Found], size: tuple[int, int], how: Composition) -> Tensor:
    """Return the region of the divers in each frame of `size` (height, width), bool (T, H, W)."""
    return torch.stack([region(one, size, how.instances, how.threshold) for one in found])


def compose(x_TCHW: Tensor, region_THW: Tensor, effect: BlurElsewhere | PaintOver) -> Tensor:
    """Return frames with the region kept or painted over, uint8 (T, C, H, W); `x_TCHW` is in [0, 1].

    Where nothing was found the region is empty: S1 and S2 are blurred all over, T is the frame as it was,
    with the diver in it.
    """
    region_T1HW = region_THW[:, None]
    match effect:
        case BlurElsewhere(kernel=kernel, sigma=sigma):
            return _bytes(torch.where(region_T1HW, x_TCHW, blurred(x_TCHW, kernel, sigma)))
        case PaintOver(colour=colour):
            paint_C11 = torch.tensor(colour, dtype=torch.uint8)[:, None, None]
            return torch.where(region_T1HW, paint_C11, _bytes(x_TCHW))


def blurred(x_TCHW: Tensor, kernel: int, sigma: float) -> Tensor:
    """Return frames under a Gaussian of `kernel` x `kernel` pixels, mirrored at their edges.

    Rows first, then columns: torchvision's `gaussian_blur` but for rounding, in a fraction of the time.
    """
    reach = kernel // 2
    weights_K = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    weights_K = weights_K / weights_K.sum()
    planes_N1HW = pad(x_TCHW, (reach,) * 4, mode="reflect").flatten(0, 1)[:, None]
    planes_N1HW = conv2d(conv2d(planes_N1HW, weights_K.view(1, 1, 1, -1)), weights_K.view(1, 1, -1, 1))
    return planes_N1HW.view_as(x_TCHW)


def _bytes(x_TCHW: Tensor) -> Tensor:
    return (x_TCHW * 255).to(torch.uint8)  # cut, not rounded, as in the authors' code
