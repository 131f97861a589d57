"""What a segmenter found in the frames of one video, as a file: a few kilobytes a frame."""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
import torch

from retrace.data.composed import Video
from retrace.data.shards import stored_name
from retrace.errors import UserError
from retrace.files import atomic
from retrace.segment.found import Found

_LEAST = float(np.finfo(np.float16).smallest_subnormal)


class Detections(NamedTuple):
    """Everything found in some frames of a video, frame after frame, best score first."""

    frames_T: np.ndarray
    """Which frames of the video, int64."""
    counts_T: np.ndarray
    """How many detections in each, int64; the next three hold those of all frames in a row."""
    boxes_N4: np.ndarray
    """x0, y0, x1, y1, float32."""
    scores_N: np.ndarray
    masks_NSS: np.ndarray
    """Confidence within the box, float16; what is above 0 stays above 0."""

    def found(self) -> list[Found]:
        """Return the detections of each frame."""
        ends = self.counts_T.cumsum().tolist()
        parts = [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
        values = self.boxes_N4, self.scores_N, self.masks_NSS.astype(np.float32)
        return [Found(*(torch.from_numpy(value[part]) for value in values)) for part in parts]


def file_of(folder: Path, video: Video) -> Path:
    """Return the file of what was found in a video, below the folder of the pass."""
    return (folder / stored_name(video["split"], video["id"])).with_suffix(".npz")


def write(path: Path, frames: Sequence[int], found: Sequence[Found]) -> None:
    """Write the detections of some frames; the same ones give the same bytes."""
    masks_NSS = torch.cat([one.masks_NSS for one in found]).cpu()
    masks_NSS = torch.where(masks_NSS > 0, masks_NSS.clamp(min=_LEAST), 0.0)  # T and S2 ask what is above 0
    values = Detections(
        np.asarray(frames, np.int64),
        np.array([len(one.scores_N) for one in found], np.int64),
        torch.cat([one.boxes_N4 for one in found]).float().cpu().numpy(),
        torch.cat([one.scores_N for one in found]).float().cpu().numpy(),
        masks_NSS.numpy().astype(np.float16),
    )
    with atomic(path) as temporary:
        np.savez_compressed(temporary, **values._asdict())


def read(path: Path) -> Detections:
    """Read what `write` wrote. Raises UserError where it is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return Detections(**{name: file[name] for name in Detections._fields})
    except (OSError, KeyError, ValueError, EOFError, BadZipFile, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}). Delete it and find the divers again.") from error
