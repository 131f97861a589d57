"""Training: read it from top to bottom. x_BVTCHW: Batch, View, Time, Channels, Height, Width; K: classes.

A run that is killed and started again ends with the same bytes as one that was not (on the CPU). Several
ranks do together what one would do alone; rank 0 writes.
"""

import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from retrace.data.loader import of_rank
from retrace.errors import UserError
from retrace.plan.identity import digest
from retrace.plan.spec import Run, matched
from retrace.train.checkpoint import Checkpoint
from retrace.train.device import Answers, norm_batch
from retrace.train.environment import environment
from retrace.train.exits import Abandoned, Interrupted
from retrace.train.gradient import Gradient
from retrace.train.memory import MicroBatch
from retrace.train.optimizer import build_optimizer, clip_gradient
from retrace.train.order import epoch_batches, in_turn, steps_per_epoch
from retrace.train.outputs import append_log, log_epoch, rewrite_log, write_failure, write_results
from retrace.train.progress import Progress
from retrace.train.ranks import Ranks, of_environment, together
from retrace.train.start import check_same_task, feeds, first_model
from retrace.train.stop import StopRequests
from retrace.train.weights import on_cpu


def train(run: Run, folder: Path, *, minutes: float | None = None, parent: Path | None = None) -> None:
    """Train `run` into `folder`: weights.safetensors, train.json, env.json and log.jsonl.

    `minutes` is the time limit, `parent` the weights.safetensors of the run that `run.parent` names.
    Raises UserError for bad data, bad weights or a loss that is not finite, and leaves failure.json
    on any error. Exits with code 75 (`exits.EXIT_RESUME`) when asked to stop before the end, or when
    another rank is gone: start it again, and it goes on.
    """
    progress = Progress()
    try:
        if of_environment().first:
            (folder / "failure.json").unlink(missing_ok=True)
        with together() as ranks:
            with StopRequests(minutes, ranks) as stop:
                training = Training(run, folder, progress, ranks, stop, parent)
                training.run_epochs()
            training.finish()
    except Abandoned as why:
        print(f"left: {why.reason}. Start again to go on from the last checkpoint.", file=sys.stderr)
        raise
    except Exception as error:
        write_failure(folder, error, progress)
        raise


class Training:
    """One run under way: data, model, optimiser, and the progress that checkpoints keep."""

    def __init__(
        self,
        run: Run,
        folder: Path,
        progress: Progress,
        ranks: Ranks,
        stop: StopRequests,
        parent: Path | None,
    ) -> None:
        check_same_task(run)
        self.run, self.folder, self.protocol = run, folder, run.protocol
        self.progress, self.ranks, self.stop = progress, ranks, stop
        self.train_feed, self.val_feed = feeds(run, ranks)
        self.n_clips = len(self.train_feed.ids)
        steps = steps_per_epoch(self.n_clips, run.protocol.batch, drop_last=run.protocol.drop_last)
        torch.manual_seed(run.seed)
        self.model, fresh = first_model(run, parent)
        self.model.to(ranks.device)
        if fresh:
            self.say(f"starts anew: {', '.join(fresh)}")
        self.optimizer, self.schedule = build_optimizer(self.model, run.protocol, steps)
        self.checkpoint = Checkpoint(
            folder / "checkpoint", digest(run), self.model, self.optimizer, self.schedule
        )
        for warning in self.restored():
            self.warn(warning)
        if ranks.first:
            rewrite_log(folder, progress)
        micro_batch = MicroBatch(self.checkpoint.folder / "micro-batch.json")
        self.gradient = Gradient(self.model, run, ranks, micro_batch, self.warn)

    def restored(self) -> list[str]:
        """Go on where the last checkpoint was taken, if there is one; return warnings.

        Rank 0 comes first, as it removes what is damaged.
        """
        warnings = self.checkpoint.restore(self.progress) if self.ranks.first else []
        self.ranks.wait()
        if not self.ranks.first:
            self.checkpoint.restore(self.progress)
        taken = [self.progress.epochs, self.progress.step]
        if [self.ranks.total(number) / self.ranks.count for number in taken] != taken:
            raise UserError(f"{self.checkpoint.folder}: ranks see different checkpoints; is it on all nodes?")
        return warnings

    def run_epochs(self) -> None:
        """Train epoch after epoch until the protocol says stop, or a stop is asked for."""
        try:
            while not self.progress.why_over(self.protocol):
                self.train_epoch()
                self.close_epoch()
        except Abandoned:
            raise
        except Interrupted as interruption:
            if self.ranks.first:
                self.checkpoint.save(self.progress)
            self.ranks.wait()  # torchrun ends all ranks once one has left
            where = f"epoch {self.progress.epochs + 1}, step {self.progress.step}"
            self.say(f"stopped at {where}: {interruption.reason}. Start again to resume.")
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
        clips = self.train_feed.batches([self.gradient.own(batch) for batch in ahead], epoch)
        quiet = None if self.ranks.first else True  # None: on a terminal alone
        for batch in tqdm(ahead, desc=f"epoch {epoch}/{protocol.epochs}", leave=False, disable=quiet):
            start = time.perf_counter()
            x_BVTCHW, labels_B = next(clips)
            progress.waited += time.perf_counter() - start
            progress.loss_sum += self.step(x_BVTCHW, labels_B, batch) * len(batch)
            progress.seconds += time.perf_counter() - start
            progress.clips += len(batch)
            progress.step += 1
            if self.ranks.first:
                self.checkpoint.save_if_due(progress)
            self.stop.check()

    def step(self, x_BVTCHW: torch.Tensor, labels_B: torch.Tensor, batch: np.ndarray) -> float:
        """Take one optimiser step on the global `batch` and return its mean loss; x are this rank's clips."""
        self.optimizer.zero_grad()
        if self.ranks.count > 1:
            self.draw_anew()
        value = self.gradient.add(x_BVTCHW, labels_B, batch)
        if not math.isfinite(value):
            raise UserError(
                f"the loss is {value} at epoch {self.progress.epochs + 1}, step {self.progress.step + 1}; "
                f"the learning rate {self.protocol.optimizer.lr} may be too high."
            )
        clip_gradient(self.model, self.protocol)
        self.optimizer.step()
        self.schedule.step()
        return value

    def draw_anew(self) -> None:
        """Give each of several ranks random numbers of its own in every step, for layers that draw some."""
        of_step = [self.run.seed, self.progress.epochs, self.progress.step, self.ranks.rank]
        torch.manual_seed(int(np.random.SeedSequence(of_step).generate_state(1, np.uint64)[0]))

    @torch.no_grad()
    def val_top1(self) -> float:
        """Return top-1 on the validation split, each clip once. It only monitors: no table prints it."""
        self.model.eval()
        n_clips, correct, ranks = len(self.val_feed.ids), 0, self.ranks
        at_once = min(norm_batch(self.protocol), self.gradient.micro_batch.most or n_clips)
        answers = Answers(self.model, self.protocol, len(self.run.task.classes))
        own = of_rank(in_turn(n_clips, at_once * ranks.count), ranks.rank, ranks.count)
        clips = self.val_feed.batches([batch for batch in own if len(batch)], epoch=0)
        for batch in own:
            self.stop.check()
            if len(batch):
                x_BVTCHW, labels_B = next(clips)
                correct += int((answers(x_BVTCHW).argmax(1) == labels_B).sum())
        return ranks.total(correct) / n_clips

    def close_epoch(self) -> None:
        """Validate, keep the weights if they are wanted, log, and save if that is due."""
        start = time.perf_counter()
        val_top1 = self.val_top1()
        lr = float(self.schedule.get_last_lr()[0])  # that of the next step
        better = self.progress.close_epoch(val_top1, time.perf_counter() - start, lr)
        if better and self.protocol.select == "best_val" and self.ranks.first:
            self.progress.best_weights = on_cpu(self.model)
        if self.ranks.first:
            self.progress.keep_matched(self.model, matched(self.protocol))
            self.checkpoint.save_if_due(self.progress)
            log_epoch(self.folder, self.progress, self.protocol.epochs)

    def finish(self) -> None:
        """Write what the run was for, then drop the checkpoint."""
        if self.ranks.first:
            write_results(self.folder, self.run, on_cpu(self.model), self.progress, self.hardware())
            self.checkpoint.remove()

    def hardware(self) -> dict[str, Any]:
        """Return what env.json holds: the machine, and how the protocol's batch was spread over it."""
        at_once, norm_clips = self.gradient.at_once()
        return environment(self.ranks.device, self.progress.wall_seconds()) | {
            "ranks": self.ranks.count,
            "nodes": self.ranks.nodes,
            "micro_batch": at_once,
            "norm_batch": norm_clips,
            "warnings": [record["warning"] for record in self.progress.log if "warning" in record],
        }

    def warn(self, text: str) -> None:
        """Say on stderr and in the log what a reader of the results should know."""
        record = {"warning": text}
        if record in self.progress.log:
            return
        self.progress.log.append(record)
        self.say(f"warning: {text}")
        if self.ranks.first:
            append_log(self.folder, record)

    def say(self, text: str) -> None:
        """Print `text` once, however many ranks there are."""
        if self.ranks.first:
            print(text, file=sys.stderr)
