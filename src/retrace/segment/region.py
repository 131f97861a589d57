"""From what a segmenter found in a frame to the region of its divers.

What is computed is torchvision's. torchvision itself takes longer to import than a domain of the
demonstration to compose.
"""

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from retrace.segment.found import Found

INSTANCES, THRESHOLD = 2, 0.4
"""Those of S1 in the paper, by which a segmenter is judged before any domain is composed."""


def region(found: Found, size: tuple[int, int], instances: int | None, threshold: float) -> Tensor:
    """Return where the divers are in a frame of `size` (height, width), bool (H, W).

    The union of the first `instances`, all if None, where each mask is above `threshold`. A mask is stretched
    over its box, a cell wider on every side than the 28 that are predicted (torchvision's
    `paste_masks_in_image`), so what is above 0 is nearly the box.
    """
    region_HW = torch.zeros(size, dtype=torch.bool)
    boxes_N4 = _widened(found.boxes_N4[:instances], found.masks_NSS.shape[-1])
    for (x0, y0, x1, y1), mask_SS in zip(boxes_N4.tolist(), found.masks_NSS[:instances], strict=True):
        stretched_HW = _stretched(mask_SS, max(y1 - y0 + 1, 1), max(x1 - x0 + 1, 1))
        rows, columns = (slice(max(low, 0), high + 1) for low, high in ((y0, y1), (x0, x1)))
        seen_HW = region_HW[rows, columns]
        part_HW = stretched_HW[rows.start - y0 :, columns.start - x0 :][: len(seen_HW), : seen_HW.shape[1]]
        seen_HW |= part_HW > threshold
    return region_HW


def region_iou(found_HW: Tensor, known_HW: Tensor) -> float:
    """Return the IoU of two regions, bool (H, W), of which at least one is not empty."""
    return float((found_HW & known_HW).sum() / (found_HW | known_HW).sum())


def _widened(boxes_N4: Tensor, cells: int) -> Tensor:
    """Return each box, as whole pixels, with a cell more on every side."""
    low_N2, high_N2 = boxes_N4.split(2, dim=1)
    half_N2, middle_N2 = (high_N2 - low_N2) * 0.5 * ((cells + 2) / cells), (high_N2 + low_N2) * 0.5
    return torch.cat([middle_N2 - half_N2, middle_N2 + half_N2], dim=1).long()


def _stretched(mask_SS: Tensor, height: int, width: int) -> Tensor:
    return interpolate(pad(mask_SS, (1,) * 4)[None, None], (height, width), mode="bilinear")[0, 0]
