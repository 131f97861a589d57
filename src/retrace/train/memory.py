"""How many clips a device computes at once: as many as there are, until its memory says otherwise."""

import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import torch

from retrace.errors import UserError
from retrace.files import write_text

P, T = ParamSpec("P"), TypeVar("T")


def if_it_fits(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """Return what `work` returns; or None where memory ran out, and then it is free again."""
    try:
        return work(*args, **kwargs)
    except torch.OutOfMemoryError:
        pass
    # outside of the block: inside, the error holds on to the activations, and after it a cycle may
    gc.collect()
    torch.cuda.empty_cache()
    return None


def halved(clips: int, where: str) -> int:
    """Return how many clips to try after so many did not fit. Raises UserError if it was a single one."""
    if clips == 1:
        raise UserError(f"a single clip does not fit into the memory of {where}.")
    return clips // 2


class MicroBatch:
    """`most` clips go through the model at once on each rank, None being any number; `why` so few.

    What was found out is kept in `file`, so that a resumed run need not find it out again.
    """

    def __init__(self, file: Path) -> None:
        self.most: int | None = None
        self.why: str | None = None
        self._file = file
        if file.exists():
            self._read()

    def halve(self, clips: int, where: str) -> None:
        """Take note that memory ran out with `clips` at once. Raises UserError if that was a single one."""
        self.most = halved(clips, where)
        self.why = f"{clips} clips at once did not fit into the memory of {where}: from now on {self.most}"

    def keep(self) -> None:
        """Write what was found out to the file."""
        write_text(self._file, json.dumps({"most": self.most, "why": self.why}) + "\n")

    def _read(self) -> None:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            self.most, self.why = int(found["most"]), str(found["why"])
        except (ValueError, TypeError, KeyError):
            self.why = f"{self._file} was damaged and is not used"
