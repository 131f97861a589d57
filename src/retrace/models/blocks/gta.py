"""Global temporal attention (He et al., "GTA: Global Temporal Attention for Video Action Understanding",
2021, sections 3.3 and 3.4).

Frames are mixed by learnt matrices, the same for every clip and place, and not by affinities.
"""

import torch
from torch import Tensor, nn

from retrace.models.blocks.inner import Output, Project, inner_width


class TemporalMixing(nn.Module):
    """Learnt matrices M over time on v of G groups of d channels; (t, s) is frame s seen from frame t.

    - G = 1 ("without CCMH"): out[t] = sum over s of M[t, s] v[s], one T x T matrix;
    - multi-head: out_g[t] = sum over s of M[g, t, s] v_g[s], G matrices;
    - cross-channel (CCMH): out_h[t] = sum over g and s of M[h, g, t, s] v_g[s], G^2 matrices. This is one
      (G T) x (G T) matrix; multi-head is its block diagonal.

    No softmax, no sign. Random at first, as printed, of a scale that keeps the variance (our choice).
    """

    def __init__(self, frames: int, *, groups: int, cross_channel: bool) -> None:
        super().__init__()
        self.groups = groups
        heads = (groups, groups) if cross_channel else (groups,)
        self.matrices = nn.Parameter(torch.empty(*heads, frames, frames))
        self.subscripts = "hgts,bspgd->btphd" if cross_channel else "gts,bspgd->btpgd"
        nn.init.normal_(self.matrices, std=(frames * (groups if cross_channel else 1)) ** -0.5)

    def forward(self, v_BTPC: Tensor) -> Tensor:
        """Map (B, T, P, C) to the same shape; P are places or regions. Groups are runs of channels."""
        v_BTPGD = v_BTPC.unflatten(3, (self.groups, -1))
        return torch.einsum(self.subscripts, self.matrices, v_BTPGD).flatten(3)


class RegionMixing(nn.Module):
    """The region branch between its projections: gather places into K regions, mix, hand back.

    g = W_g v (K x P a frame, no bias and no softmax), r = g v^T (K x c), r' = mix(r), a = g^T r'. The text
    applies W_g to x; only on v, c wide, does it cost what is printed. r sums over all places and a is cubic
    in x: the scale is left to the norm that follows.
    """

    def __init__(self, inner: int, regions: int, mixing: TemporalMixing) -> None:
        super().__init__()
        self.map = nn.Linear(inner, regions, bias=False)
        self.mixing = mixing

    def forward(self, v_BTPC: Tensor) -> Tensor:
        """Map (B, T, P, c) to the same shape."""
        g_BTPK = self.map(v_BTPC)
        r_BTKC = g_BTPK.transpose(2, 3) @ v_BTPC
        return g_BTPK @ self.mixing(r_BTKC)


class Gta(nn.Module):
    """y = x + norm(W_o mix(W_v x)) + norm(W_o' regions(W_v' x)): the pixel and the region branch.

    W are 1x1 convolutions with bias, c = C / `reduction` wide inside; each branch has its own. There are
    c / `region_reduction` regions; None leaves their branch out. The number of frames is fixed.
    """

    def __init__(
        self,
        channels: int,
        frames: int,
        *,
        reduction: int,
        pixels: bool,
        region_reduction: int | None,
        groups: int,
        cross_channel: bool,
    ) -> None:
        super().__init__()
        inner = inner_width(channels, reduction, groups)

        def mixing() -> TemporalMixing:
            return TemporalMixing(frames, groups=groups, cross_channel=cross_channel)

        self.branches = nn.ModuleDict({"pixel": mixing()} if pixels else {})
        if region_reduction is not None:
            regions = inner_width(inner, region_reduction)
            self.branches["region"] = RegionMixing(inner, regions, mixing())
        # One projection gives the values of both branches.
        self.value = Project(channels, inner * len(self.branches))
        self.out = nn.ModuleDict({name: Output(inner, channels) for name in self.branches})

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Map (B, T, C, H, W) to the same shape."""
        size, y_BTCHW = x_BTCHW.shape[3:], x_BTCHW
        v_BTPC = self.value(x_BTCHW).permute(0, 1, 3, 4, 2).flatten(2, 3)
        values = v_BTPC.chunk(len(self.branches), dim=3)
        for (name, branch), v in zip(self.branches.items(), values, strict=True):
            a_BTCHW = branch(v).unflatten(2, size).permute(0, 1, 4, 2, 3)
            y_BTCHW = y_BTCHW + self.out[name](a_BTCHW)
        return y_BTCHW
