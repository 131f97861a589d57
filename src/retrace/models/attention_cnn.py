"""R2D-50 and its like: a ResNet on every frame, attention blocks between its residual blocks.

He et al., "GTA: Global Temporal Attention for Video Action Understanding", 2021, sections 3 and 4; where it
is silent, what its printed costs and the code of TSM, on which it builds, say.
"""

import torch
from torch import Tensor, nn

from retrace.errors import UserError
from retrace.models.blocks.tsm import TemporalShift
from retrace.models.blocks.unit import units
from retrace.models.insert import InFrames, Inserts
from retrace.models.layers import FrameLayers
from retrace.models.resnet import ResNet, branches
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
    inserts = units(model.blocks, model.positions)
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
