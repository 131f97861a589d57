"""Nodes, neighbours and positions of the space-time graph against closed forms and other libraries."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from retrace.models.rstg.adjacency import neighbours, position_maps
from retrace.models.rstg.nodes import area_weights, cell_counts, pooling, spreading, to_map, to_nodes


@pytest.mark.parametrize("n_in", [2, 6, 14, 16, 28, 32])
@pytest.mark.parametrize("n_out", [1, 2, 3, 4])
def test_the_weights_are_the_shared_lengths_and_sum_to_one(n_in, n_out):
    weights = area_weights(n_in, n_out)
    step = n_in / n_out
    for o, i in itertools.product(range(n_out), range(n_in)):
        shared = max(0.0, min((o + 1) * step, i + 1) - max(o * step, i)) / step
        assert weights[o, i].item() == pytest.approx(shared, abs=1e-12)
    assert torch.allclose(weights.sum(dim=1), torch.ones(n_out, dtype=torch.double))


def test_fourteen_places_to_three_is_no_adaptive_pooling():
    weights = area_weights(14, 3)
    assert (weights[0] * 14).tolist() == pytest.approx([3, 3, 3, 3, 2, *[0] * 9])
    adaptive = F.adaptive_avg_pool1d(torch.eye(14, dtype=torch.double)[None], 3)[0].T
    assert not torch.allclose(weights, adaptive)


def test_where_cells_are_whole_nodes_are_averages_of_their_cells():
    x_BTCHW = torch.rand(2, 3, 5, 6, 6, dtype=torch.double)
    grids = [F.avg_pool2d(x_BTCHW.flatten(0, 1), 6 // s).flatten(2).transpose(1, 2) for s in (3, 2, 1)]
    assert torch.allclose(to_nodes(x_BTCHW, 3).flatten(0, 1), torch.cat(grids, dim=1))
    assert cell_counts(4) == [16, 9, 4, 1]


@pytest.mark.parametrize(("height", "width"), [(14, 14), (7, 10), (2, 2)])
def test_a_constant_map_gives_constant_nodes_and_comes_back_once_a_grid(height, width):
    assert torch.allclose(pooling(4, height, width).sum(dim=1), torch.ones(30, dtype=torch.double))
    assert torch.allclose(spreading(4, height, width).sum(dim=1), torch.full((height * width,), 4.0).double())
    x_BTCHW = torch.full((1, 2, 3, height, width), 7.0)
    assert torch.allclose(to_map(to_nodes(x_BTCHW, 4), 4, height, width), 4 * x_BTCHW)


def test_projecting_nodes_first_adds_the_bias_once_more_for_every_further_grid():
    z_BTNC, layer = torch.rand(1, 2, 14, 4), torch.nn.Linear(4, 6)
    first = to_map(layer(z_BTNC), 3, 7, 7)
    last = layer(to_map(z_BTNC, 3, 7, 7).movedim(2, 4)).movedim(4, 2)
    assert torch.allclose(first - last, (2 * layer.bias)[:, None, None].expand_as(first), atol=1e-5)


def brute_neighbours(scales, side):
    """Closed rectangles of floor(side / s) pixels that meet in more than one point."""
    cells = []
    for s in range(scales, 0, -1):
        step = side // s
        cells += [(r * step, c * step, step) for r, c in itertools.product(range(s), range(s))]
    edges = torch.zeros(len(cells), len(cells), dtype=torch.double)
    for (i, a), (j, b) in itertools.permutations(enumerate(cells), 2):
        high, wide = (min(a[k] + a[2], b[k] + b[2]) - max(a[k], b[k]) for k in (0, 1))
        edges[i, j] = high >= 0 and wide >= 0 and (high, wide) != (0, 0)
    return edges


DEGREES = {
    3: "4 6 4 6 9 6 4 6 4 7 7 7 7 13",
    4: "5 8 8 5 8 12 12 8 8 12 12 8 5 8 8 5 8 10 8 10 13 10 8 10 8 15 15 15 15 29",
}


@pytest.mark.parametrize(("scales", "edges", "largest"), [(3, 45, 7.1018), (4, 153, 11.9193)])
def test_neighbours_are_those_of_the_authors(scales, edges, largest):
    matrix = neighbours(scales)
    assert matrix.sum() == 2 * edges
    assert [int(degree) for degree in matrix.sum(dim=1)] == [int(n) for n in DEGREES[scales].split()]
    assert torch.equal(matrix, matrix.T)
    assert not matrix.diagonal().any()
    assert torch.linalg.eigvalsh(matrix).max().item() == pytest.approx(largest, abs=5e-5)
    for side in (64, 128, 224, 256):
        assert torch.equal(matrix, brute_neighbours(scales, side))


def test_position_maps_mark_disjoint_cells_with_the_authors_window():
    maps = position_maps(3)
    assert maps.shape == (14, 36)
    sums = maps.sum(dim=1)
    assert sums.tolist() == pytest.approx([3.757652] * 9 + [7.645191] * 4 + [19.042859], abs=1e-6)
    for grid in maps.split([9, 4, 1]):
        assert ((grid > 0).sum(dim=0) == 1).all()
    place = math.exp(-(0.5**2 + 1.5**2) / 8)
    assert maps[13].view(6, 6)[2, 1].item() == pytest.approx(place)
    assert maps[0].view(6, 6)[:2, :2].flatten().tolist() == pytest.approx([math.exp(-0.5 / 8)] * 4)
    assert position_maps(4).shape == (30, 144)
