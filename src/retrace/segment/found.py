"""What a segmenter finds in one image."""

from typing import NamedTuple

from torch import Tensor


class Found(NamedTuple):
    """What was detected in one image, best score first."""

    boxes_N4: Tensor
    """x0, y0, x1, y1 in pixels of the image."""
    scores_N: Tensor
    masks_NSS: Tensor
    """Confidence within the box, S = 28 cells a side."""
