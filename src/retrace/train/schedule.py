"""Learning-rate schedules, told every step."""

import math
from bisect import bisect_right

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LambdaLR, LRScheduler, MultiStepLR

from retrace.plan import spec


def build_schedule(optimizer: Optimizer, protocol: spec.Protocol, steps: int) -> LRScheduler:
    """Return the schedule of `protocol` for epochs of `steps` steps; every group's rate goes by it.

    ``cosine`` falls from lr to 0 over all steps.
    """
    lr, epochs = protocol.optimizer.lr, protocol.epochs
    match protocol.schedule:
        case "constant":
            return ConstantLR(optimizer, factor=1.0, total_iters=0)
        case "cosine":
            return CosineAnnealingLR(optimizer, T_max=steps * epochs)
        case spec.Steps(at=at, factor=factor):
            return MultiStepLR(optimizer, [epoch * steps for epoch in at], gamma=factor)
        case spec.EpochCosine() as cosine:
            return LambdaLR(optimizer, lambda step: epoch_cosine(cosine, step // steps, epochs, lr))
        case spec.WarmUp() as warm_up:
            return LambdaLR(optimizer, lambda step: warmed_up(warm_up, step / steps, epochs, lr))


def epoch_cosine(cosine: spec.EpochCosine, epoch: int, epochs: int, lr: float) -> float:
    """Return the share of `lr` with which epoch number `epoch` (from 0) of `epochs` is trained.

    Deep Analysis, section 4.2: linear for `warm_up` epochs, then (1 + cos(pi * done)) / 2.
    """
    if epoch < cosine.warm_up:
        start = cosine.warm_up_from / lr
        return start + (1 - start) * epoch / cosine.warm_up
    done = (epoch - cosine.warm_up) / max(epochs - cosine.warm_up, 1)
    return (1 + math.cos(math.pi * done)) / 2


def warmed_up(warm_up: spec.WarmUp, time: float, epochs: int, lr: float) -> float:
    """Return the share of `lr` at `time`, in epochs since the beginning.

    As PySlowFast has it: the line ends where the schedule behind it is by then (Goyal et al., "Accurate,
    Large Minibatch SGD", 2017, section 2.2, for a schedule that has not moved by then).
    """
    if time >= warm_up.epochs:
        return _share(warm_up.then, time, epochs)
    start, end = warm_up.start / lr, _share(warm_up.then, warm_up.epochs, epochs)
    return start + (end - start) * time / warm_up.epochs


def _share(schedule: str | spec.Steps, time: float, epochs: int) -> float:
    match schedule:
        case spec.Steps(at=at, factor=factor):
            return factor ** bisect_right(at, time)
        case "cosine":
            return (1 + math.cos(math.pi * time / epochs)) / 2
        case _:
            return 1.0
