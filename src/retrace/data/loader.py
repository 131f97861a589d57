"""From stored frames to batches of clips, in worker processes.

x_BTCHW: Batch, Time (frames), Channels, Height, Width; uint8 until the device. What a clip looks like
depends on (run seed, epoch, number of the video) alone: the stream is the same for any number of
workers, after a resume, and whichever rank asks for it.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch.utils.data import DataLoader, Dataset

from retrace.data.decode import decode
from retrace.data.frame_order import Order, frame_order
from retrace.data.sampling import test_indices, train_indices
from retrace.data.shards import read_rows
from retrace.data.transforms import test_crops, train_transform
from retrace.errors import UserError
from retrace.plan.clip import Flips, TestClip, TrainClip

_AHEAD = 2
"""Batches a worker may be ahead of the trainer: more would only fill memory."""
KEPT = 2**29
"""Bytes of decoded frames that are kept at most: all those of a small set, or none."""


class Videos:
    """The stored videos of one split: `ids`, `labels_N` (int64), and where and how long each is.

    With `keep`, for whoever asks again and again, a small set is decoded only once.
    Raises UserError where videos.parquet is missing, damaged or has no video of the split.
    """

    def __init__(self, folder: Path, split: str, frames: Path, *, keep: bool = False) -> None:
        rows = read_rows(folder / "videos.parquet")
        of_split = np.flatnonzero(np.array(rows["split"].to_pylist(), object) == split)
        if not len(of_split):
            raise UserError(f"{folder / 'videos.parquet'} has no video of split '{split}'.")
        rows = rows.take(pa.Array.from_buffers(pa.int64(), len(of_split), [None, pa.py_buffer(of_split)]))
        self.ids: list[str] = rows["id"].to_pylist()
        self.labels_N = np.array([-1 if label is None else label for label in rows["label"].to_pylist()])
        self.n_frames_N, self.fps_N = _numbers(rows, "frames"), _numbers(rows, "fps")
        # an arrow array, not a list: counting references to its strings would copy it into every worker
        self._files = rows["file"].combine_chunks()
        self._frames = frames
        pixels_N = _numbers(rows, "width") * _numbers(rows, "height")
        self._keep = keep and 3 * int((pixels_N * self.n_frames_N).sum()) <= KEPT
        self._kept: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def path(self, index: int) -> Path:
        """Return the file with the frames of one video."""
        return self._frames / self._files[index].as_py()

    def frames(self, index: int, chosen_T: np.ndarray) -> torch.Tensor:
        """Return some frames of one video, x_TCHW."""
        if not self._keep:
            x_THWC = decode(self.path(index), chosen_T)
        else:
            if index not in self._kept:
                self._kept[index] = decode(self.path(index), range(self.n_frames_N[index]))
            x_THWC = self._kept[index][chosen_T]
        return torch.from_numpy(x_THWC).permute(0, 3, 1, 2)


def _numbers(rows: pa.Table, name: str) -> np.ndarray:
    """Return a column. Arrow's own way imports pandas, which takes a short process a second."""
    return np.array(rows[name].to_pylist())


class Batch(NamedTuple):
    """Clips of some videos: `indices_B` are the numbers of the videos in their split."""

    indices_B: np.ndarray
    x: torch.Tensor
    labels_B: torch.Tensor


class Train(Dataset):
    """Training clips: item (epoch, indices) is a Batch with x_BTCHW, one clip a video."""

    def __init__(self, videos: Videos, clip: TrainClip, flips: Flips, seed: int) -> None:
        self.videos, self.clip, self.flips, self.seed = videos, clip, flips, seed

    def __getitem__(self, item: tuple[int, np.ndarray]) -> Batch:
        epoch, indices_B = item
        side = self.clip.side
        x_BTCHW = torch.empty((len(indices_B), self.clip.sampling.frames, 3, side, side), dtype=torch.uint8)
        labels_B = torch.empty(len(indices_B), dtype=torch.int64)
        for place, index in enumerate(indices_B):
            x_BTCHW[place], labels_B[place] = self._clip(epoch, int(index))
        return Batch(indices_B, x_BTCHW, labels_B)

    def _clip(self, epoch: int, index: int) -> tuple[torch.Tensor, int]:
        videos = self.videos
        rng = np.random.default_rng([self.seed, epoch, index])
        chosen = train_indices(self.clip.sampling, int(videos.n_frames_N[index]), videos.fps_N[index], rng)
        x_TCHW = videos.frames(index, chosen)
        return train_transform(self.clip, x_TCHW, rng, int(videos.labels_N[index]), self.flips)


class Test(Dataset):
    """Every view of each video: item (_, indices) is a Batch with x_BVTCHW, V = crops x clips.

    Crops are outermost, as in the authors' code; the frames of each clip are shown in `order`.
    """

    def __init__(self, videos: Videos, clip: TestClip, order: Order) -> None:
        self.videos, self.clip, self.order = videos, clip, order

    def __getitem__(self, item: tuple[int, np.ndarray]) -> Batch:
        _, indices_B = item
        x_BVTCHW = torch.stack([self._views(int(index)) for index in indices_B])
        return Batch(indices_B, x_BVTCHW, torch.from_numpy(self.videos.labels_N[indices_B]))

    def _views(self, index: int) -> torch.Tensor:
        videos = self.videos
        n_frames, fps, sampling = int(videos.n_frames_N[index]), videos.fps_N[index], self.clip.sampling
        chosen_MT = test_indices(sampling, n_frames, fps, self.clip.clips)
        chosen_MT = chosen_MT[:, frame_order(self.order, sampling.frames, videos.ids[index])]
        crops_VNCHW = test_crops(self.clip, videos.frames(index, chosen_MT.ravel()))  # N = clips x frames
        return crops_VNCHW.unflatten(1, chosen_MT.shape).flatten(0, 1)


class Loader:
    """Batches in order, made ahead of time by `workers` processes (0: by this one).

    The processes live as long as an epoch: forking is cheap, and those that outlive it are not told when
    an error ends the program (torch then waits five seconds for each).

    Attributes: `waited_s` and `seconds`, how long the consumer waited for clips, of how long in all.
    """

    def __init__(self, clips: Train | Test, workers: int, *, pin_memory: bool = False) -> None:
        self._plan: list[tuple[int, np.ndarray]] = []
        self._loader = DataLoader(
            _Forgiving(clips),
            batch_size=None,
            sampler=self._plan,
            num_workers=workers,
            prefetch_factor=_AHEAD if workers else None,
            pin_memory=pin_memory,
        )
        self.waited_s = self.seconds = 0.0

    def epoch(self, batches: Sequence[np.ndarray], epoch: int = 0) -> Iterator[Batch]:
        """Yield the Batch of each array of video numbers. Raises UserError with the path of a broken file."""
        self._plan[:] = [(epoch, batch) for batch in batches]
        asked = time.perf_counter()
        for batch in self._loader:
            self.waited_s += time.perf_counter() - asked
            if isinstance(batch, UserError):
                raise batch
            yield batch
            again = time.perf_counter()
            self.seconds += again - asked
            asked = again

    def waiting_share(self) -> float:
        """Return the share of the time so far in which the consumer waited for clips."""
        return self.waited_s / self.seconds if self.seconds else 0.0


def of_rank(batches: Sequence[np.ndarray], rank: int, ranks: int) -> list[np.ndarray]:
    """Return the part of each global batch that one of `ranks` devices takes; together they are the batch."""
    return [np.array_split(batch, ranks)[rank] for batch in batches]


class _Forgiving(Dataset):
    """Hands a user's error over as a value: raised in a worker it would arrive wrapped in a traceback."""

    def __init__(self, clips: Train | Test) -> None:
        self.clips = clips

    def __getitem__(self, item: tuple[int, np.ndarray]) -> Batch | UserError:
        try:
            return self.clips[item]
        except UserError as error:
            return UserError(str(error))  # whatever kind it was: this one can travel between processes
