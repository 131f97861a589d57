"""Rotary position embeddings of TimeSformer, as timesformer-pytorch 0.3 and 0.4 compute them.

A rotation is a pair of tables (cos, sin), each (positions, rotated dims). Neighbouring dimensions
(2i, 2i + 1) are rotated together, in time and in space alike.
"""

import math

import torch
from torch import Tensor


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the leading dims of x (..., positions, dims) as far as the tables (positions, <= dims) reach."""
    turned, rest = x[..., : cos.shape[-1]], x[..., cos.shape[-1] :]
    even, odd = turned.unflatten(-1, (-1, 2)).unbind(-1)
    quarter = torch.stack([-odd, even], -1).flatten(-2)
    return torch.cat([turned * cos + quarter * sin, rest], -1)


def time_angles(frames: int, dim: int) -> Tensor:
    """Return the angles (frames, dim) of frame t: t / 10000^(2j / dim), j < dim / 2, twice in a row.

    Both halves of a row are equal although `rotate` pairs neighbours: from dim 4 on the two dims of a
    pair turn by different angles. The trained models of the paper have this, so it stays.
    """
    frequencies = 10000.0 ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    angles = torch.arange(frames, dtype=torch.float64)[:, None] * frequencies
    return torch.cat([angles, angles], -1)


def space_angles(rows: int, columns: int, dim: int) -> Tensor:
    """Return the angles (rows * columns, 4 * (dim // 4)) of a grid of patches, first by row, then by column.

    A coordinate runs from -1 to 1 and turns by pi * scale, with dim // 4 scales from 1 to 5 in equal
    ratios. So below dim 4 there is no position at all, and with whole scales (dim < 12) the first and
    the last row turn alike.
    """
    scales = math.pi * torch.logspace(0, math.log2(5), dim // 4, base=2, dtype=torch.float64)
    down = torch.linspace(-1, 1, rows, dtype=torch.float64)[:, None, None] * scales
    along = torch.linspace(-1, 1, columns, dtype=torch.float64)[None, :, None] * scales
    shape = (rows, columns, dim // 4)
    angles = torch.cat([down.expand(shape), along.expand(shape)], -1)
    return angles.flatten(0, 1).repeat_interleave(2, -1)
