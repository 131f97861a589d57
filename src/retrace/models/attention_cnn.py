"""R2D-50 and its like: a ResNet on every frame, attention blocks between its residual blocks.

He et al., "GTA: Global Temporal Attention for Video Action Understanding", 2021, sections 3 and 4; where it
is silent, what its printed costs and the code of TSM, on which it builds, say.
"""

import torch
from torch import Tensor, nn

from retrace.errors import UserError
from retrace.models.blocks.attention import Attention
from retrace.models.blocks.cgnl import Cgnl
from retrace.models.blocks.gcnet import GlobalContext
from retrace.models.blocks.glore import GloRe
from retrace.models.blocks.gta import Gta
from retrace.models.blocks.temporal_attention import TemporalAttention
from retrace.models.blocks.token_sets import Over
from retrace.models.blocks.tsm import TemporalShift
from retrace.models.insert import InFrames, Inserts, Site
from retrace.models.layers import FrameLayers
from retrace.models.resnet import ResNet, branches
from retrace.plan import attention as kinds
from retrace.plan.model import AttentionCnn as Kind


class AttentionCnn(nn.Module):
    """ResNet, mean over space, dropout and linear layer on each frame, mean of their logits.

    Only the shift, TAPE and GTA make the logits depend on the order of the frames.
    """

    def __init__(self, model: Kind, *, classes: int, channels: int, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.trunk = _trunk(model, channels=channels, frames=frames)
        self.dropout = nn.Dropout(model.dropout)
        self.fc = nn.Linear(self.trunk.features, classes)
        nn.init.normal_(self.fc.weight, std=0.001)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Map clips (B, T, C, H, W), normalised as their transform does it, to logits (B, K).

        Raises UserError if the clips have another number of frames than the model is built for.
        """
        if x_BTCHW.shape[1] != self.frames:
            raise UserError(f"the clips have {x_BTCHW.shape[1]} frames, the model is built for {self.frames}")
        return self.fc(self.dropout(self.features(x_BTCHW))).mean(1)

    def features(self, x_BTCHW: Tensor) -> Tensor:
        """Map clips (B, T, C, H, W) to features of their frames, (B, T, D)."""
        x_NCHW = x_BTCHW.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        return self.trunk(x_NCHW).mean((2, 3)).unflatten(0, (-1, self.frames))


def _trunk(model: Kind, *, channels: int, frames: int) -> ResNet:
    """Return the backbone, its own convolutions filled in as in `VideoCnn`; blocks fill in their own."""
    inserts: Inserts = dict.fromkeys(model.positions, lambda site: attention_unit(model.blocks, site))
    if model.shift:
        shifts: Inserts = dict.fromkeys(branches(model.backbone), lambda site: TemporalShift())
        inserts = {**inserts, **shifts}
    layers = FrameLayers(frames, inserts, eps=1e-5, temporal_pooling=False)
    trunk = ResNet(model.backbone, layers, width=model.width, channels=channels)
    inserted = {part for block in trunk.modules() if isinstance(block, InFrames) for part in block.modules()}
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d) and module not in inserted:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return trunk


def attention_unit(blocks: kinds.Blocks, site: Site) -> nn.Sequential:
    """Return the blocks for a position: joint, spatial, temporal, those that are asked for, in this order."""
    places: tuple[tuple[Over, kinds.AnySet | kinds.Tape | kinds.Gta | None], ...] = (
        ("space-time", blocks.joint),
        ("space", blocks.space),
        ("time", blocks.time),
    )
    return nn.Sequential(*(_block(block, over, site) for over, block in places if block is not None))


def _block(block: kinds.AnySet | kinds.Tape | kinds.Gta, over: Over, site: Site) -> nn.Module:
    options = block.model_dump(exclude={"kind"})
    match block:
        case kinds.Attention() if over == "time":
            return TemporalAttention(
                site.channels,
                site.frames,
                reduction=block.reduction,
                code="none",
                code_in_values=False,
                groups=1,
            )
        case kinds.Attention():
            return Attention(site.channels, over, **options)
        case kinds.Tape():
            return TemporalAttention(site.channels, site.frames, **options)
        case kinds.Gta():
            return Gta(site.channels, site.frames, **options)
        case kinds.Cgnl():
            return Cgnl(site.channels, over, **options)
        case kinds.GcNet():
            return GlobalContext(site.channels, over, **options)
        case kinds.GloRe():
            return GloRe(site.channels, over, **options)
