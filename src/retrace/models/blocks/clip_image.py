"""A clip as one image, T high and H W wide: then 2D layers mix frames.

2D convolutions and pools are faster than 3D ones of the same size, most of all depthwise ones, and
channels-last features take this view without a copy (benchmarks/video_cnns.py).
"""

from torch import Tensor


def to_image(x_BTCHW: Tensor) -> Tensor:
    """Return the clips as images (B, C, T, H W), channels-last if the features are."""
    # By way of (B, T, H W, C): with a single clip other ways give strides that torch takes for contiguous.
    return x_BTCHW.permute(0, 1, 3, 4, 2).flatten(2, 3).permute(0, 3, 1, 2)


def from_image(x_BCTS: Tensor, height: int, width: int) -> Tensor:
    """Return images (B, C, T, H W) as clips (B, T, C, H, W)."""
    return x_BCTS.permute(0, 2, 3, 1).unflatten(2, (height, width)).permute(0, 1, 4, 2, 3)
