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
        return _scikit_learn(source_images=split != "test")
    name = MNIST_FILES[split]
    if mnist_folder is None:
        raise UserError(f"no folder for MNIST is given; expected one that holds {name} or {name}.gz")
    found = _find(mnist_folder, name) or _download(mnist_folder, name)
    return _read(found)


def _scikit_learn(source_images: bool) -> np.ndarray:
    """Scale the 8x8 digits of grey levels 0..16 to MNIST's layout."""
    from sklearn.datasets import load_digits as bundled

    images = bundled().images
    chosen = images[:_SOURCE_IMAGES] if source_images else images[_SOURCE_IMAGES:]
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


def _read(path: Path) -> np.ndarray:
    """Read an idx file of images with torchvision, which does not unpack on its own."""
    from torchvision.datasets.mnist import read_image_file

    try:
        with tempfile.TemporaryDirectory() as scratch:
            plain = path
            if path.suffix == ".gz":
                plain = Path(scratch) / path.stem
                with gzip.open(path, "rb") as packed, plain.open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
            digits = read_image_file(str(plain)).numpy()
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
        raise UserError(
            f"{path}: expected an idx file of MNIST images, could not read it ({error!r})"
        ) from error
    if digits.shape[1:] != (_SIDE, _SIDE) or not len(digits):
        raise UserError(f"{path}: holds images of shape {digits.shape}; expected (n, {_SIDE}, {_SIDE})")
    return digits
