"""From what a segmenter found in a frame to the region of its divers."""

import torch
from torch import Tensor
from torchvision.models.detection.roi_heads import paste_masks_in_image

from retrace.segment.model import Found

INSTANCES, THRESHOLD = 2, 0.4
"""Those of S1 in the paper, by which a segmenter is judged before any domain is composed."""


def pasted(found: Found, size: tuple[int, int], instances: int | None, threshold: float) -> Tensor:
    """Return the region of the divers in a frame of `size` (height, width), bool (H, W).

    The union of the first `instances`, all if None, where each mask is above `threshold`. A mask is stretched
    over its box, a cell wider on every side than the 28 that are predicted (torchvision), so what is
    above 0 is nearly the box.
    """
    boxes_N4, masks_NSS = found.boxes_N4[:instances], found.masks_NSS[:instances]
    if not len(boxes_N4):
        return torch.zeros(size, dtype=torch.bool)
    return (paste_masks_in_image(masks_NSS[:, None], boxes_N4, size) > threshold).any(0)[0]
