"""Fine-tuning a segmenter on labelled frames: read it from top to bottom.

One that is killed and started again ends with the same bytes as one that was not (on the CPU).
"""

import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from retrace.errors import UserError
from retrace.plan.identity import digest
from retrace.plan.segmenter import Segmenter
from retrace.segment.found import Found
from retrace.segment.frames import Frame, divided
from retrace.segment.metrics import scores
from retrace.segment.model import build, detect, start_from_coco
from retrace.segment.outputs import write_overlays, write_results
from retrace.segment.progress import Figures, Tuning
from retrace.train.checkpoint import Checkpoint
from retrace.train.device import prepare_device
from retrace.train.exits import Interrupted
from retrace.train.optimizer import build_optimizer
from retrace.train.order import epoch_batches, in_turn, steps_per_epoch
from retrace.train.outputs import rewrite_log, write_failure
from retrace.train.ranks import Ranks
from retrace.train.stop import StopRequests
from retrace.train.weights import on_cpu


def fine_tune(
    segmenter: Segmenter,
    frames: list[Frame],
    folder: Path,
    *,
    minutes: float | None = None,
    published: float | None = None,
) -> None:
    """Fine-tune `segmenter` into `folder`: weights.safetensors, segmenter.json, env.json and pictures.

    `frames` are all labelled ones, `minutes` is the time limit, `published` the box IoU as printed.
    Raises UserError for another number of frames, bad weights or a loss that is not finite, and leaves
    failure.json on any error. Exits with code 75 (`exits.EXIT_RESUME`) when asked to stop before the end:
    start it again, and it goes on.
    """
    (folder / "failure.json").unlink(missing_ok=True)
    progress = Tuning()
    try:
        train, val = divided(frames, segmenter.frames)
        with StopRequests(minutes, Ranks()) as stop:
            tuning = FineTuning(segmenter, train, val, folder, progress, stop)
            tuning.run_epochs()
            tuning.draw_best()
        write_results(folder, segmenter, progress, tuning.device, published)
        tuning.checkpoint.remove()
    except Exception as error:
        write_failure(folder, error, progress)
        raise


class FineTuning:
    """One fine-tuning under way: frames, network, optimiser, and the progress that checkpoints keep."""

    def __init__(
        self,
        segmenter: Segmenter,
        train: list[Frame],
        val: list[Frame],
        folder: Path,
        progress: Tuning,
        stop: StopRequests,
    ) -> None:
        training = segmenter.training
        self.training, self.train_frames, self.val_frames = training, train, val
        self.folder, self.progress, self.stop = folder, progress, stop
        self.device = prepare_device()
        torch.manual_seed(training.seed)
        self.model = build(segmenter.model)
        if segmenter.model.weights == "coco":
            start_from_coco(self.model)
        self.model.to(self.device)
        steps = steps_per_epoch(len(train), training.batch, drop_last=training.drop_last)
        self.optimizer, self.schedule = build_optimizer(self.model, training, steps)
        self.checkpoint = Checkpoint(
            folder / "checkpoint", digest(segmenter), self.model, self.optimizer, self.schedule
        )
        for warning in self.checkpoint.restore(self.progress):
            self.progress.log.append({"warning": warning})
            print(f"warning: {warning}", file=sys.stderr)
        rewrite_log(folder, self.progress)

    def run_epochs(self) -> None:
        """Train epoch after epoch until the page says stop, or a stop is asked for."""
        try:
            if not self.progress.untrained:
                self.progress.untrained = self.validate()
            while not self.progress.why_over(self.training):
                self.train_epoch()
                self.close_epoch()
        except Interrupted as interruption:
            self.checkpoint.save(self.progress)
            print(f"stopped: {interruption.reason}. Start again to resume.", file=sys.stderr)
            raise

    def train_epoch(self) -> None:
        """Take the steps of the epoch that are still to take."""
        training, progress, epoch = self.training, self.progress, self.progress.epochs + 1
        batches = epoch_batches(
            len(self.train_frames),
            training.batch,
            drop_last=training.drop_last,
            seed=training.seed,
            epoch=epoch,
        )
        self.model.train()
        for indices in batches[progress.step :]:
            start = time.perf_counter()
            progress.loss_sum += self.step([self._shown(index, epoch) for index in indices]) * len(indices)
            progress.seconds += time.perf_counter() - start
            progress.clips += len(indices)
            progress.step += 1
            self.checkpoint.save_if_due(progress)
            self.stop.check()

    def step(self, frames: list[Frame]) -> float:
        """Take one step on the sum of the detector's losses, and return it."""
        losses = self.model([self._image(frame) for frame in frames], [self._target(f) for f in frames])
        loss = sum(losses.values())
        value = loss.item()
        if not math.isfinite(value):
            raise UserError(
                f"the loss is {value} at epoch {self.progress.epochs + 1}, step {self.progress.step + 1}; "
                f"the learning rate {self.training.optimizer.lr} may be too high."
            )
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        return value

    def close_epoch(self) -> None:
        """Validate, keep the weights if they are the best so far, log, and save if that is due."""
        start = time.perf_counter()
        found = self.validate()
        seconds, lr = time.perf_counter() - start, float(self.schedule.get_last_lr()[0])
        if self.progress.close_epoch(found["box_iou"], seconds, lr):
            self.progress.best_weights = on_cpu(self.model)
        self.progress.log[-1] |= found
        self.checkpoint.save_if_due(self.progress)
        rewrite_log(self.folder, self.progress)
        figures = "  ".join(f"{name} {100 * value:.1f} %" for name, value in found.items())
        loss = self.progress.log[-1]["loss"]
        print(
            f"epoch {self.progress.epochs}/{self.training.epochs}  loss {loss:.4f}  {figures}",
            file=sys.stderr,
        )

    def validate(self) -> Figures:
        """Return the figures of the validation frames, which are not mirrored."""
        return scores(self._predictions(), self.val_frames, self.training.batch)

    def draw_best(self) -> None:
        """Draw what the best epoch's network finds in the validation frames, over what is labelled there."""
        self.model.load_state_dict(self.progress.best_weights)
        write_overlays(self.folder, self.val_frames, self._predictions())

    def _predictions(self) -> list[Found]:
        """Return what the network finds in each validation frame, on the CPU."""
        found = []
        for indices in in_turn(len(self.val_frames), self.training.batch):
            self.stop.check()
            images = [self._image(self.val_frames[index]) for index in indices]
            found += [Found(*(value.cpu() for value in one)) for one in detect(self.model, images)]
        return found

    def _shown(self, index: int, epoch: int) -> Frame:
        frame, rng = self.train_frames[index], np.random.default_rng([self.training.seed, epoch, index])
        return frame.mirrored() if rng.random() < self.training.flip else frame

    def _image(self, frame: Frame) -> Tensor:
        return frame.image_3HW.to(self.device) / 255

    def _target(self, frame: Frame) -> dict[str, Tensor]:
        labels = torch.ones(len(frame.masks_NHW), dtype=torch.int64)
        target = {"boxes": frame.boxes_N4(), "labels": labels, "masks": frame.masks_NHW.to(torch.uint8)}
        return {name: value.to(self.device) for name, value in target.items()}
