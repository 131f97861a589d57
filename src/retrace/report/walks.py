"""The file that the paths of walking digits are kept in, as `retrace.data.walks` writes it."""

from pathlib import Path
from typing import NamedTuple, Self
from zipfile import BadZipFile

import numpy as np

from retrace.errors import UserError
from retrace.plan.spec import Split, SyncMnist


class Walks(NamedTuple):
    """Some videos of T frames and D digits."""

    classes: tuple[str, ...]
    """The class of each video."""
    canvas: int
    """Side of the square on which digits walk, in its pixels; the frames show all of it."""
    frames_NTHW: np.ndarray
    middles_NTD2: np.ndarray
    """Row and column of each digit's middle on the canvas."""
    paired_ND: np.ndarray

    @classmethod
    def read(cls, path: Path, split: Split) -> Self:
        """Read the first videos of a split. Raises UserError if the file is damaged."""
        assert isinstance(split.generator, SyncMnist)
        try:
            with np.load(path, allow_pickle=False) as file:
                classes = tuple(split.classes[label] for label in file["labels"])
                return cls(classes, split.generator.canvas, file["frames"], file["middles"], file["paired"])
        except (ValueError, KeyError, EOFError, OSError, BadZipFile) as error:
            raise UserError(f"{path} is damaged ({error}). Delete it and make it again.") from error
