"""TimeSformer with divided space-time attention, as "Recur, Attend or Convolve?" trains it.

Bertasius et al., "Is Space-Time Attention All You Need for Video Understanding?", 2021, section 3, with
the rotary positions and the gated feed-forward of timesformer-pytorch, which the paper's parameter
counts imply. What Bertasius et al. train is in `retrace.models.timesformer_vit`, which says why the two
stand apart. Shapes: T frames of P patches; S = 1 + T P tokens of width D, cls first, then frame by frame;
A heads of width N. The paper has D = A N throughout.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retrace.errors import UserError
from retrace.models.rotary import rotate, space_angles, time_angles


class Attention(nn.Module):
    """Attention of each patch within its group, and of the cls token to everything.

    The group of a patch is its own place in all frames (over time) or its own frame (over space), with
    cls. Rotary positions hold within groups only: cls has none and, as a query, sees none.
    """

    def __init__(self, dim: int, heads: int, head_width: int, dropout: float, *, over_time: bool) -> None:
        super().__init__()
        self.heads, self.over_time = heads, over_time
        self.qkv = nn.Linear(dim, 3 * heads * head_width, bias=False)
        self.out = nn.Linear(heads * head_width, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BSD: Tensor, frames: int, cos_LN: Tensor, sin_LN: Tensor) -> Tensor:
        """Map (B, S, D) to (B, S, D). A group has L members: T over time, P over space."""
        q, k, v = self.qkv(x_BSD).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B, A, S, N)
        cls = F.scaled_dot_product_attention(q[:, :, :1], k, v)
        queries, keys, values = (self._grouped(part, frames) for part in (q, k, v))
        keys = _with_cls(k, rotate(keys, cos_LN, sin_LN))
        values = _with_cls(v, values)
        # Heads and groups stand in one dimension: the fused kernels take four.
        patches = F.scaled_dot_product_attention(
            rotate(queries, cos_LN, sin_LN).flatten(1, 2), keys.flatten(1, 2), values.flatten(1, 2)
        ).unflatten(1, (self.heads, -1))
        if self.over_time:
            patches = patches.transpose(2, 3)
        return self.dropout(self.out(torch.cat([cls, patches.flatten(2, 3)], 2).transpose(1, 2).flatten(2)))

    def _grouped(self, x_BASN: Tensor, frames: int) -> Tensor:
        """Return the patches as (B, A, groups, L, N)."""
        x_BATPN = x_BASN[:, :, 1:].unflatten(2, (frames, -1))
        return x_BATPN.transpose(2, 3) if self.over_time else x_BATPN


def _with_cls(x_BASN: Tensor, groups_BAGLN: Tensor) -> Tensor:
    """Put the cls token of x before each group."""
    cls = x_BASN[:, :, None, :1].expand(-1, -1, groups_BAGLN.shape[2], -1, -1)
    return torch.cat([cls, groups_BAGLN], 3)


class FeedForward(nn.Module):
    """A hidden layer of 4 D units, each gated by the GELU of another (Shazeer, "GLU Variants", 2020)."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.widen = nn.Linear(dim, 8 * dim)
        self.narrow = nn.Linear(4 * dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BSD: Tensor) -> Tensor:
        """Map (B, S, D) to (B, S, D)."""
        value, gate = self.widen(x_BSD).chunk(2, -1)
        return self.narrow(self.dropout(value * F.gelu(gate)))


class PreNorm(nn.Module):
    """x + inner(norm(x), ...)."""

    def __init__(self, dim: int, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.norm = nn.LayerNorm(dim)

    def forward(self, x_BSD: Tensor, *context: object) -> Tensor:
        """Map (B, S, D) to (B, S, D)."""
        return x_BSD + self.inner(self.norm(x_BSD), *context)


class Layer(nn.Module):
    """Attention over time, attention over space, feed-forward."""

    def __init__(
        self, dim: int, heads: int, head_width: int, attention_dropout: float, ff_dropout: float
    ) -> None:
        super().__init__()
        attention = dim, heads, head_width, attention_dropout
        self.time = PreNorm(dim, Attention(*attention, over_time=True))
        self.space = PreNorm(dim, Attention(*attention, over_time=False))
        self.feed_forward = PreNorm(dim, FeedForward(dim, ff_dropout))


class TimeSformer(nn.Module):
    """Patches, layers of divided attention, and a linear layer on the cls token.

    `dim` is the width of a token. The dropouts are of what an attention puts out and of the hidden units of
    a feed-forward. `extra_linear` adds a linear layer on the predictions.
    Raises UserError if `patch` does not divide `side`, or if `head_width` is odd: rotations need pairs.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        head_width: int,
        layers: int,
        patch: int,
        *,
        attention_dropout: float = 0.0,
        ff_dropout: float = 0.0,
        extra_linear: bool = False,
        classes: int,
        channels: int,
        frames: int,
        side: int,
    ) -> None:
        super().__init__()
        if side % patch:
            raise UserError(f"timesformer: side {side} is not a multiple of patch {patch}")
        if head_width % 2:
            raise UserError(f"timesformer: heads are {head_width} wide; rotary positions need an even width")
        grid = side // patch
        self.patch = patch
        self.cls = nn.Parameter(torch.randn(1, dim))
        self.embed = nn.Linear(patch * patch * channels, dim)
        self.layers = nn.ModuleList(
            Layer(dim, heads, head_width, attention_dropout, ff_dropout) for _ in range(layers)
        )
        self.head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, classes))
        if extra_linear:
            self.head.append(nn.Linear(classes, classes))
        for name, angles in (
            ("time", time_angles(frames, head_width)),
            ("space", space_angles(grid, grid, head_width)),
        ):
            self.register_buffer(f"{name}_cos", angles.cos().float(), persistent=False)
            self.register_buffer(f"{name}_sin", angles.sin().float(), persistent=False)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Return logits (B, classes)."""
        frames = x_BTCHW.shape[1]
        tokens = self.embed(_patches(x_BTCHW, self.patch))
        x = torch.cat([self.cls.expand(len(tokens), 1, -1), tokens], 1)
        for layer in self.layers:
            x = layer.time(x, frames, self.time_cos, self.time_sin)
            x = layer.space(x, frames, self.space_cos, self.space_sin)
            x = layer.feed_forward(x)
        return self.head(x[:, 0])


def _patches(x_BTCHW: Tensor, patch: int) -> Tensor:
    """Cut frames into patches: (B, T P, patch * patch * C), each in the order row, column, channel."""
    tiles = x_BTCHW.unflatten(-2, (-1, patch)).unflatten(-1, (-1, patch))  # (B, T, C, rows, p, columns, p)
    return tiles.permute(0, 1, 3, 5, 4, 6, 2).flatten(4).flatten(1, 3)
