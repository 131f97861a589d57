"""Training: read it from top to bottom. x_BVTCHW: Batch, View, Time, Channels, Height, Width; K: classes.

A run that is killed and started again ends with the same bytes as one that was not (on the CPU).
"""

import math
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from retrace.data.feed import ClipFeed, Feed, testing, training
from retrace.errors import UserError
from retrace.models import registry
from retrace.plan.identity import digest
from retrace.plan.model import Model
from retrace.plan.spec import Run, Split, VideoProtocol
from retrace.train.checkpoint import Checkpoint
from retrace.train.device import answer, loader_workers, norm_batch, prepare_device
from retrace.train.image_vit import start_from_image_vit
from retrace.train.imagenet import start_from_imagenet
from retrace.train.optimizer import build_optimizer, clip_gradient
from retrace.train.order import epoch_batches, in_turn, steps_per_epoch
from retrace.train.outputs import log_epoch, rewrite_log, write_failure, write_results
from retrace.train.progress import Progress
from retrace.train.stop import Interrupted, StopRequests
from retrace.train.weights import load_parent, on_cpu

_STARTS: dict[str, Callable[[nn.Module, Model], None]] = {
    "random": lambda model, kind: None,
    "imagenet": start_from_imagenet,
    "image-vit": start_from_image_vit,
    "image-vit-flat-nearest": partial(start_from_image_vit, resize="flat-nearest"),
}
"""What `VideoProtocol.weights` does to a new model."""


def train(run: Run, folder: Path, *, minutes: float | None = None, parent: Path | None = None) -> None:
    """Train `run` into `folder`: weights.safetensors, train.json, env.json and log.jsonl.

    `minutes` is the time limit, `parent` the weights.safetensors of the run that `run.parent` names.
    Raises UserError for bad data, bad weights or a loss that is not finite, and leaves failure.json
    on any error. Exits with code 75 (`stop.EXIT_RESUME`) when asked to stop before the end: start it
    again, and it goes on.
    """
    (folder / "failure.json").unlink(missing_ok=True)
    progress = Progress()
    try:
        with StopRequests(minutes) as stop:
            training = Training(run, folder, progress, stop, parent)
            training.run_epochs()
        training.finish()
    except Exception as error:
        write_failure(folder, error, progress)
        raise


class Training:
    """One run under way: data, model, optimiser, and the progress that checkpoints keep."""

    def __init__(
        self, run: Run, folder: Path, progress: Progress, stop: StopRequests, parent: Path | None
    ) -> None:
        _check_same_task(run)
        task, protocol = run.task, run.protocol
        self.run, self.folder, self.protocol = run, folder, protocol
        self.progress, self.stop = progress, stop
        self.n_classes = len(task.classes)
        self.device = prepare_device()
        self.train_feed, self.val_feed = feeds(run, self.device)
        self.n_clips = len(self.train_feed.ids)
        steps = steps_per_epoch(self.n_clips, protocol.batch, drop_last=protocol.drop_last)
        torch.manual_seed(run.seed)
        self.model = build(run, self.n_classes).to(self.device)
        if isinstance(protocol, VideoProtocol) and run.parent is None:
            _STARTS[protocol.weights](self.model, run.model)
        if fresh := load_parent(self.model, run.parent, parent, task.classes, partial(classifier, run)):
            print(f"starts anew: {', '.join(fresh)}", file=sys.stderr)
        self.optimizer, self.schedule = build_optimizer(self.model, protocol, steps)
        self.checkpoint = Checkpoint(
            folder / "checkpoint", digest(run), self.model, self.optimizer, self.schedule
        )
        for warning in self.checkpoint.restore(progress):
            progress.log.append({"warning": warning})
            print(f"warning: {warning}", file=sys.stderr)
        rewrite_log(folder, progress)

    def run_epochs(self) -> None:
        """Train epoch after epoch until the protocol says stop, or a stop is asked for."""
        try:
            while not self.progress.why_over(self.protocol):
                self.train_epoch()
                self.close_epoch()
        except Interrupted as interruption:
            self.checkpoint.save(self.progress)
            where = f"epoch {self.progress.epochs + 1}, step {self.progress.step}"
            print(f"stopped at {where}: {interruption.reason}. Start again to resume.", file=sys.stderr)
            raise

    def train_epoch(self) -> None:
        """Take the steps of the epoch that are still to take."""
        protocol, progress, n_clips = self.protocol, self.progress, self.n_clips
        epoch = progress.epochs + 1
        batches = epoch_batches(
            n_clips, protocol.batch, drop_last=protocol.drop_last, seed=self.run.seed, epoch=epoch
        )
        self.model.train()
        ahead = batches[progress.step :]
        clips = self.train_feed.batches(ahead, epoch)
        for indices in tqdm(ahead, desc=f"epoch {epoch}/{protocol.epochs}", leave=False, disable=None):
            start = time.perf_counter()
            x_BVTCHW, labels_B = next(clips)
            progress.waited += time.perf_counter() - start
            progress.loss_sum += self.step(x_BVTCHW, labels_B) * len(indices)
            progress.seconds += time.perf_counter() - start
            progress.clips += len(indices)
            progress.step += 1
            self.checkpoint.save_if_due(progress)
            self.stop.check()

    def step(self, x_BVTCHW: torch.Tensor, labels_B: torch.Tensor) -> float:
        """Take one optimiser step on the protocol's global batch and return the batch's mean loss."""
        self.optimizer.zero_grad()
        value = self.backward(x_BVTCHW, labels_B)
        if not math.isfinite(value):
            raise UserError(
                f"the loss is {value} at epoch {self.progress.epochs + 1}, step {self.progress.step + 1}; "
                f"the learning rate {self.protocol.optimizer.lr} may be too high."
            )
        clip_gradient(self.model, self.protocol)
        self.optimizer.step()
        self.schedule.step()
        return value

    def backward(self, x_BVTCHW: torch.Tensor, labels_B: torch.Tensor) -> float:
        """Add up the gradient of the batch's mean loss, and return that loss.

        The batch goes through in the parts over which the protocol normalises. Running statistics see
        each part in turn.
        """
        part, value = norm_batch(self.protocol), 0.0
        for x, labels in zip(x_BVTCHW.split(part), labels_B.split(part), strict=True):
            logits = answer(self.model, x, self.protocol, self.n_classes)
            loss = cross_entropy(logits, labels) * (len(x) / len(x_BVTCHW))
            loss.backward()
            value += loss.item()
        return value

    @torch.no_grad()
    def val_top1(self) -> float:
        """Return top-1 on the validation split, each clip once. It only monitors: no table prints it."""
        self.model.eval()
        n_clips, correct = len(self.val_feed.ids), 0
        batches = in_turn(n_clips, norm_batch(self.protocol))
        for x_BVTCHW, labels_B in self.val_feed.batches(batches, epoch=0):
            self.stop.check()
            logits_BK = answer(self.model, x_BVTCHW, self.protocol, self.n_classes)
            correct += int((logits_BK.argmax(1) == labels_B).sum())
        return correct / n_clips

    def close_epoch(self) -> None:
        """Validate, keep the weights if they are the best so far, log, and save if that is due."""
        start = time.perf_counter()
        val_top1 = self.val_top1()
        lr = float(self.schedule.get_last_lr()[0])  # that of the next step
        better = self.progress.close_epoch(val_top1, time.perf_counter() - start, lr)
        if better and self.protocol.select == "best_val":
            self.progress.best_weights = on_cpu(self.model)
        self.checkpoint.save_if_due(self.progress)
        log_epoch(self.folder, self.progress, self.protocol.epochs)

    def finish(self) -> None:
        """Write what the run was for, then drop the checkpoint."""
        write_results(self.folder, self.run, on_cpu(self.model), self.progress, self.device)
        self.checkpoint.remove()


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


def feeds(run: Run, device: torch.device) -> tuple[Feed, Feed]:
    """Return the clips that `run` trains on, and those that it is validated on."""
    if isinstance(run.train, Split) and isinstance(run.val, Split):
        return ClipFeed(run.train, device), ClipFeed(run.val, device)
    assert isinstance(run.protocol, VideoProtocol)
    workers, protocol = loader_workers(device), run.protocol
    return (
        training(run.train, protocol.train_clip, run.seed, device, workers),
        testing(run.val, protocol.val_clip, "forward", device, workers, again=True),
    )


def _check_same_task(run: Run) -> None:
    names = ("frames", "side", "channels", "classes") if isinstance(run.train, Split) else ("classes",)
    for name in names:
        train, val = getattr(run.train, name), getattr(run.val, name)
        if train != val:
            raise UserError(f"the training split has {name} {train}, the validation split {val}.")
