"""The clips of one split, as tensors. x_BTCHW: Batch, Time (frames), Channels, Height, Width."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from retrace.errors import UserError
from retrace.plan.layout import split_folder
from retrace.plan.spec import Split

CPU = torch.device("cpu")


class Clips:
    """One split on disk, mapped into memory: `ids` (strings), `labels` (int64) and batches of clips.

    Raises UserError where a file is missing, damaged or does not hold what the split promises.
    """

    def __init__(self, split: Split) -> None:
        folder = split_folder(split)
        self.split = split
        self.frames = _open_frames(folder / "clips.npy", split)
        self.ids, self.labels = _read_manifest(folder / "manifest.parquet", split)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: np.ndarray, device: torch.device = CPU) -> tuple[torch.Tensor, torch.Tensor]:
        """Return clips x_BTCHW (float32 in [0, 1]) and their labels (B,) int64, in the order of `indices`."""
        order = np.argsort(indices)
        gathered = np.empty((len(indices), *self.frames.shape[1:]), dtype=np.uint8)
        gathered[order] = self.frames[indices[order]]  # reads walk through the file forwards
        x = torch.from_numpy(gathered).to(device).float().div_(255)  # bytes travel, floats are made there
        if self.split.channels == 1:
            x = x.unsqueeze(2)
        return x, torch.from_numpy(self.labels[indices]).to(device)


def _open_frames(path: Path, split: Split) -> np.ndarray:
    """Map (N, T, H, W) uint8, or (N, T, C, H, W) for more than one channel."""
    _require(path)
    try:
        frames = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise UserError(f"{path} is damaged ({error}). Delete it and make it again.") from error
    channels = () if split.channels == 1 else (split.channels,)
    expected = (split.clips, split.frames, *channels, split.side, split.side)
    if frames.dtype != np.uint8 or frames.shape != expected:
        raise UserError(
            f"{path} holds {frames.dtype} {frames.shape}, the split {split.split} of {split.dataset} "
            f"expects uint8 {expected}."
        )
    return frames


def _read_manifest(path: Path, split: Split) -> tuple[list[str], np.ndarray]:
    _require(path)
    try:
        # not pq.read_table, which imports pandas: a second or two in every process
        columns = pq.ParquetFile(path).read(columns=["id", "index", "label", "class"]).to_pydict()
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}). Delete it and make it again.") from error
    missing = {"id", "index", "label", "class"} - columns.keys()
    if missing:
        raise UserError(f"{path} lacks the columns {', '.join(sorted(missing))}.")
    _check_rows(path, split, columns)
    return columns["id"], np.array(columns["label"], dtype=np.int64)


def _check_rows(path: Path, split: Split, columns: dict[str, list]) -> None:
    if columns["index"] != list(range(split.clips)):
        found = len(columns["index"])
        raise UserError(f"{path} has {found} rows, expected {split.clips}, with index 0, 1, 2, ... in order.")
    if len(set(columns["id"])) != split.clips or not all(isinstance(clip, str) for clip in columns["id"]):
        raise UserError(f"{path} names some clip twice or by no text: ids must be unique strings.")
    known = dict(enumerate(split.classes))
    for clip, label, name in zip(columns["id"], columns["label"], columns["class"], strict=True):
        if known.get(label) != name:
            raise UserError(
                f"{path}: clip {clip!r} has label {label} and class {name!r}, "
                f"the split's classes are {', '.join(split.classes)}."
            )


def _require(path: Path) -> None:
    if not path.is_file():
        raise UserError(f"{path} is missing. The rule `generate` makes it: snakemake {path}")
