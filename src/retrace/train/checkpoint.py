"""Everything a run needs to go on as if it had never stopped, in `<run folder>/checkpoint/`.

The folder is no declared output, because Snakemake deletes the outputs of a failed job.
"""

import pickle
import shutil
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from retrace.errors import UserError
from retrace.files import atomic, to_disk
from retrace.train.progress import Progress
from retrace.train.weights import load_into

SAVE_EVERY_SECONDS = 60.0


@dataclass
class Checkpoint:
    """Saves and restores the state of one run; of two generations, the older one is a spare."""

    folder: Path
    run: str
    """The run's hash: a checkpoint of another run is refused."""
    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    saved_at: float = field(default_factory=time.monotonic)

    def save(self, progress: Progress) -> None:
        """Write `latest.pt`, having renamed the one before to `previous.pt`.

        Raises UserError if the disk is full; both are as they were then.
        """
        latest = self.folder / "latest.pt"
        state = {
            "run": self.run,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
            "progress": vars(progress),
        }
        with atomic(latest) as temporary:
            with temporary.open("wb") as file:  # given a path, torch would not say that the disk is full
                torch.save(state, file)
            to_disk(temporary)
            if latest.exists():
                latest.replace(self.folder / "previous.pt")
        self.saved_at = time.monotonic()

    def save_if_due(self, progress: Progress) -> None:
        """Save if the last save lies a minute back."""
        if time.monotonic() - self.saved_at > SAVE_EVERY_SECONDS:
            self.save(progress)

    def restore(self, progress: Progress) -> list[str]:
        """Load the newest readable checkpoint, if any, and return a warning for each damaged one.

        Raises UserError where the checkpoint belongs to another run or to another model's code.
        """
        warnings: list[str] = []
        for path in (self.folder / "latest.pt", self.folder / "previous.pt"):
            if not path.exists():
                continue
            state = _read(path)
            if state is not None:
                self._load(state, path, progress)
                return warnings
            warnings.append(f"{path} was damaged and is not used")
            path.unlink()  # or the next save would put it in the place of the good spare
        return warnings

    def remove(self) -> None:
        """Delete the folder, whether it exists or not."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _load(self, state: dict[str, Any], path: Path, progress: Progress) -> None:
        if state["run"] != self.run:
            raise UserError(
                f"{path} is a checkpoint of run {state['run']}, expected {self.run}. "
                f"Remove {self.folder} to start this run from the beginning."
            )
        load_into(self.model, state["model"], path)
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["rng"])
        if state["cuda_rng"] is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(state["cuda_rng"])
        vars(progress).update(state["progress"])


def _read(path: Path) -> dict[str, Any] | None:
    """Return the checkpoint, or None if it is damaged. torch.load itself checks no checksum."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return None
        return torch.load(path, map_location="cpu", weights_only=True)
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, ValueError, pickle.UnpicklingError):
        return None
