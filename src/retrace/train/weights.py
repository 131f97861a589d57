"""The weights file: safetensors, with a note of whose weights they are."""

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from retrace.errors import UserError
from retrace.files import atomic, to_disk

Weights = dict[str, torch.Tensor]


class Origin(NamedTuple):
    """Whose weights a file holds: the run's hash, its class names in order, and the epoch kept."""

    run: str
    classes: tuple[str, ...]
    epoch: int


def on_cpu(module: nn.Module) -> Weights:
    """Return a copy of the parameters and buffers of `module`."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in module.state_dict().items()}


def save_weights(path: Path, weights: Weights, origin: Origin) -> None:
    """Write `weights` atomically; the same weights give the same bytes.

    The note is a single key: safetensors writes several keys in an order that changes by process. Weights
    that lie channels-last in memory are laid out anew, since it takes none such.
    """
    plain = {name: tensor.contiguous() for name, tensor in weights.items()}
    with atomic(path) as temporary:
        save_file(plain, temporary, metadata={"retrace": json.dumps(origin._asdict(), sort_keys=True)})
        to_disk(temporary)


def read_weights(path: Path) -> tuple[Weights, Origin]:
    """Return weights and origin. Raises UserError where `path` is missing, damaged or not ours."""
    if not path.is_file():
        raise UserError(f"{path} is missing: train the run first.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise UserError(f"{path} is not a readable safetensors file ({error}).") from error
    try:
        note = json.loads(metadata["retrace"])
        return weights, Origin(note["run"], tuple(note["classes"]), note["epoch"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} does not say which run made it, in its metadata entry 'retrace'.") from error


def load_into(module: nn.Module, weights: Weights, source: Path) -> None:
    """Copy `weights` into `module`. Raises UserError naming the keys that differ in name or shape."""
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    differing = [
        f"{name}: found {found.get(name, 'nothing')}, expected {wanted.get(name, 'nothing')}"
        for name in sorted(wanted.keys() | found.keys())
        if wanted.get(name) != found.get(name)
    ]
    if differing:
        raise UserError(f"the weights in {source} do not fit the model:\n  " + "\n  ".join(differing))
    module.load_state_dict(weights)


def load_parent(
    module: nn.Module,
    run: str | None,
    path: Path | None,
    classes: tuple[str, ...],
    classifier: Callable[[], Collection[str]],
) -> list[str]:
    """Start from the weights in `path`, which have to be those of `run`. With neither, do nothing.

    Returns the tensors that keep their initial values: those that `classifier` names, if the parent was
    trained on other classes than `classes` (only then it is asked), and those of blocks that the parent does
    not have. Raises UserError where a tensor of the parent has no place or another shape.
    """
    if run is None and path is None:
        return []
    if path is None:
        raise UserError(f"this run starts from run {run}: its weights.safetensors is needed.")
    weights, origin = read_weights(path)
    if origin.run != run:
        raise UserError(f"{path} holds the weights of run {origin.run}, expected {run or 'no parent'}.")
    if origin.classes != classes:
        own_classifier = classifier()
        weights = {name: tensor for name, tensor in weights.items() if name not in own_classifier}
    own = module.state_dict()
    fresh = {name: tensor for name, tensor in own.items() if name not in weights}
    load_into(module, {**weights, **fresh}, path)
    return list(fresh)
