"""Attention over space and time, over space or over time (He et al., "GTA", 2021, sections 3.1 and 3.2).

NL is joint attention, SA spatial, TA temporal, DNL is SA and then TA. c is the inner width, N = T H W:

====  =======  ==========  ==================================
      queries  keys        affinity
====  =======  ==========  ==================================
NL    N        N / 4       (B, N, N / 4)
SA    H W      H W / 4     (B T, H W, H W / 4), in each frame
TA    T        T           (B H W, T, T), at each place
====  =======  ==========  ==================================

y = x + norm(W_o a), a = softmax(q k^T / sqrt(c)) v, where q, k, v, W_o are 1x1 convolutions with bias; no
ReLU follows. NL has c = C / 2, SA and TA C / 4. Keys and values of NL and SA are the maxima of 2x2 places.
None of this is printed: only these widths and pools give the paper's costs. The cost also tells whether
the pool follows the projections (2D networks) or precedes them (3D networks).
"""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from retrace.models.blocks.inner import OnFrames, Output, Project, inner_width
from retrace.models.blocks.token_sets import Over, from_sets, to_sets

Subsample = Literal["none", "before", "after"]
"""Where keys and values are pooled: nowhere, before or after their projections."""


class Attention(nn.Module):
    """NL and SA, and TA over time without subsampling. The fused kernel keeps no matrix of scores."""

    def __init__(self, channels: int, over: Over, *, reduction: int, subsample: Subsample) -> None:
        super().__init__()
        inner = inner_width(channels, reduction)
        self.over, self.subsample = over, subsample
        self.query, self.key, self.value = (Project(channels, inner) for _ in range(3))
        self.pool = OnFrames(HalfMax())
        self.out = Output(inner, channels)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Map (B, T, C, H, W) to the same shape."""
        seen = self.pool(x_BTCHW) if self.subsample == "before" else x_BTCHW
        k, v = self.key(seen), self.value(seen)
        if self.subsample == "after":
            k, v = self.pool(k), self.pool(v)
        # Sets stand where the kernel has its heads: each attends by itself.
        q, k, v = (to_sets(of, self.over) for of in (self.query(x_BTCHW), k, v))
        a_BMLC = self.attended(q, k, v)
        return x_BTCHW + self.out(from_sets(a_BMLC, self.over, *x_BTCHW.shape[3:]))

    def attended(self, q_BMLC: Tensor, k_BMSC: Tensor, v_BMSC: Tensor) -> Tensor:
        """Return what the L tokens of each set see of its S keys, (B, M, L, C)."""
        return F.scaled_dot_product_attention(q_BMLC, k_BMSC, v_BMSC)


class DotProduct(Attention):
    """NL and SA without softmax: a = q k^T v / S over S keys (Wang et al., 2018, Eq. 4).

    The non-local blocks of PySlowFast's SlowFast. The affinities come first, as in their printed cost, though
    k^T v would be fewer multiply-adds.
    """

    def attended(self, q_BMLC: Tensor, k_BMSC: Tensor, v_BMSC: Tensor) -> Tensor:
        return q_BMLC @ k_BMSC.transpose(2, 3) @ v_BMSC / k_BMSC.shape[2]


class HalfMax(nn.Module):
    """Maximum of 2x2 places; a side of one place stays."""

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, H // 2, W // 2)."""
        return F.max_pool2d(x_NCHW, [min(2, side) for side in x_NCHW.shape[2:]])
