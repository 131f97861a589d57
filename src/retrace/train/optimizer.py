"""The protocol's optimiser, as torch's own, and the gradient that it gets."""

from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from retrace.plan import spec
from retrace.train.parameter_groups import parameter_groups
from retrace.train.schedule import build_schedule


def build_optimizer(model: nn.Module, protocol: spec.Protocol, steps: int) -> tuple[Optimizer, LRScheduler]:
    """Return optimiser and schedule for epochs of `steps` steps; the schedule is told every step.

    Weight decay is L2. It acts on all parameters, unless the protocol sets some apart in groups.
    """
    match protocol.optimizer:
        case spec.Sgd(lr=lr, momentum=momentum, weight_decay=decay) as sgd:
            nesterov = isinstance(sgd, spec.VideoSgd) and sgd.nesterov
            optimizer: Optimizer = SGD(
                model.parameters(), lr, momentum, weight_decay=decay, nesterov=nesterov
            )
        case spec.GroupedSgd() as sgd:
            groups = parameter_groups(model, sgd)
            optimizer = SGD(groups, sgd.lr, sgd.momentum, nesterov=sgd.nesterov)
        case spec.Adam(lr=lr, weight_decay=decay):
            optimizer = Adam(model.parameters(), lr=lr, weight_decay=decay)
    return optimizer, build_schedule(optimizer, protocol, steps)


def clip_gradient(model: nn.Module, protocol: spec.Protocol) -> None:
    """Scale the whole gradient down to the norm that the protocol permits, if it names one."""
    limit = getattr(protocol.optimizer, "clip_norm", None)
    if limit is not None:
        clip_grad_norm_(model.parameters(), limit)
