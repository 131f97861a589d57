"""Nodes of a space-time graph: the cells of grids of several sizes, laid over a feature map.

Grids come from the finest (`scales` x `scales`) to the coarsest (1 x 1), cells row by row.
"""

import torch
from torch import Tensor


def grid_sizes(scales: int) -> list[int]:
    """Return the sides of the grids, finest first."""
    return list(range(scales, 0, -1))


def cell_counts(scales: int) -> list[int]:
    """Return how many nodes each grid has."""
    return [size**2 for size in grid_sizes(scales)]


def area_weights(n_in: int, n_out: int, device: torch.device | None = None) -> Tensor:
    """Return the exact area resize from `n_in` to `n_out` places, (n_out, n_in); every row sums to 1.

    w[o, i] = |[o r, (o + 1) r] ∩ [i, i + 1]| / r with r = n_in / n_out. It is no adaptive average pooling
    where `n_out` does not divide `n_in`.
    """
    # in units of 1 / n_out, so that all ends are whole numbers
    o = torch.arange(n_out, device=device)[:, None] * n_in
    i = torch.arange(n_in, device=device) * n_out
    shared = torch.minimum(o + n_in, i + n_out) - torch.maximum(o, i)
    return shared.clamp(min=0).double() / n_in


def pooling(scales: int, height: int, width: int, device: torch.device | None = None) -> Tensor:
    """Return the weights (N, height * width) that make nodes of a feature map."""
    grids = [
        torch.kron(area_weights(height, size, device), area_weights(width, size, device))
        for size in grid_sizes(scales)
    ]
    return torch.cat(grids)


def spreading(scales: int, height: int, width: int, device: torch.device | None = None) -> Tensor:
    """Return the weights (height * width, N) that resize each grid to a feature map and sum the maps."""
    grids = [
        torch.kron(area_weights(size, height, device), area_weights(size, width, device))
        for size in grid_sizes(scales)
    ]
    return torch.cat(grids, dim=1)


def to_nodes(x_BTCHW: Tensor, scales: int) -> Tensor:
    """Pool a clip's features to nodes (B, T, N, C), frame by frame."""
    weights_NS = pooling(scales, *x_BTCHW.shape[3:], x_BTCHW.device).to(x_BTCHW.dtype)
    return weights_NS @ x_BTCHW.flatten(3).transpose(2, 3)


def to_map(z_BTNC: Tensor, scales: int, height: int, width: int) -> Tensor:
    """Spread nodes over a feature map (B, T, C, height, width); what the grids give is summed."""
    weights_SN = spreading(scales, height, width, z_BTNC.device).to(z_BTNC.dtype)
    return (weights_SN @ z_BTNC).transpose(2, 3).unflatten(3, (height, width))
