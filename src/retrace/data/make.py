"""Make one split of a generated dataset: the clips, what they are, and what to look at."""

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from retrace.data.pictures import contact_sheet, preview
from retrace.data.synthetic import sync_mnist, temporal_shape
from retrace.data.synthetic.digits import load_digits, load_labels
from retrace.data.synthetic.sync_render import Stamps
from retrace.errors import UserError
from retrace.files import atomic, write_text
from retrace.plan.spec import Split, SyncMnist

_CHUNK = 512
"""Clips in memory at once; the bytes written do not depend on it."""

Digits = np.ndarray | Stamps | None
"""What a generator draws with: digit images (D, 28, 28), the same cut out and labelled, or nothing."""


def make_split(split: Split, folder: Path, mnist_folder: Path | None) -> None:
    """Write a split into `folder`; equal splits give equal bytes.

    clips.npy          uint8 (N, T, H, W), grey levels
    manifest.parquet   one row per clip: id, index, label, class
    audit.json         counts, blank frames, mean grey level, sha256 of clips.npy, digits used
    contact-sheet.png, preview.gif

    Every file is wholly there or not at all, and clips.npy appears last. Raises UserError where the
    split cannot be made: a size that does not divide the native one, digits that are not to be had.
    """
    digits = _digits(split, mnist_folder)
    with atomic(folder / "clips.npy") as temporary:
        labels = _write_clips(split, temporary, digits)
        clips = np.load(temporary, mmap_mode="r")
        with atomic(folder / "manifest.parquet") as manifest:
            _manifest(split, labels).to_parquet(manifest, index=False)
        with atomic(folder / "contact-sheet.png") as picture:
            contact_sheet(picture, clips, labels, split.classes)
        with atomic(folder / "preview.gif") as picture:
            preview(picture, clips, labels, split.classes)
        audit = _audit(split, temporary, labels, digits)
        write_text(folder / "audit.json", json.dumps(audit, indent=2) + "\n")


def generate(split: Split, start: int, stop: int, digits: Digits) -> tuple[np.ndarray, np.ndarray]:
    """Make clips `start`..`stop - 1`: uint8 (n, T, H, W), and their labels, int64 (n,)."""
    if isinstance(digits, Stamps):
        return sync_mnist.generate(split, start, stop, digits)
    return temporal_shape.generate(split, start, stop, digits)


def stamps_of(split: Split, mnist_folder: Path | None) -> Stamps:
    """Return the digits of a split of SyncMNIST, cut out. Raises UserError if they are not to be had."""
    generator = split.generator
    assert isinstance(generator, SyncMnist)
    asked = (generator.digits, split.split, mnist_folder)
    return Stamps(load_digits(*asked), load_labels(*asked), generator.ink)


def _digits(split: Split, mnist_folder: Path | None) -> Digits:
    generator = split.generator
    if isinstance(generator, SyncMnist):
        return stamps_of(split, mnist_folder)
    if generator.symbol == "dot":
        return None
    if generator.digits is None:
        raise UserError(f"{split.dataset}: generator.digits is missing; expected 'mnist' or 'scikit-learn'")
    return load_digits(generator.digits, split.split, mnist_folder)


# Files are written and read, not mapped: pages of a mapped file count as memory of the process, and the
# full SyncMNIST has 25 GB.


def _write_clips(split: Split, path: Path, digits: Digits) -> np.ndarray:
    """Fill `path` chunk by chunk and return all labels."""
    shape = (split.clips, split.frames, split.side, split.side)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    labels = np.empty(split.clips, np.int64)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, split.clips, _CHUNK):
            stop = min(start + _CHUNK, split.clips)
            clips, labels[start:stop] = generate(split, start, stop, digits)
            file.write(np.ascontiguousarray(clips).data)
    return labels


def _read_clips(path: Path) -> Iterator[np.ndarray]:
    """Yield the clips in `path` chunk by chunk, uint8 (n, T, H, W)."""
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        (clips, *shape), _, dtype = np.lib.format.read_array_header_1_0(file)
        for start in range(0, clips, _CHUNK):
            count = min(_CHUNK, clips - start)
            yield np.fromfile(file, dtype, count * math.prod(shape)).reshape(count, *shape)


def _manifest(split: Split, labels: np.ndarray) -> pd.DataFrame:
    index = np.arange(split.clips)
    return pd.DataFrame(
        {
            "id": [f"{split.split}-{i:06d}" for i in index],
            "index": index,
            "label": labels,
            "class": [split.classes[label] for label in labels],
        }
    )


def _audit(split: Split, path: Path, labels: np.ndarray, digits: Digits) -> dict:
    """Describe the file that was written, read back chunk by chunk."""
    blank = grey = 0
    for chunk in _read_clips(path):
        blank += int((chunk.max(axis=(2, 3)) == chunk.min(axis=(2, 3))).sum())
        grey += int(chunk.sum(dtype=np.int64))
    counts = np.bincount(labels, minlength=len(split.classes)).tolist()
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "dataset": split.dataset,
        "version": split.version,
        "split": split.split,
        "clips": split.clips,
        "class_counts": dict(zip(split.classes, counts, strict=True)),
        "blank_frame_share": blank / (split.clips * split.frames),
        "mean_grey": grey / (split.clips * split.frames * split.side**2),
        "digits": None if digits is None else {"source": split.generator.digits, "images": len(digits)},
        "sha256": sha256,
    }
