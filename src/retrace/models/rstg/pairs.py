"""The weighted sum of the messages of all pairs of nodes, which keeps nothing of a pair but its message."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_PAIRS = {"cpu": 512, "cuda": 131_072}
"""Pairs that are worked on at once: on a CPU, as many as its cache holds; always whole frames."""


class Gathered(NamedTuple):
    """What came of all messages m[i, j] = ReLU(W ReLU(source[j] + receiver[i]) + b) of each frame."""

    sum_MNC: Tensor
    """The sum over j of attention[i, j] m[i, j]."""
    variance_M: Tensor | None
    """Variance and mean of all numbers in the messages of a frame, if asked for."""
    mean_M: Tensor | None


def gather_messages(
    source_MNC: Tensor,
    receiver_MNC: Tensor,
    weight: Tensor,
    bias: Tensor,
    attention_MNN: Tensor,
    *,
    moments: bool = False,
) -> Gathered:
    """Sum the messages from all nodes j to each node i of M frames.

    Source and receiver are the two halves of the first layer's product W1 [x_j; x_i] = Wa x_j + Wb x_i, so
    pairs are never concatenated.
    """
    dtype = source_MNC.dtype
    with torch.autocast("cuda", enabled=False):  # a CPU computes in float32 anyway
        given = (source_MNC, receiver_MNC, weight.to(dtype), bias.to(dtype), attention_MNN.to(dtype))
        return Gathered(*_GatherMessages.apply(*given, moments))


class _GatherMessages(torch.autograd.Function):
    """Frames one after the other; the backward makes the hidden layer anew, which is an addition."""

    @staticmethod
    def forward(
        ctx: Any,
        source_MNC: Tensor,
        receiver_MNC: Tensor,
        weight: Tensor,
        bias: Tensor,
        attention: Tensor,
        moments: bool,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        frames, nodes, width = source_MNC.shape
        m_MNNC = source_MNC.new_empty(frames, nodes, nodes, width)
        sum_MNC = torch.empty_like(source_MNC)
        for rows in _parts(source_MNC):
            h_PC = _hidden(source_MNC[rows], receiver_MNC[rows]).flatten(0, 2)
            m_PNC = m_MNNC[rows].flatten(0, 1)
            torch.addmm(bias, h_PC, weight.T, out=m_PNC.flatten(0, 1)).relu_()
            sum_MNC[rows] = torch.bmm(attention[rows].flatten(0, 1)[:, None], m_PNC).view(-1, nodes, width)
        variance_M, mean_M = _moments(m_MNNC) if moments else (None, None)
        ctx.save_for_backward(source_MNC, receiver_MNC, weight, attention, m_MNNC, mean_M)
        return sum_MNC, variance_M, mean_M

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, sum_grad: Tensor, variance_grad: Tensor | None, mean_grad: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        source_MNC, receiver_MNC, weight, attention, m_MNNC, mean_M = ctx.saved_tensors
        source_grad, receiver_grad = torch.empty_like(source_MNC), torch.empty_like(source_MNC)
        attention_grad = torch.empty_like(attention)
        weight_grad = torch.zeros_like(weight, dtype=torch.promote_types(weight.dtype, torch.float32))
        bias_grad = weight_grad.new_zeros(len(weight))
        for rows in _parts(source_MNC):
            m, h = m_MNNC[rows], _hidden(source_MNC[rows], receiver_MNC[rows])
            attention_grad[rows] = (m @ sum_grad[rows][..., None]).squeeze(3)
            grad = attention[rows][..., None] * sum_grad[rows][:, :, None]
            if mean_M is not None:
                slope = 2 * variance_grad[rows]
                grad += (_wide(mean_grad[rows] - slope * mean_M[rows]) + _wide(slope) * m) / m[0].numel()
            grad = torch.ops.aten.threshold_backward(grad, m, 0)
            weight_grad += grad.flatten(0, 2).T @ h.flatten(0, 2)
            bias_grad += grad.sum(dim=(0, 1, 2))
            grad = torch.ops.aten.threshold_backward(grad @ weight, h, 0)
            source_grad[rows], receiver_grad[rows] = grad.sum(dim=1), grad.sum(dim=2)
        exact = (weight_grad.to(weight.dtype), bias_grad.to(weight.dtype))
        return source_grad, receiver_grad, *exact, attention_grad, None


def _parts(source_MNC: Tensor) -> list[slice]:
    frames, nodes, _ = source_MNC.shape
    step = max(1, _PAIRS.get(source_MNC.device.type, _PAIRS["cuda"]) // nodes**2)
    return [slice(start, start + step) for start in range(0, frames, step)]


def _moments(m_MNNC: Tensor) -> tuple[Tensor, Tensor]:
    return torch.var_mean(m_MNNC, dim=(1, 2, 3), correction=0)


def _hidden(source_MNC: Tensor, receiver_MNC: Tensor) -> Tensor:
    return (source_MNC[:, None] + receiver_MNC[:, :, None]).relu_()


def _wide(x_M: Tensor) -> Tensor:
    return x_M[:, None, None, None]
