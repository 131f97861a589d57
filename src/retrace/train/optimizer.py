"""The protocol's optimiser, as torch's own, and the gradient that it gets."""

import inspect

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from retrace.plan import spec
from retrace.train.parameter_groups import parameter_groups
from retrace.train.schedule import build_schedule


def _uncompiled(optimizer: type[Optimizer]) -> type[Optimizer]:
    """Return an optimiser of torch that works alike without importing the compiler.

    That would take two seconds. Nothing is compiled in training.
    """
    for method in vars(Optimizer).values():
        if plain := getattr(method, "__wrapped__", None):
            setattr(plain, "__dynamo_disable", plain)  # what the method looks up to call in place of itself
    step = torch.no_grad()(inspect.unwrap(optimizer.step))
    return type(optimizer.__name__, (optimizer,), {"step": step})


_SGD, _Adam = _uncompiled(SGD), _uncompiled(Adam)


def build_optimizer(model: nn.Module, protocol: spec.Protocol, steps: int) -> tuple[Optimizer, LRScheduler]:
    """Return optimiser and schedule for epochs of `steps` steps; the schedule is told every step.

    Weight decay is L2. It acts on all parameters, unless the protocol sets some apart in groups.
    """
    match protocol.optimizer:
        case spec.Sgd(lr=lr, momentum=momentum, weight_decay=decay) as sgd:
            nesterov = isinstance(sgd, spec.VideoSgd) and sgd.nesterov
            optimizer: Optimizer = _SGD(
                model.parameters(), lr, momentum, weight_decay=decay, nesterov=nesterov
            )
        case spec.GroupedSgd() as sgd:
            groups = parameter_groups(model, sgd)
            optimizer = _SGD(groups, sgd.lr, sgd.momentum, nesterov=sgd.nesterov)
        case spec.Adam(lr=lr, weight_decay=decay):
            # fused, it takes a quarter of the time, a tenth of a small model's step
            optimizer = _Adam(model.parameters(), lr=lr, weight_decay=decay, fused=True)
    return optimizer, build_schedule(optimizer, protocol, steps)


def clip_gradient(model: nn.Module, protocol: spec.Protocol) -> None:
    """Scale the whole gradient down to the norm that the protocol permits, if it names one."""
    limit = getattr(protocol.optimizer, "clip_norm", None)
    if limit is not None:
        clip_grad_norm_(model.parameters(), limit)
