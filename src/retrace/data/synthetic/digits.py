"""Digit images for the digit domains: MNIST, or scikit-learn's bundled digits where MNIST is not at hand."""

import gzip
import shutil
import tempfile
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from retrace.errors import UserError

MNIST_FILES = {
    "train": "train-images-idx3-ubyte",
    "val": "train-images-idx3-ubyte",
    "test": "t10k-images-idx3-ubyte",
}
"""The file that holds the digits of a split: source and target domains share no image."""

LABEL_FILES = {split: name.replace("images-idx3", "labels-idx1") for split, name in MNIST_FILES.items()}
"""The file that says which digits they are."""

_SIDE = 28
_INK = 20
"""MNIST fits each digit into 20 x 20 pixels and leaves a margin."""

_SOURCE_IMAGES = 1200
"""Images of scikit-learn's 1,797 that source splits draw from; the rest are the target's."""


def load_digits(
    source: Literal["mnist", "scikit-learn"],
    split: Literal["train", "val", "test"],
    mnist_folder: Path | None,
) -> np.ndarray:
    """Return the digit images that a split draws from, uint8 (D, 28, 28), white on black.

    Splits train and val share one set of images, test has another one, as the authors have it.
    MNIST is read from the idx file in `mnist_folder`, packed or not; else torchvision downloads it there.
    Raises UserError if MNIST is asked for and can neither be read nor downloaded.
    """
    if source == "scikit-learn":
        return _scikit_learn(split)
    path = _mnist(mnist_folder, MNIST_FILES[split])
    digits = _read(path, "read_image_file")
    if digits.shape[1:] != (_SIDE, _SIDE) or not len(digits):
        raise UserError(f"{path}: holds images of shape {digits.shape}; expected (n, {_SIDE}, {_SIDE})")
    return digits


def load_labels(
    source: Literal["mnist", "scikit-learn"],
    split: Literal["train", "val", "test"],
    mnist_folder: Path | None,
) -> np.ndarray:
    """Return which digits the images of `load_digits` show, uint8 (D,) in 0..9. Raises UserError like it."""
    if source == "scikit-learn":
        return _bundled("target", split).astype(np.uint8)
    path = _mnist(mnist_folder, LABEL_FILES[split])
    labels = _read(path, "read_label_file")
    if not len(labels) or labels.min() < 0 or labels.max() > 9:
        raise UserError(f"{path}: holds labels outside 0..9, or none")
    return labels.astype(np.uint8)


def _mnist(folder: Path | None, name: str) -> Path:
    if folder is None:
        raise UserError(f"no folder for MNIST is given; expected one that holds {name} or {name}.gz")
    return _find(folder, name) or _download(folder, name)


def _bundled(what: str, split: str) -> np.ndarray:
    """Return scikit-learn's images or labels as far as they are the split's."""
    from sklearn.datasets import load_digits as bundled

    found = bundled()[what]
    return found[_SOURCE_IMAGES:] if split == "test" else found[:_SOURCE_IMAGES]


def _scikit_learn(split: str) -> np.ndarray:
    """Scale the 8x8 digits of grey levels 0..16 to MNIST's layout."""
    chosen = _bundled("images", split)
    margin = (_SIDE - _INK) // 2
    digits = np.zeros((len(chosen), _SIDE, _SIDE), np.uint8)
    for digit, image in zip(digits, np.round(chosen * (255 / 16)).astype(np.uint8), strict=True):
        inked = Image.fromarray(image).resize((_INK, _INK), Image.Resampling.BICUBIC)
        digit[margin:-margin, margin:-margin] = np.asarray(inked)
    return digits


def _find(folder: Path, name: str) -> Path | None:
    """Look for the file itself, and where torchvision puts it."""
    places = [place / file for place in (folder, folder / "MNIST" / "raw") for file in (name, f"{name}.gz")]
    return next((place for place in places if place.is_file()), None)


def _download(folder: Path, name: str) -> Path:
    """Let torchvision download MNIST, and keep the one file: whole or not at all, whoever else is at it."""
    from torchvision.datasets import MNIST

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            raw = Path(MNIST(root=scratch, download=True).raw_folder)
            return (raw / name).replace(folder / name)
    except (OSError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise UserError(
            f"MNIST is missing: expected {folder / name} or {name}.gz beside it; "
            f"the download failed too: {reason}"
        ) from error


def _read(path: Path, reader: Literal["read_image_file", "read_label_file"]) -> np.ndarray:
    """Read an idx file with torchvision, which does not unpack on its own."""
    from torchvision.datasets import mnist

    try:
        with tempfile.TemporaryDirectory() as scratch:
            plain = path
            if path.suffix == ".gz":
                plain = Path(scratch) / path.stem
                with gzip.open(path, "rb") as packed, plain.open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
            return getattr(mnist, reader)(str(plain)).numpy()
    except (
        OSError,
        EOFError,
        zlib.error,
        AssertionError,
        KeyError,
        TypeError,
        ValueError,
        RuntimeError,
    ) as error:
        raise UserError(f"{path}: expected an idx file of MNIST, could not read it ({error!r})") from error
