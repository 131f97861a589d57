"""Temporal attention, without (TA) and with positions (TAPE), in one or more groups of channels.

He et al., "GTA", 2021, sections 3.2 and 4.3 and appendix B.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from retrace.models.blocks.inner import Output, Project, inner_width
from retrace.models.blocks.token_sets import from_sets, to_sets

Code = Literal["none", "sinusoid", "learned"]


class TemporalAttention(nn.Module):
    """y = x + norm(W_o a), a = softmax(q k^T / sqrt(c)) v over the T frames of each place.

    `code`: x + e enters the projections, with a code e_TC of the frames; the shortcut keeps x. It is fixed
    (sines on even, cosines on odd channels, base 10000) or learnt; `code_in_values` tells whether the
    values see it, too. The paper has the name and the cost of TAPE alone; the rest is our choice.

    `groups` G > 1 is cross-channel multi-head (CCMH): head h of q, d = c / G wide, attends by all G groups
    g of k, each to its own group of v: a_h = sum over g of softmax(q_h k_g^T / sqrt(d)) v_g.
    """

    def __init__(
        self, channels: int, frames: int, *, reduction: int, code: Code, code_in_values: bool, groups: int
    ) -> None:
        super().__init__()
        inner = inner_width(channels, reduction, groups)
        self.groups, self.code_in_values = groups, code_in_values
        self.query, self.key, self.value = (Project(channels, inner) for _ in range(3))
        self.out = Output(inner, channels)
        self.code = FrameCode(channels, frames, learned=code == "learned") if code != "none" else None

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Map (B, T, C, H, W) to the same shape."""
        coded = x_BTCHW if self.code is None else self.code(x_BTCHW)
        q, k, v = (
            to_sets(of, "time").contiguous().unflatten(-1, (self.groups, -1))
            for of in (
                self.query(coded),
                self.key(coded),
                self.value(coded if self.code_in_values else x_BTCHW),
            )
        )
        # The fused kernels are for long sequences and few of them: here are H W of a few frames.
        scores = torch.einsum("bpthd,bpsgd->bphtgs", q * q.shape[-1] ** -0.5, k)
        a_BPTC = torch.einsum("bphtgs,bpsgd->bpthd", scores.softmax(-1), v).flatten(3)
        return x_BTCHW + self.out(from_sets(a_BPTC, "time", *x_BTCHW.shape[3:]))


class FrameCode(nn.Module):
    """Adds e_TC, one vector a frame."""

    def __init__(self, channels: int, frames: int, *, learned: bool) -> None:
        super().__init__()
        if learned:
            self.e_TC = nn.Parameter(torch.empty(frames, channels))
            nn.init.normal_(self.e_TC, std=0.02)
        else:
            self.register_buffer("e_TC", sinusoids(frames, channels), persistent=False)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Map (B, T, C, H, W) to the same shape."""
        return x_BTCHW + self.e_TC[:, :, None, None]


def sinusoids(frames: int, channels: int) -> Tensor:
    """Return e[t, 2 i] = sin(t / 10000^(2 i / C)) and e[t, 2 i + 1] = cos of the same, (T, C).

    Vaswani et al., "Attention Is All You Need", 2017, section 3.5.
    """
    channel = torch.arange(channels)
    rate = 10000.0 ** (-(channel - channel % 2) / channels)
    angle_TC = torch.arange(frames)[:, None] * rate
    return torch.where(channel % 2 == 0, angle_TC.sin(), angle_TC.cos())
