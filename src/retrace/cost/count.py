"""Parameters and multiply-adds of a model, at full size and without memory or time."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.flop_counter import FlopCounterMode


def parameters(model: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


class Work(NamedTuple):
    """Multiply-adds of a forward pass: all of them, and those of convolutions alone."""

    all: int
    convolutions: int


def multiply_adds(model: nn.Module, x_shape: Sequence[int]) -> int:
    """Return all multiply-adds of a forward pass on x of shape `x_shape`; see `work`."""
    return work(model, x_shape).all


def work(model: nn.Module, x_shape: Sequence[int]) -> Work:
    """Count the multiply-adds of a forward pass on x of shape `x_shape`, batch included.

    Convolutions, linear layers and attention count; normalisation, pooling and activations do not, as
    in the papers' tables. Some papers count the convolutions alone. PyTorch counts a multiply-add as two
    operations, so its count is halved. A model on the meta device is used itself and left in evaluation
    mode, of another one a copy is.
    """
    on_meta = all(parameter.is_meta for parameter in model.parameters())
    shadow = (model if on_meta else copy.deepcopy(model).to("meta")).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad(), _without_norms(shadow):
        shadow(torch.empty(*x_shape, device="meta"))
    by_operator = counter.get_flop_counts().get("Global", {})
    convolutions = sum(n for name, n in by_operator.items() if "convolution" in str(name))
    return Work(sum(by_operator.values()) // 2, convolutions // 2)


@contextmanager
def _without_norms(model: nn.Module) -> Iterator[None]:
    """Let every batch normalisation hand on what it gets: it costs nothing, and half of the time to count."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    for norm in norms:
        norm.forward = _same  # type: ignore[method-assign]
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


def _same(x: Tensor) -> Tensor:
    return x
