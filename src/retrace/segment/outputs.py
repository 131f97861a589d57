"""What a fine-tuning leaves behind, and the network made of it again."""

import json
from pathlib import Path

import torch
from torchvision.models.detection import MaskRCNN

from retrace.errors import UserError
from retrace.files import atomic, write_text
from retrace.plan.identity import digest
from retrace.plan.segmenter import Segmenter
from retrace.segment.found import Found
from retrace.segment.frames import Frame
from retrace.segment.model import build
from retrace.segment.pictures import curve, overlays
from retrace.segment.progress import Tuning
from retrace.train.environment import environment
from retrace.train.weights import Origin, load_into, read_weights, save_weights

CLASSES = ("diver",)


def write_results(
    folder: Path, segmenter: Segmenter, progress: Tuning, device: torch.device, published: float | None
) -> None:
    """Write the weights of the best epoch, segmenter.json, env.json and curve.png.

    segmenter.json holds what the pages determine, env.json what depends on the machine. `published` is the
    box IoU as printed.
    """
    history = progress.history()
    figures = {name: [record[name] for record in history] for name in progress.untrained}
    best = {name: values[progress.best_epoch - 1] for name, values in figures.items()}
    summary = {
        "segmenter": digest(segmenter),
        "frames": {"train": segmenter.frames.train, "val": segmenter.frames.val},
        "stopped": progress.why_over(segmenter.training),
        "epochs": progress.epochs,
        "steps": history[-1]["step"],
        "best_epoch": progress.best_epoch,
        "published": {"box_iou": published},
        "best": best,
        "untrained": progress.untrained,
        "by_epoch": figures,
    }
    origin = Origin(digest(segmenter), CLASSES, progress.best_epoch)
    with atomic(folder / "curve.png") as temporary:
        curve(temporary, figures, progress.untrained, progress.best_epoch, published)
    save_weights(folder / "weights.safetensors", progress.best_weights, origin)
    hardware = environment(device, progress.wall_seconds())
    write_text(folder / "env.json", json.dumps(hardware, indent=2) + "\n")
    write_text(folder / "segmenter.json", json.dumps(summary, indent=2) + "\n")


def write_overlays(folder: Path, frames: list[Frame], found: list[Found]) -> None:
    """Write overlays.png: what was found in validation frames, over what is labelled there."""
    with atomic(folder / "overlays.png") as temporary:
        overlays(temporary, frames, found)


def read_trained(folder: Path, segmenter: Segmenter) -> MaskRCNN:
    """Return the trained network, on the CPU. Raises UserError where `folder` has not the weights of it."""
    path = folder / "weights.safetensors"
    weights, origin = read_weights(path)
    if (origin.run, origin.classes) != (digest(segmenter), CLASSES):
        raise UserError(f"{path} holds the weights of {origin.run}, expected those of {digest(segmenter)}.")
    model = build(segmenter.model)
    load_into(model, weights, path)
    return model
