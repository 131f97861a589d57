"""The TimeSformer of its own paper: a ViT whose blocks attend over space and time.

Bertasius et al., "Is Space-Time Attention All You Need for Video Understanding?", 2021, with the
supplement's variants (section 2) and, where the text is silent, the authors' released code. Parameters
bear the names of that code, which are timm's names for a ViT.

`retrace.models.timesformer` is another model that goes by the same name, the one trained in "Recur,
Attend or Convolve?". There positions are rotations instead of tables, the feed-forward is gated, the
linear map to q, k and v has no bias, nothing stands behind the attention over time, and the cls token
attends to the whole clip in both steps, where here it takes part over space alone. The parameters
published for either exclude the other, and one module for both would branch in nearly every line.

Shapes: B clips of T frames of N patches; G groups of L tokens each attend within themselves; D = A K for A
heads of width K. The tokens of a clip are cls, then patch by patch its T frames: S = 1 + N T.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retrace.errors import UserError
from retrace.plan import model as kinds

NORM_EPS = 1e-6


class Attention(nn.Module):
    """Multi-head self-attention within each group of tokens."""

    def __init__(self, width: int, heads: int, *, qkv_bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)

    def forward(self, x_GLD: Tensor) -> Tensor:
        """Map (G, L, D) to (G, L, D)."""
        out_GALK = F.scaled_dot_product_attention(*self._heads(x_GLD))
        return self.proj(out_GALK.transpose(1, 2).flatten(2))

    def weights(self, x_GLD: Tensor) -> Tensor:
        """Return who attends to whom, (G, A, L queries, L keys); each row sums to 1.

        The fused attention of `forward` never has them in memory, so they are computed apart.
        """
        q_GALK, k_GALK, _ = self._heads(x_GLD)
        return (q_GALK @ k_GALK.transpose(2, 3) * q_GALK.shape[3] ** -0.5).softmax(-1)

    def _heads(self, x_GLD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = self.qkv(x_GLD).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return q, k, v


class Mlp(nn.Module):
    """Two linear maps with a GELU in between."""

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, ratio * width)
        self.fc2 = nn.Linear(ratio * width, width)

    def forward(self, x_GLD: Tensor) -> Tensor:
        """Map (G, L, D) to (G, L, D)."""
        return self.fc2(F.gelu(self.fc1(x_GLD)))


class Block(nn.Module):
    """The block of a ViT: attention among all tokens of a group, then the MLP."""

    def __init__(self, model: kinds.TimeSformerVit, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(model.width, NORM_EPS)
        self.attn = Attention(model.width, model.heads, qkv_bias=model.qkv_bias)
        self.norm2 = nn.LayerNorm(model.width, NORM_EPS)
        self.mlp = Mlp(model.width, model.mlp_ratio)
        self.drop_path = _stochastic_depth(drop_path)

    def forward(self, z_GLD: Tensor) -> Tensor:
        """Map (G, L, D) to (G, L, D)."""
        return self.feed_forward(z_GLD + self.drop_path(self.attn(self.norm1(z_GLD))))

    def feed_forward(self, z_GLD: Tensor) -> Tensor:
        """Map (G, L, D) to (G, L, D)."""
        return z_GLD + self.drop_path(self.mlp(self.norm2(z_GLD)))


class DividedBlock(Block):
    """Attention among the frames of a patch and attention among the patches of a frame, then the MLP.

    The cls token takes part over space alone: every frame has a copy of it, and the mean of what the copies
    receive is added to it. A linear map behind the attention over time starts at zero, so that at first the
    block is that of an image ViT. Stochastic depth drops whole groups: a patch over time, a frame over space.

    Unless time comes first, what patches receive over time in the last block comes too late for cls to see
    it, so that the last attention over time is never trained.
    """

    def __init__(self, model: kinds.TimeSformerVit, drop_path: float, frames: int) -> None:
        super().__init__(model, drop_path)
        self.order, self.frames = model.attention, frames
        self.temporal_norm1 = nn.LayerNorm(model.width, NORM_EPS)
        self.temporal_attn = Attention(model.width, model.heads, qkv_bias=model.qkv_bias)
        self.temporal_fc = nn.Linear(model.width, model.width)

    def forward(self, z_BSD: Tensor) -> Tensor:
        """Map (B, S, D) to (B, S, D)."""
        cls_B1D, x_BNTD = z_BSD[:, :1], z_BSD[:, 1:].unflatten(1, (-1, self.frames))
        if self.order == "time-first":
            x_BNTD = x_BNTD + self.over_time(x_BNTD)
        to_cls, to_patches = self.over_space(cls_B1D, x_BNTD)
        if self.order == "parallel":
            to_patches = to_patches + self.over_time(x_BNTD)
        x_BNTD = x_BNTD + to_patches
        if self.order == "space-first":
            x_BNTD = x_BNTD + self.over_time(x_BNTD)
        return self.feed_forward(torch.cat([cls_B1D + to_cls, x_BNTD.flatten(1, 2)], 1))

    def over_time(self, x_BNTD: Tensor) -> Tensor:
        """Return what the patches receive over time, (B, N, T, D)."""
        groups_GTD = self.temporal_norm1(x_BNTD.flatten(0, 1))
        received_GTD = self.temporal_fc(self.drop_path(self.temporal_attn(groups_GTD)))
        return received_GTD.unflatten(0, x_BNTD.shape[:2])

    def over_space(self, cls_B1D: Tensor, x_BNTD: Tensor) -> tuple[Tensor, Tensor]:
        """Return what cls (B, 1, D) and the patches (B, N, T, D) receive over space."""
        copies_BT1D = cls_B1D[:, None].expand(-1, self.frames, -1, -1)
        frames_BTLD = torch.cat([copies_BT1D, x_BNTD.transpose(1, 2)], 2)
        received = self.drop_path(self.attn(self.norm1(frames_BTLD.flatten(0, 1))))
        received_BTLD = received.unflatten(0, frames_BTLD.shape[:2])
        return received_BTLD[:, :, 0].mean(1, keepdim=True), received_BTLD[:, :, 1:].transpose(1, 2)


class PatchEmbed(nn.Module):
    """A linear map of each patch of a picture."""

    def __init__(self, channels: int, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, patch)

    def forward(self, x_FCHW: Tensor) -> Tensor:
        """Map pictures (F, C, H, W) to (F, N, D), row by row."""
        return self.proj(x_FCHW).flatten(2).transpose(1, 2)


class TimeSformerVit(nn.Module):
    """Patches with tables of positions and times, blocks of attention, a linear layer on the cls token.

    With `space-only` attention the frames are pictures by themselves until, behind the last block, their
    cls tokens are averaged; nothing then knows the order of frames. Initialised as the authors' code does.
    Raises UserError if `patch` does not divide `side`, or `heads` the width.
    """

    def __init__(
        self, model: kinds.TimeSformerVit, *, classes: int, channels: int, frames: int, side: int
    ) -> None:
        super().__init__()
        if side % model.patch:
            raise UserError(f"{model.family}: side {side} is not a multiple of patch {model.patch}")
        if model.width % model.heads:
            raise UserError(f"{model.family}: width {model.width} is not a multiple of heads {model.heads}")
        self.attention, self.frames, self.grid = model.attention, frames, side // model.patch
        self.patch_embed = PatchEmbed(channels, model.width, model.patch)
        self.cls_token = nn.Parameter(torch.empty(1, 1, model.width))
        self.pos_embed = nn.Parameter(torch.empty(1, self.grid**2 + 1, model.width))
        if self.attention != "space-only":
            self.time_embed = nn.Parameter(torch.empty(1, frames, model.width))
        rates = (model.drop_path * layer / max(1, model.layers - 1) for layer in range(model.layers))
        self.blocks = nn.ModuleList(_block(model, rate, frames) for rate in rates)
        self.norm = nn.LayerNorm(model.width, NORM_EPS)
        self.head = nn.Linear(model.width, classes)
        self._initialise(model.init_std, model.time_std)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Return logits (B, classes)."""
        z_GLD = self.tokens(x_BTCHW)
        for block in self.blocks:
            z_GLD = block(z_GLD)
        cls_BFD = z_GLD[:, 0].unflatten(0, (len(x_BTCHW), -1))  # F: T pictures, or 1 clip
        return self.head(self.norm(cls_BFD.mean(1)))

    def tokens(self, x_BTCHW: Tensor) -> Tensor:
        """Return the tokens that enter the first block: (B, S, D), space only (B T, 1 + N, D)."""
        patches_FND = self.patch_embed(x_BTCHW.flatten(0, 1)) + self.pos_embed[:, 1:]
        cls_11D = self.cls_token + self.pos_embed[:, :1]
        if self.attention == "space-only":
            return torch.cat([cls_11D.expand(len(patches_FND), -1, -1), patches_FND], 1)
        x_BNTD = patches_FND.unflatten(0, x_BTCHW.shape[:2]).transpose(1, 2) + self.time_embed
        return torch.cat([cls_11D.expand(len(x_BTCHW), -1, -1), x_BNTD.flatten(1, 2)], 1)

    def _initialise(self, init_std: float, time_std: float) -> None:
        """Linear maps, cls, positions and times from normal distributions; biases and `temporal_fc` zero.

        While the times are zero nothing tells one order of the frames from another. Where no frame by itself,
        wherever it stands, tells a class either, that is a saddle: what would lead away from it grows with
        the distance from it.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=init_std)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.trunc_normal_(self.cls_token, std=init_std)
        nn.init.trunc_normal_(self.pos_embed, std=init_std)
        if self.attention != "space-only":
            nn.init.normal_(self.time_embed, std=time_std)
        for block in self.blocks:
            if isinstance(block, DividedBlock):
                nn.init.zeros_(block.temporal_fc.weight)


def _block(model: kinds.TimeSformerVit, drop_path: float, frames: int) -> Block:
    if model.attention in ("joint", "space-only"):
        return Block(model, drop_path)
    return DividedBlock(model, drop_path, frames)


def _stochastic_depth(rate: float) -> nn.Module:
    """Return what drops whole rows of the batch at this rate in training."""
    if not rate:
        return nn.Identity()
    from torchvision.ops import StochasticDepth  # slow to import

    return StochasticDepth(rate, "row")
