"""Which nodes are neighbours, and where they are."""

import math

import torch
from torch import Tensor

from retrace.models.rstg.nodes import grid_sizes

_SPREAD = 2.0
"""Standard deviation of the window that marks a position, in places of the position map."""


def neighbours(scales: int) -> Tensor:
    """Return the symmetric matrix (N, N) of 0 and 1: cells of the image that meet in more than one point.

    So same-size neighbours by a side, and cells of different sizes that overlap or share a part of a side;
    no cell is its own neighbour.
    """
    whole = math.lcm(*grid_sizes(scales))
    spans = [_spans(size, whole) for size in grid_sizes(scales)]
    top, bottom, left, right = (torch.cat(part) for part in zip(*spans, strict=True))
    high = torch.minimum(bottom[:, None], bottom) - torch.maximum(top[:, None], top)
    wide = torch.minimum(right[:, None], right) - torch.maximum(left[:, None], left)
    meet = (high >= 0) & (wide >= 0) & (high + wide > 0)
    return meet.double().fill_diagonal_(0)


def _spans(size: int, whole: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return top, bottom, left and right of each cell of a grid over `whole` x `whole` places."""
    side = whole // size
    row, column = (
        index.flatten() for index in torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    )
    return row * side, (row + 1) * side, column * side, (column + 1) * side


def position_maps(scales: int) -> Tensor:
    """Return a map of places for each node, flattened: (N, 36), or (N, 144) with four grids.

    A window exp(-d^2 / 8) around the middle of the node's own cell, zero outside; nothing is trained.
    """
    whole = 6 if scales < 4 else math.lcm(*grid_sizes(scales))
    maps = []
    for size in grid_sizes(scales):
        side = whole // size
        place = torch.arange(side, dtype=torch.double) - (side - 1) / 2
        window = torch.exp(-(place**2) / (2 * _SPREAD**2))
        cells = torch.eye(size, dtype=torch.double)
        along = torch.kron(cells, window[None])  # (size, whole): each row marks one cell
        maps.append(torch.kron(along, along))
    return torch.cat(maps)
