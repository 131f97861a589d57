"""The spatial stage: every node sends to every node of its frame, gathers what it gets, updates itself.

Source: Nicolicioiu et al., "Recurrent Space-time Graph Neural Networks", section 3.2, and the released
code. Frames are folded into the batch: M = B * T.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retrace.models.rstg.adjacency import neighbours, position_maps
from retrace.models.rstg.nodes import cell_counts
from retrace.models.rstg.norms import EPS, JointNorm
from retrace.models.rstg.pairs import Gathered, gather_messages
from retrace.plan.model import SpaceTimeGraph

_SLOPE = 0.2
"""Of the leaky ReLU on additive attention's scores."""


class Past(NamedTuple):
    """What time edges need: node states of the frame before, and whether there is one (M,)."""

    x_MNC: Tensor
    there_M: Tensor


class SpatialStage(nn.Module):
    """One exchange of messages, with the same weights for all nodes and frames.

    With `past`, a node's state in the frame before is one more neighbour of it.
    """

    def __init__(self, graph: SpaceTimeGraph) -> None:
        super().__init__()
        layered = graph.norm == "layer"
        self.send = Send(graph)
        self.message_norm = MessageNorm(graph.width) if layered else None
        self.attend = DotAttention(graph) if graph.gather == "dot" else AdditiveAttention(graph)
        self.bias = nn.Parameter(torch.zeros(graph.width))
        self.update = ScaleUpdate(graph) if graph.update == "per-scale" else Update(graph.width)
        self.update_norm = JointNorm(graph.width) if layered else None

    def forward(self, x_MNC: Tensor, past: Past | None = None) -> Tensor:
        """Map node states (M, N, C) to the same shape."""
        u_MNC = self.update(x_MNC, F.relu(self.gathered(x_MNC, past) + self.bias))
        return u_MNC if self.update_norm is None else self.update_norm(u_MNC)

    def gathered(self, x_MNC: Tensor, past: Past | None = None) -> Tensor:
        """Return what each node gets from all nodes, weighted by its attention, (M, N, C)."""
        attention = self.attend(x_MNC, past)
        source, receiver = self.send.halves(x_MNC)
        nodes, layer = x_MNC.shape[1], (self.send.second.weight, self.send.second.bias)
        moments = self.message_norm is not None
        got = gather_messages(source, receiver, *layer, attention[..., :nodes], moments=moments)
        g_MNC = got.sum_MNC if self.message_norm is None else self.message_norm(got)
        if past is None:
            return g_MNC
        return g_MNC + attention[..., nodes:] * self.send.from_past(past, receiver)


class Send(nn.Module):
    """m[i, j] = ReLU(W2 ReLU(W1 [x_j; p_j; x_i; p_i] + b1) + b2) from j to i, for all pairs."""

    def __init__(self, graph: SpaceTimeGraph) -> None:
        super().__init__()
        positions_NP = position_maps(graph.scales).float() if graph.positions else None
        self.register_buffer("positions_NP", positions_NP, persistent=False)
        extra = 0 if positions_NP is None else positions_NP.shape[1]
        self.first = nn.Linear(2 * (graph.width + extra), graph.width)
        self.second = nn.Linear(graph.width, graph.width)

    def halves(self, x_MNC: Tensor) -> tuple[Tensor, Tensor]:
        """Return what a node adds to W1's product as a sender, and as a receiver, b1 included."""
        from_source, from_receiver = self.first.weight.chunk(2, dim=1)
        state = self.placed(x_MNC)
        return F.linear(state, from_source), F.linear(state, from_receiver, self.first.bias)

    def from_past(self, past: Past, receiver_MNC: Tensor) -> Tensor:
        """Return the messages (M, N, C) from each node's own state in the frame before."""
        return F.relu(self.second(F.relu(self.halves(past.x_MNC)[0] + receiver_MNC)))

    def placed(self, x_MNC: Tensor) -> Tensor:
        """Return node states with the nodes' positions behind them, [x; p]."""
        if self.positions_NP is None:
            return x_MNC
        return torch.cat([x_MNC, self.positions_NP.to(x_MNC.dtype).expand(len(x_MNC), -1, -1)], dim=2)


class MessageNorm(JointNorm):
    """Joint layer norm of all messages of a frame, (N, N, C), after they were summed.

    Mean and variance are one number a frame and attention sums to 1, so it does not matter which is first.
    """

    def forward(self, got: Gathered) -> Tensor:
        """Return what the sum of normalised messages would be, (M, N, C)."""
        centred_MNC = got.sum_MNC - got.mean_M[:, None, None]
        scale_M = torch.rsqrt(got.variance_M + EPS)
        return torch.addcmul(self.bias, centred_MNC * scale_M[:, None, None], self.weight)


class Attention(nn.Module):
    """How much each node i takes from each node j: a softmax of scores over all j.

    Soft: who is no neighbour, oneself included, keeps a score of 0, as in the released code. Hard: they get
    no weight. Full: all are neighbours.
    """

    def __init__(self, graph: SpaceTimeGraph) -> None:
        super().__init__()
        edges_NN = neighbours(graph.scales).float()
        edges_NN = torch.ones_like(edges_NN) if graph.adjacency == "full" else edges_NN
        self.register_buffer("edges_NN", edges_NN, persistent=False)
        self.hard = graph.adjacency == "hard"

    def forward(self, x_MNC: Tensor, past: Past | None = None) -> Tensor:
        """Return (M, N, N), receivers first, with a column for the past if there is one; rows sum to 1."""
        edges_NN = self.edges_NN.to(x_MNC.dtype)
        scores = self.scores(x_MNC, edges_NN)
        if self.hard:
            scores = scores.masked_fill(edges_NN == 0, -torch.inf)
        if past is not None:
            before = self.scores_of_past(x_MNC, past.x_MNC)
            before = before.masked_fill(~past.there_M[:, None], -torch.inf)
            scores = torch.cat([scores, before[..., None]], dim=2)
        return scores.softmax(dim=2)

    def scores(self, x_MNC: Tensor, edges_NN: Tensor) -> Tensor:
        raise NotImplementedError

    def scores_of_past(self, x_MNC: Tensor, past_MNC: Tensor) -> Tensor:
        """Return the scores (M, N) of each node's own state in the frame before, a neighbour."""
        raise NotImplementedError


class DotAttention(Attention):
    """Scores A[i, j] <q_i, k_j>, not scaled."""

    def __init__(self, graph: SpaceTimeGraph) -> None:
        super().__init__(graph)
        self.query = nn.Linear(graph.width, graph.width)
        self.key = nn.Linear(graph.width, graph.width)

    def scores(self, x_MNC: Tensor, edges_NN: Tensor) -> Tensor:
        return edges_NN * (self.query(x_MNC) @ self.key(x_MNC).transpose(1, 2))

    def scores_of_past(self, x_MNC: Tensor, past_MNC: Tensor) -> Tensor:
        return (self.query(x_MNC) * self.key(past_MNC)).sum(dim=2)


class AdditiveAttention(Attention):
    """Scores LeakyReLU(A[i, j] (a_i + c_j)) + A[i, j] with one number a node: the code's "simple"."""

    def __init__(self, graph: SpaceTimeGraph) -> None:
        super().__init__(graph)
        self.receiver = nn.Linear(graph.width, 1)
        self.source = nn.Linear(graph.width, 1)

    def scores(self, x_MNC: Tensor, edges_NN: Tensor) -> Tensor:
        total = self.receiver(x_MNC) + self.source(x_MNC).transpose(1, 2)
        return F.leaky_relu(edges_NN * total, _SLOPE) + edges_NN

    def scores_of_past(self, x_MNC: Tensor, past_MNC: Tensor) -> Tensor:
        total = self.receiver(x_MNC) + self.source(past_MNC)
        return F.leaky_relu(total.squeeze(2), _SLOPE) + 1


class Update(nn.Module):
    """u_i = ReLU(U2 ReLU(U1 [x_i; g_i] + c1) + c2): no shortcut, no gate."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(2 * width, width)
        self.second = nn.Linear(width, width)

    def forward(self, x_MNC: Tensor, g_MNC: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(torch.cat([x_MNC, g_MNC], dim=2)))))


class ScaleUpdate(nn.Module):
    """An update of its own for the nodes of each grid."""

    def __init__(self, graph: SpaceTimeGraph) -> None:
        super().__init__()
        self.counts = cell_counts(graph.scales)
        self.updates = nn.ModuleList(Update(graph.width) for _ in self.counts)

    def forward(self, x_MNC: Tensor, g_MNC: Tensor) -> Tensor:
        parts = zip(self.updates, x_MNC.split(self.counts, 1), g_MNC.split(self.counts, 1), strict=True)
        return torch.cat([update(x, g) for update, x, g in parts], dim=1)
