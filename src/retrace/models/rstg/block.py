"""A space-time graph as a block of a backbone: added to its features, or read out as a vector."""

from torch import Tensor, nn

from retrace.models.rstg.graph import Graph
from retrace.models.rstg.initialise import as_in_tensorflow
from retrace.models.rstg.nodes import to_map, to_nodes
from retrace.models.rstg.norms import ResidualNorm
from retrace.plan.model import SpaceTimeGraph


class GraphOfFeatures(nn.Module):
    """Node states (B, T, N, C) of features x_BTCHW, of as many channels as the features.

    Where the graph has another width, nodes are projected to it and back.
    """

    def __init__(self, graph: SpaceTimeGraph, channels: int) -> None:
        super().__init__()
        self.scales = graph.scales
        fits = channels == graph.width
        self.enter = nn.Identity() if fits else nn.Linear(channels, graph.width)
        self.graph = Graph(graph)
        self.leave = nn.Identity() if fits else nn.Linear(graph.width, channels)
        as_in_tensorflow(self)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        return self.leave(self.graph(self.enter(to_nodes(x_BTCHW, self.scales))))


class GraphToMap(nn.Module):
    """x + norm(map of the graph's nodes), the norm's gain being zero at first: RSTG-to-map.

    Nodes are projected to the features' channels before they are spread over the map, as in the code.
    """

    def __init__(self, graph: SpaceTimeGraph, channels: int) -> None:
        super().__init__()
        self.nodes = GraphOfFeatures(graph, channels)
        self.norm = ResidualNorm(channels)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Map (B, T, C, H, W) to the same shape."""
        map_BTCHW = to_map(self.nodes(x_BTCHW), self.nodes.scales, *x_BTCHW.shape[3:])
        return x_BTCHW + self.norm(map_BTCHW.movedim(2, 4)).movedim(4, 2)


class GraphToVector(nn.Module):
    """The sum over nodes of their mean over time: RSTG-to-vec.

    `residual` puts the norm on it that starts at zero, for a vector that is added to a backbone's own.
    """

    def __init__(self, graph: SpaceTimeGraph, channels: int, *, residual: bool) -> None:
        super().__init__()
        self.nodes = GraphOfFeatures(graph, channels)
        self.norm = ResidualNorm(channels) if residual else nn.Identity()

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Map (B, T, C, H, W) to (B, C)."""
        return self.norm(self.nodes(x_BTCHW).mean(dim=1).sum(dim=1))
