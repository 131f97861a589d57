"""Where the divers of generated videos really are. It scores what was found, and makes nothing."""

from statistics import fmean
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from retrace.data.synthetic.videos import divers
from retrace.data.synthetic.videos.official import Diving48
from retrace.plan.video import Divers, VideoSplit
from retrace.segment.region import region_iou


class Score(NamedTuple):
    """How a region fits the known divers of one video."""

    with_diver: int
    """Frames in which a diver is to be seen; the rest is about these."""
    missed: int
    """Of these, those without any region."""
    iou: float
    """Mean IoU of region and divers."""
    covered: float
    """Mean share of the divers' pixels that the region has."""


class Known:
    """The divers of one split of generated videos by the videos' ids; of real videos nothing is known."""

    def __init__(self, videos: VideoSplit) -> None:
        self._jumps: dict[str, divers.Jump] = {}
        footage = videos.collection.footage
        if isinstance(footage.generator, Divers) and footage.classes and footage.videos:
            for index in range(footage.videos.get(videos.split, 0)):
                jump = divers.draw(footage.generator, footage.classes, videos.split, index)
                self._jumps[Diving48.entry(jump, footage.classes, videos.split, index).id] = jump

    def score(self, video: str, frames: np.ndarray, region_THW: Tensor) -> Score | None:
        """Return how the region in some frames of a video fits, or None where nothing is known of it."""
        if video not in self._jumps:
            return None
        masks_THW = torch.from_numpy(divers.masks(self._jumps[video])[frames].any(1))
        if masks_THW.shape != region_THW.shape:
            masks_THW = interpolate(masks_THW[:, None].float(), region_THW.shape[-2:])[:, 0] > 0.5
        pairs = [(found, known) for found, known in zip(region_THW, masks_THW, strict=True) if known.any()]
        return Score(
            with_diver=len(pairs),
            missed=sum(not found.any() for found, _ in pairs),
            iou=fmean(region_iou(*pair) for pair in pairs) if pairs else 0.0,
            covered=fmean(float((found & known).sum() / known.sum()) for found, known in pairs)
            if pairs
            else 0.0,
        )
