"""Compact generalised non-local block (Yue et al., "Compact Generalized Non-local Network", 2018)."""

import torch.nn.functional as F
from torch import Tensor, nn

from retrace.models.blocks.inner import Project, inner_width
from retrace.models.blocks.token_sets import Over, from_sets, to_sets


class Cgnl(nn.Module):
    """y = x + norm(W_z a): in each group of channels a = s t, s = sum of p g over its channels and tokens.

    The linear kernel, without its scale. t, p, g are 1x1 convolutions of c = C / `reduction` channels in
    `groups` groups, W_z a grouped one; none has a bias. s is one number a set and group. The norm is a group
    normalisation over the tokens of the set, which starts at zero.
    """

    def __init__(self, channels: int, over: Over, *, reduction: int, groups: int) -> None:
        super().__init__()
        inner = inner_width(channels, reduction, groups)
        self.over, self.groups = over, groups
        self.project = Project(channels, 3 * inner, bias=False)
        self.out = Project(inner, channels, groups=groups, bias=False)
        self.norm = nn.GroupNorm(groups, channels)
        for conv in (self.project, self.out):
            nn.init.normal_(conv.weight, std=0.01)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Map (B, T, C, H, W) to the same shape."""
        tpg_BMLC = to_sets(self.project(x_BTCHW), self.over)
        t, p, g = tpg_BMLC.unflatten(3, (3, self.groups, -1)).unbind(3)
        a_BMLGD = (p * g).sum((2, 4), keepdim=True) * t
        size = x_BTCHW.shape[3:]
        z_BTCHW = self.out(from_sets(a_BMLGD.flatten(3), self.over, *size))
        z_BMLC = self._normalised(to_sets(z_BTCHW, self.over))
        return x_BTCHW + from_sets(z_BMLC, self.over, *size)

    def _normalised(self, z_BMLC: Tensor) -> Tensor:
        """Normalise each group of channels over its set."""
        z_SCL = z_BMLC.flatten(0, 1).transpose(1, 2)
        norm = self.norm
        z_SCL = F.group_norm(z_SCL, self.groups, norm.weight, norm.bias, norm.eps)
        return z_SCL.transpose(1, 2).unflatten(0, z_BMLC.shape[:2])
