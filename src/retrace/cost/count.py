"""Parameters and multiply-adds of a model, at full size and without memory or time."""

import copy
from collections.abc import Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def parameters(model: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def multiply_adds(model: nn.Module, x_shape: Sequence[int], *, convolutions_only: bool = False) -> int:
    """Return the multiply-adds of a forward pass on x of shape `x_shape`, batch included.

    Convolutions, linear layers and attention count; normalisation, pooling and activations do not, as
    in the papers' tables. Some papers count the convolutions alone. PyTorch counts a multiply-add as two
    operations, so its count is halved.
    """
    shadow = copy.deepcopy(model).to("meta").eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        shadow(torch.empty(*x_shape, device="meta"))
    by_operator = counter.get_flop_counts().get("Global", {})
    counted = [n for name, n in by_operator.items() if "convolution" in str(name) or not convolutions_only]
    return sum(counted) // 2
