"""The messages of all pairs of nodes, without keeping more of them than the messages themselves."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def pair_messages(source_MNC: Tensor, receiver_MNC: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return m[i, j] = ReLU(W ReLU(source[j] + receiver[i]) + b), (M, N, N, C), receiver first.

    Source and receiver are the two halves of the first layer's product W1 [x_j; x_i] = Wa x_j + Wb x_i, so
    pairs are never concatenated.
    """
    return _PairMessages.apply(source_MNC, receiver_MNC, weight, bias)


class _PairMessages(torch.autograd.Function):
    """The backward makes the hidden layer anew: an addition instead of a second tensor of that size."""

    @staticmethod
    def forward(
        ctx: object, source_MNC: Tensor, receiver_MNC: Tensor, weight: Tensor, bias: Tensor
    ) -> Tensor:
        m_MNNC = F.linear(_hidden(source_MNC, receiver_MNC), weight, bias).relu_()
        ctx.save_for_backward(source_MNC, receiver_MNC, weight, m_MNNC)
        return m_MNNC

    @staticmethod
    @once_differentiable
    def backward(ctx: object, grad_MNNC: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        source_MNC, receiver_MNC, weight, m_MNNC = ctx.saved_tensors
        grad_MNNC = torch.ops.aten.threshold_backward(grad_MNNC, m_MNNC, 0)
        h_MNNC = _hidden(source_MNC, receiver_MNC)
        grad_PC, h_PC = grad_MNNC.flatten(0, 2), h_MNNC.flatten(0, 2)
        weight_grad, bias_grad = grad_PC.T @ h_PC, grad_PC.sum(dim=0)
        hidden_grad = torch.ops.aten.threshold_backward(grad_MNNC @ weight, h_MNNC, 0)
        return hidden_grad.sum(dim=1), hidden_grad.sum(dim=2), weight_grad, bias_grad


def _hidden(source_MNC: Tensor, receiver_MNC: Tensor) -> Tensor:
    return (source_MNC[:, None] + receiver_MNC[:, :, None]).relu_()
