"""How fast a model is, and what memory it takes: measured on the machine at hand, nothing is trained."""

import statistics
from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import nn

from retrace.cost.batch import largest_batch
from retrace.cost.machine import Cpu, Gpu, told

WARM_UP, REPEATS = 2, 7
Step = Literal["inference", "training"]


class Trials:
    """Passes of one model over clips of one size at any batch; `x_shape` is that of a clip, (T, C, H, W)."""

    def __init__(self, model: nn.Module, x_shape: tuple[int, ...], step: Step, here: Gpu | Cpu) -> None:
        self.model = model.to(here.device).train(step == "training")
        self.asked: Callable[[torch.Tensor], torch.Tensor] = self.model
        self.x_shape, self.step, self.here = x_shape, step, here
        self.autocast = False
        self._bytes_a_clip = 0.0

    def fits(self, batch: int) -> bool:
        """Tell whether a pass with `batch` clips fits into memory, by doing it where it may."""
        if not self.here.may_fit(self._bytes_a_clip * batch):
            return False
        self.here.start_peak()
        try:
            self.run(batch)
        except torch.OutOfMemoryError:
            return False
        finally:
            self.model.zero_grad()
        self._bytes_a_clip = self.here.peak() / batch
        return True

    def seconds(self, batch: int) -> list[float]:
        """Return the time of each of REPEATS passes, after WARM_UP others."""
        taken = []
        for index in range(WARM_UP + REPEATS):
            start = self.here.now()
            self.run(batch)
            taken += [self.here.now() - start] if index >= WARM_UP else []
        return taken

    def peak_bytes(self, batch: int) -> int:
        """Return the most memory that a pass takes."""
        self.here.start_peak()
        self.run(batch)
        return self.here.peak()

    def run(self, batch: int) -> None:
        """Do one pass over random clips: forward, or with loss and backward."""
        x_BTCHW = torch.rand(batch, *self.x_shape, device=self.here.device)
        training = self.step == "training"
        self.model.zero_grad()
        with (
            torch.inference_mode(not training),
            torch.autocast(self.here.device.type, torch.bfloat16, enabled=self.autocast),
        ):
            logits_BK = self.asked(x_BTCHW)
        if training:
            labels_B = torch.zeros(batch, dtype=torch.long, device=x_BTCHW.device)
            F.cross_entropy(logits_BK.float(), labels_B).backward()


def measured(
    model: nn.Module, x_shape: tuple[int, ...], step: Step, most: int, here: Gpu | Cpu
) -> dict[str, Any]:
    """Return the speed and the memory of `model` at the largest batch that fits, of at most `most` clips.

    Single precision. On a GPU also clips a second with less of it, in ``variants`` (see `_variants`).
    """
    trials = Trials(model, x_shape, step, here)
    found: dict[str, Any] = {**told(here), "step": step, "batch": 0, "most": most}
    batch = largest_batch(trials.fits, most)
    here.tune()  # not before: every batch that is tried would be a shape to tune for
    while batch:
        try:
            found |= {"peak_bytes": trials.peak_bytes(batch), "seconds": trials.seconds(batch)}
            break
        except torch.OutOfMemoryError:  # what fitted once need not fit for ever: memory gets fragmented
            batch -= max(1, batch // 32)
    if not batch:
        return found | {"reason": f"not even one clip fits into the memory of {here.name()}"}
    found["batch"] = batch
    if isinstance(here, Gpu):
        found["variants"] = _variants(trials, batch)
    return found


def _variants(trials: Trials, batch: int) -> dict[str, float | str]:
    """Return clips a second at the same batch with channels-last weights, then bfloat16, then compiled.

    One that fails, as compiling may, has the reason in its place.
    """

    def speed() -> float | str:
        try:
            return batch / statistics.median(trials.seconds(batch))
        except RuntimeError as error:
            return f"failed: {str(error).partition(chr(10))[0]}"

    found: dict[str, float | str] = {}
    for parameter in trials.model.parameters():
        if parameter.ndim in (4, 5):
            last = torch.channels_last if parameter.ndim == 4 else torch.channels_last_3d
            parameter.data = parameter.data.contiguous(memory_format=last)
    found["channels-last"] = speed()
    trials.autocast = True
    found["channels-last, bfloat16"] = speed()
    trials.asked = torch.compile(trials.model)
    found["channels-last, bfloat16, compiled"] = speed()
    return found
