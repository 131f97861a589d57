"""What a run starts with: its model, the first weights, and the clips it is shown."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import nn

from retrace.data.feed import ClipFeed, Feed, testing, training
from retrace.errors import UserError
from retrace.models import registry
from retrace.plan.model import Model
from retrace.plan.spec import Run, Split, VideoProtocol
from retrace.train.device import loader_workers
from retrace.train.image_vit import start_from_image_vit
from retrace.train.imagenet import start_from_imagenet
from retrace.train.ranks import Ranks
from retrace.train.weights import load_parent

_STARTS: dict[str, Callable[[nn.Module, Model], None]] = {
    "random": lambda model, kind: None,
    "imagenet": start_from_imagenet,
    "image-vit": start_from_image_vit,
    "image-vit-flat-nearest": partial(start_from_image_vit, resize="flat-nearest"),
}
"""What `VideoProtocol.weights` does to a new model."""


def first_model(run: Run, parent: Path | None) -> tuple[nn.Module, list[str]]:
    """Return the model of `run` with the weights that it starts from, and the names of those it draws anew.

    `parent` is the weights.safetensors of the run that `run.parent` names.
    """
    classes = run.task.classes
    model = build(run, len(classes))
    if isinstance(run.protocol, VideoProtocol) and run.parent is None:
        _STARTS[run.protocol.weights](model, run.model)
    return model, load_parent(model, run.parent, parent, classes, partial(classifier, run))


def build(run: Run, classes: int) -> nn.Module:
    """Return the model of `run` for as many classes."""
    task = run.task
    return registry.build(
        run.model, classes=classes, channels=task.channels, frames=task.frames, side=task.side
    )


def classifier(run: Run) -> list[str]:
    """Return the tensors of the model of `run` whose shape depends on the number of classes."""
    with torch.device("meta"):
        one, two = (build(run, classes).state_dict() for classes in (1, 2))
    return [name for name, tensor in one.items() if tensor.shape != two[name].shape]


def feeds(run: Run, ranks: Ranks) -> tuple[Feed, Feed]:
    """Return the clips that `run` trains on, and those that it is validated on."""
    device = ranks.device
    if isinstance(run.train, Split) and isinstance(run.val, Split):
        return ClipFeed(run.train, device), ClipFeed(run.val, device)
    assert isinstance(run.protocol, VideoProtocol)
    workers, protocol = loader_workers(device, ranks.on_node), run.protocol
    return (
        training(run.train, protocol.train_clip, run.seed, device, workers),
        testing(run.val, protocol.val_clip, "forward", device, workers, again=True),
    )


def check_same_task(run: Run) -> None:
    """Raise UserError where a run is trained on one task and validated on another."""
    names = ("frames", "side", "channels", "classes") if isinstance(run.train, Split) else ("classes",)
    for name in names:
        train, val = getattr(run.train, name), getattr(run.val, name)
        if train != val:
            raise UserError(f"the training split has {name} {train}, the validation split {val}.")
