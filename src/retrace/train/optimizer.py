"""The protocol's optimiser and learning-rate schedule, as torch's own."""

from torch import nn
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler

from retrace.plan import spec


def build_optimizer(model: nn.Module, protocol: spec.Protocol, steps: int) -> tuple[Optimizer, LRScheduler]:
    """Return optimiser and schedule for a run of at most `steps` steps; the schedule moves every step.

    Weight decay is L2 and acts on all parameters. ``cosine`` falls from lr to 0 over all `steps`.
    """
    match protocol.optimizer:
        case spec.Sgd(lr=lr, momentum=momentum, weight_decay=decay):
            optimizer: Optimizer = SGD(model.parameters(), lr=lr, momentum=momentum, weight_decay=decay)
        case spec.Adam(lr=lr, weight_decay=decay):
            optimizer = Adam(model.parameters(), lr=lr, weight_decay=decay)
    match protocol.schedule:
        case "constant":
            return optimizer, ConstantLR(optimizer, factor=1.0, total_iters=0)
        case "cosine":
            return optimizer, CosineAnnealingLR(optimizer, T_max=steps)
