"""The file that maps are kept in: frames as the model saw them, and numbers over them. No torch here."""

import zipfile
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from retrace.errors import UserError
from retrace.files import atomic

_MAP = "map "


class Pictures(NamedTuple):
    """What one run does with N videos. Labels and answers are classes by number.

    frames_NTHWC: uint8, RGB. maps_NTRC: by name, R x C cells over each frame; one cell where a number
    belongs to the frame as a whole.
    """

    ids: tuple[str, ...]
    labels_N: np.ndarray
    answers_N: np.ndarray
    frames_NTHWC: np.ndarray
    maps_NTRC: dict[str, np.ndarray]

    def write(self, path: Path) -> None:
        """Write the file atomically; the same content gives the same bytes."""
        arrays = {f"{_MAP}{name}": maps for name, maps in self.maps_NTRC.items()}
        arrays |= {"ids": np.array(self.ids), "labels": self.labels_N, "answers": self.answers_N}
        with atomic(path) as temporary:
            np.savez_compressed(temporary, allow_pickle=False, frames=self.frames_NTHWC, **arrays)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote. Raises UserError where it is missing or damaged."""
        try:
            with np.load(path, allow_pickle=False) as file:
                maps = {name.removeprefix(_MAP): file[name] for name in file if name.startswith(_MAP)}
                ids = tuple(map(str, file["ids"]))
                return cls(ids, file["labels"], file["answers"], file["frames"], maps)
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise UserError(f"{path} is not a file of maps: {error}") from error
