"""Where training and scoring get their clips from: arrays of generated clips, or stored videos.

x_BVTCHW: Batch, View (crops and clips of one video), Time (frames), Channels, Height, Width; float32, as
models take them. Generated clips and training clips have one view.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from retrace.data import loader
from retrace.data.clips import Clips
from retrace.data.frame_order import Order, frame_order
from retrace.data.transforms import normalise
from retrace.errors import UserError
from retrace.plan.clip import Pixels, TestClip, TrainClip, flips
from retrace.plan.layout import collection_folder, frames_folder
from retrace.plan.spec import Split
from retrace.plan.video import VideoSplit

Shown = tuple[Tensor, Tensor]
"""Clips x_BVTCHW and their labels_B (int64), on the device."""


class Feed(Protocol):
    """What can be asked for batches of clips by the numbers of clips or videos in their split."""

    ids: list[str]
    labels: np.ndarray

    def batches(self, wanted: Sequence[np.ndarray], epoch: int) -> Iterator[Shown]:
        """Yield the clips of each array of numbers."""
        ...


class ClipFeed:
    """Generated clips, shown in one frame order."""

    def __init__(self, split: Split, device: torch.device, order: Order = "forward") -> None:
        self._clips, self._device, self._order = Clips(split), device, order
        self.ids, self.labels = self._clips.ids, self._clips.labels

    def batches(self, wanted: Sequence[np.ndarray], epoch: int) -> Iterator[Shown]:
        """Yield the clips of each array of numbers; they are the same in every epoch."""
        for indices in wanted:
            x_BTCHW, labels_B = self._clips.batch(indices, self._device)
            if self._order != "forward":
                x_BTCHW = self._in_order(x_BTCHW, indices)
            yield x_BTCHW.unsqueeze(1), labels_B

    def _in_order(self, x_BTCHW: Tensor, indices: np.ndarray) -> Tensor:
        frames = x_BTCHW.shape[1]
        order_BT = np.stack([frame_order(self._order, frames, self.ids[index]) for index in indices])
        rows_B1 = torch.arange(len(indices), device=x_BTCHW.device)[:, None]
        return x_BTCHW[rows_B1, torch.from_numpy(order_BT).to(x_BTCHW.device)]


class VideoFeed:
    """Clips of stored videos, made by worker processes and normalised on the device."""

    def __init__(
        self, made: loader.Train | loader.Test, pixels: Pixels, device: torch.device, workers: int
    ) -> None:
        self.ids, self.labels = made.videos.ids, made.videos.labels_N
        self._pixels, self._device = pixels, device
        self._loader = loader.Loader(made, workers, pin_memory=device.type == "cuda")
        self._one_view = isinstance(made, loader.Train)

    def batches(self, wanted: Sequence[np.ndarray], epoch: int) -> Iterator[Shown]:
        """Yield the clips of each array of numbers; training clips differ by epoch."""
        for batch in self._loader.epoch(wanted, epoch):
            x = batch.x.to(self._device, non_blocking=True)
            x = normalise(self._pixels, x.unsqueeze(1) if self._one_view else x)
            yield x, batch.labels_B.to(self._device, non_blocking=True)


def training(split: VideoSplit, clip: TrainClip, seed: int, device: torch.device, workers: int) -> VideoFeed:
    """Return random clips of the videos of `split`."""
    whole = split.collection
    flipped = flips(whole.classes, whole.flip, whole.mirror)
    return VideoFeed(
        loader.Train(videos_of(split, keep=not workers), clip, flipped, seed), clip, device, workers
    )


def testing(
    split: VideoSplit,
    clip: TestClip,
    order: Order,
    device: torch.device,
    workers: int,
    *,
    again: bool = False,
) -> VideoFeed:
    """Return every view of the videos of `split`; `again` tells that they will be asked more than once."""
    videos = videos_of(split, keep=again and not workers)
    return VideoFeed(loader.Test(videos, clip, order), clip, device, workers)


def videos_of(split: VideoSplit, *, keep: bool = False) -> loader.Videos:
    """Return the stored videos of `split`, for a process that is to `keep` them or for one of many.

    Raises UserError if there are none, or one lacks a label.
    """
    folder = Path(collection_folder(split.collection))
    videos = loader.Videos(folder, split.split, Path(frames_folder(split.collection.footage)), keep=keep)
    if (videos.labels_N < 0).any():
        raise UserError(
            f"{folder}: split '{split.split}' has videos without a label; nothing can be scored on it"
        )
    return videos
