"""Weights as TensorFlow draws them by default, which is what the released code leaves them at."""

import torch
from torch import nn


def as_in_tensorflow(module: nn.Module) -> None:
    """Draw Glorot-uniform kernels, each gate of an LSTM for itself, and set all biases to zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.Conv3d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.LSTM):
            _initialise_lstm(layer)


@torch.no_grad()
def _initialise_lstm(lstm: nn.LSTM) -> None:
    for name, parameter in lstm.named_parameters():
        if name.startswith("bias"):
            parameter.zero_()
        else:
            for gate in parameter.chunk(4):
                nn.init.xavier_uniform_(gate)
