"""The frames of a video that are segmented and composed: the same for both, from the video as filmed."""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from retrace.data.composed import Video
from retrace.data.decode import decode
from retrace.data.paths import inside
from retrace.data.sampling import test_indices
from retrace.plan.clip import Even
from retrace.plan.segmenter import Detection


def frame_indices(video: Video, frames: int) -> list[int]:
    """Return round(linspace(0, n - 1, frames)), halves to even, of a video with n frames (authors' code)."""
    even = Even(kind="even", frames=frames, rounding="half-even")
    return test_indices(even, video["frames"], 1.0, 1)[0].tolist()


def clip(root: Path, video: Video, detection: Detection) -> Tensor:
    """Return the frames of one video below `root`, x_TCHW float in [0, 1], as large as `detection` says.

    Raises BrokenVideo where they cannot be decoded.
    """
    x_THWC = decode(inside(root, video["path"]), frame_indices(video, detection.frames))
    x_TCHW = torch.from_numpy(x_THWC).permute(0, 3, 1, 2).float() / 255
    size = (detection.height, detection.width)
    if x_TCHW.shape[-2:] == size:
        return x_TCHW
    return interpolate(x_TCHW, size, mode="bilinear", antialias=detection.antialias)
