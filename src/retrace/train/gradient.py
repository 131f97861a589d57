"""The gradient of a step, the same on any hardware: in micro-batches, added up, over all ranks.

x_BVTCHW: Batch, View, Time, Channels, Height, Width.
"""

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from retrace.plan.spec import Run
from retrace.train.device import answer, name_of, norm_batch
from retrace.train.exits import Abandoned
from retrace.train.memory import MicroBatch, if_it_fits
from retrace.train.norms import Norms
from retrace.train.portions import Portion, own_clips, portions
from retrace.train.ranks import Ranks


class Gradient:
    """Leaves in the parameters of `model`, on every rank, the gradient of the mean loss of a step."""

    def __init__(
        self, model: nn.Module, run: Run, ranks: Ranks, micro_batch: MicroBatch, warn: Callable[[str], None]
    ) -> None:
        self.model, self.run, self.ranks = model, run, ranks
        self.micro_batch, self._warn = micro_batch, warn
        self.norms = Norms(model)
        self._classes = len(run.task.classes)
        self._tell()
        self._replica = model if ranks.count == 1 else self._shared()

    def cut(self, batch: np.ndarray) -> list[Portion]:
        """Return in which portions a step on the clips of `batch` is computed."""
        return portions(batch, norm_batch(self.run.protocol), self.ranks.count, self.micro_batch.most)

    def own(self, batch: np.ndarray) -> np.ndarray:
        """Return the clips of `batch` that are this rank's, in the order in which it computes them."""
        return own_clips(self.cut(batch), self.ranks.rank)

    def at_once(self) -> tuple[int, int | None]:
        """Return of a whole step how many clips a rank computes at once, and how many share statistics.

        The latter is None where the model has no batch normalisation.
        """
        cut = self.cut(np.arange(self.run.protocol.batch))
        return _largest(cut), max(len(portion.clips) for portion in cut) if self.norms.layers else None

    def add(self, x_BVTCHW: Tensor, labels_B: Tensor, batch: np.ndarray) -> float:
        """Add the gradient of the mean loss over `batch`, and return that loss; x are the clips of `own`.

        Where memory runs out the micro-batch is halved. A rank that is alone then starts again; one of
        several raises Abandoned, since the others already wait for it in the middle of the step.
        """
        random = _random_state(x_BVTCHW.device)
        while True:
            cut = self.cut(batch)
            loss = if_it_fits(self._add, x_BVTCHW, labels_B, cut)
            if loss is not None:
                return loss
            self._shrink(cut)
            self.micro_batch.keep()
            if self.ranks.count > 1:
                raise Abandoned(f"memory ran out on rank {self.ranks.rank}")
            self.model.zero_grad()
            self.norms.forget()
            _set_random_state(random)

    def _add(self, x_BVTCHW: Tensor, labels_B: Tensor, cut: list[Portion]) -> float:
        """Add up the gradients of this rank's portions, and exchange them with the last one's."""
        ranks, clips, value = self.ranks, sum(len(portion.clips) for portion in cut), 0.0
        groups = [ranks.group(portion.ranks) if self.norms.layers else None for portion in cut]
        own = [number for number, portion in enumerate(cut) if ranks.rank in portion.ranks]
        sizes = [len(cut[number].share(ranks.rank)) for number in own]
        whole = ranks.count == len(cut) == 1  # then torch's own batch normalisation is what is asked for
        parts = zip(own, x_BVTCHW.split(sizes), labels_B.split(sizes), strict=True) if own else ()
        for number, x, labels in parts:
            share = len(x) / clips
            norms = nullcontext() if whole else self.norms.portion(groups[number], share)
            with norms, self._exchange(number == own[-1]):
                logits = answer(self._replica, x, self.run.protocol, self._classes)
                loss = cross_entropy(logits, labels) * (share * ranks.count)  # DDP takes the mean over ranks
                loss.backward()
            value += loss.item() / ranks.count
        if not own:
            self._idle(x_BVTCHW)
        if not whole:
            self.norms.update(ranks)
        return ranks.total(value)

    def _exchange(self, now: bool) -> AbstractContextManager:
        return nullcontext() if now or self.ranks.count == 1 else self._replica.no_sync()

    def _idle(self, x_0VTCHW: Tensor) -> None:
        """Take part in the exchange with a gradient of zero, having no clip of the step."""
        self.model.eval()
        x = x_0VTCHW.new_zeros(1, *x_0VTCHW.shape[1:])
        (answer(self._replica, x, self.run.protocol, self._classes).sum() * 0).backward()
        self.model.train()

    def _shared(self) -> nn.Module:
        """Return `model` as one of equal copies, one on each rank, whose gradients are exchanged."""
        unused = self._rehearse()
        # of convolutions whose weights lie channels-last in memory; said once, to no use of the reader's
        warnings.filterwarnings("ignore", "Grad strides do not match")
        return DistributedDataParallel(
            self.model,
            device_ids=[self.ranks.device] if self.ranks.device.type == "cuda" else None,
            forward_sync_buffers=False,  # running statistics are the same everywhere
            gradient_as_bucket_view=True,
            find_unused_parameters=unused,
        )

    def _rehearse(self) -> bool:
        """Find out how many clips fit, while no rank waits for another; return whether parameters are unused.

        Later it would be too late: a rank without memory cannot tell those that wait for its gradient.
        """
        self.model.train()
        for layer in self.norms.layers:
            layer.eval()  # nothing is to be learnt from these clips
        while True:
            cut = self.cut(np.arange(self.run.protocol.batch))
            fits = if_it_fits(self._pretend, _largest(cut)) is not None
            unused = any(p.requires_grad and p.grad is None for p in self.model.parameters())
            self.model.zero_grad()
            if not self.ranks.total(not fits):
                return unused
            self._shrink(cut)
            if self.ranks.first:
                self.micro_batch.keep()

    def _pretend(self, clips: int) -> bool:
        task = self.run.task
        shape = (clips, 1, task.frames, task.channels, task.side, task.side)
        x_BVTCHW = torch.zeros(shape, device=self.ranks.device)
        answer(self.model, x_BVTCHW, self.run.protocol, self._classes).sum().backward()
        return True

    def _shrink(self, cut: list[Portion]) -> None:
        self.micro_batch.halve(_largest(cut), name_of(self.ranks.device))
        self._tell()

    def _tell(self) -> None:
        """Say why the micro-batch is smaller than it could be, and what that changes."""
        if self.micro_batch.why is None:
            return
        asked = min(norm_batch(self.run.protocol), self.run.protocol.batch)
        _, clips = self.at_once()
        changed = ""
        if clips is not None and clips < asked:
            changed = (
                f". Batch normalisation takes its statistics over {clips} clips, not the protocol's {asked}: "
                "that is another computation. More ranks together have more memory"
            )
        self._warn(self.micro_batch.why + changed)


def _largest(cut: list[Portion]) -> int:
    """Return the most clips that a rank computes at once."""
    return max(len(portion.share(portion.ranks[0])) for portion in cut)


def _random_state(device: torch.device) -> tuple[Tensor, Tensor | None]:
    return torch.get_rng_state(), torch.cuda.get_rng_state() if device.type == "cuda" else None


def _set_random_state(state: tuple[Tensor, Tensor | None]) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1])
