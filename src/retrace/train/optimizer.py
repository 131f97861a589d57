"""The protocol's optimiser and learning-rate schedule, as torch's own."""

import math

from torch import nn
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LambdaLR, LRScheduler, MultiStepLR

from retrace.plan import spec


def build_optimizer(model: nn.Module, protocol: spec.Protocol, steps: int) -> tuple[Optimizer, LRScheduler]:
    """Return optimiser and schedule for epochs of `steps` steps; the schedule is told every step.

    Weight decay is L2 and acts on all parameters. ``cosine`` falls from lr to 0 over all steps.
    """
    match protocol.optimizer:
        case spec.Sgd(lr=lr, momentum=momentum, weight_decay=decay) as sgd:
            nesterov = isinstance(sgd, spec.VideoSgd) and sgd.nesterov
            optimizer: Optimizer = SGD(
                model.parameters(), lr, momentum, weight_decay=decay, nesterov=nesterov
            )
        case spec.Adam(lr=lr, weight_decay=decay):
            optimizer = Adam(model.parameters(), lr=lr, weight_decay=decay)
    match protocol.schedule:
        case "constant":
            return optimizer, ConstantLR(optimizer, factor=1.0, total_iters=0)
        case "cosine":
            return optimizer, CosineAnnealingLR(optimizer, T_max=steps * protocol.epochs)
        case spec.Steps(at=at, factor=factor):
            return optimizer, MultiStepLR(optimizer, [epoch * steps for epoch in at], gamma=factor)
        case spec.EpochCosine() as cosine:
            lr, epochs = protocol.optimizer.lr, protocol.epochs
            return optimizer, LambdaLR(
                optimizer, lambda step: epoch_cosine(cosine, step // steps, epochs, lr)
            )


def epoch_cosine(cosine: spec.EpochCosine, epoch: int, epochs: int, lr: float) -> float:
    """Return the share of `lr` with which epoch number `epoch` (from 0) of `epochs` is trained.

    Deep Analysis, section 4.2: linear for `warm_up` epochs, then (1 + cos(pi * done)) / 2.
    """
    if epoch < cosine.warm_up:
        start = cosine.warm_up_from / lr
        return start + (1 - start) * epoch / cosine.warm_up
    done = (epoch - cosine.warm_up) / max(epochs - cosine.warm_up, 1)
    return (1 + math.cos(math.pi * done)) / 2
