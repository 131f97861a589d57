"""The graph: K times a stage over time and one over space, and a last one over time.

Source: Nicolicioiu et al., "Recurrent Space-time Graph Neural Networks", NeurIPS 2019, section 3 and
supplement, Table 1. Time comes before space, as in Table 1 and the released code.
"""

import torch
from torch import Tensor, nn

from retrace.models.rstg.norms import JointNorm, NodeNorm
from retrace.models.rstg.spatial import Past, SpatialStage
from retrace.plan.model import SpaceTimeGraph

_NORMS = {"batch": NodeNorm, "layer": JointNorm}


class Graph(nn.Module):
    """Maps node features (B, T, N, C) to node states of the same shape.

    The stages that a variant of the ablation lacks are not built.
    """

    def __init__(self, graph: SpaceTimeGraph) -> None:
        super().__init__()
        variant, width = graph.variant, graph.width
        self.iterations = 0 if variant == "time-only" else graph.iterations
        self.time_edges = variant == "homogenous"
        self.norm = None if graph.norm == "none" else _NORMS[graph.norm](width)
        self.inner_time = TimeStage(width) if variant == "all-temporal-stages" else None
        self.space = SpatialStage(graph) if self.iterations else None
        self.last_time = None if variant in ("space-only", "homogenous") else TimeStage(width)

    def forward(self, v_BTNC: Tensor) -> Tensor:
        x_BTNC = v_BTNC if self.norm is None else self.norm(v_BTNC)
        for _ in range(self.iterations):
            if self.inner_time is not None:
                x_BTNC = self.inner_time(x_BTNC)
            past = _past(x_BTNC) if self.time_edges else None
            x_BTNC = self.space(x_BTNC.flatten(0, 1), past).unflatten(0, x_BTNC.shape[:2])
        return x_BTNC if self.last_time is None else self.last_time(x_BTNC)


class TimeStage(nn.Module):
    """One LSTM for every node on its own; its hidden states are the node's new states."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width)

    def forward(self, x_BTNC: Tensor) -> Tensor:
        """Map (B, T, N, C) to the same shape, from a state of zeros; nodes are folded into the batch."""
        clips, _, nodes, _ = x_BTNC.shape
        x_TMC = x_BTNC.transpose(0, 1).flatten(1, 2)
        return self.lstm(x_TMC)[0].unflatten(1, (clips, nodes)).transpose(0, 1)


def _past(x_BTNC: Tensor) -> Past:
    """Return each frame's node states one frame later, zeros for the first, which has no past."""
    past_BTNC = torch.cat([torch.zeros_like(x_BTNC[:, :1]), x_BTNC[:, :-1]], dim=1)
    there_BT = torch.arange(x_BTNC.shape[1], device=x_BTNC.device) > 0
    return Past(past_BTNC.flatten(0, 1), there_BT.expand(len(x_BTNC), -1).flatten())
