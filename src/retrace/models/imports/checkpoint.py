"""Reading a file of weights that somebody else wrote, without ever running what is in it."""

import hashlib
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from retrace.errors import UserError

NESTS = ("state_dict", "model_state", "model")
"""Where releases keep the state dict, if it is not the whole file."""


class Checkpoint(NamedTuple):
    """The tensors of a file by name, and what else it says in plain words and numbers (epoch, arch, ...)."""

    weights: dict[str, Tensor]
    said: dict[str, str | int | float]


def read_checkpoint(path: Path) -> Checkpoint:
    """Return the state dict in `path`: safetensors, or a file of torch with tensors and plain values only.

    Raises UserError if the file is missing, damaged, or could run code when loaded.
    """
    try:
        if path.suffix == ".safetensors":
            return Checkpoint(load_file(path), {})
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise UserError(
            f"{path} is not a file of weights that is safe to load: expected safetensors, or a file of torch "
            f"with tensors and plain values only ({error})"
        ) from error
    return _unpacked(path, found)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unpacked(path: Path, found: Any) -> Checkpoint:
    nest = next((key for key in NESTS if isinstance(found, dict) and isinstance(found.get(key), dict)), None)
    weights = found if nest is None else found[nest]
    if not isinstance(weights, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in weights.items()
    ):
        nests = ", ".join(f"'{nest}'" for nest in NESTS)
        raise UserError(f"{path} has no state dict: expected names with tensors, or such below {nests}")
    around = {} if nest is None else found
    said = {k: v for k, v in around.items() if isinstance(k, str) and isinstance(v, str | int | float)}
    return Checkpoint(dict(weights), said)
