"""I3D and C2D ResNet-50 as RSTG's backbones, with graphs on their features.

Source: Nicolicioiu et al., "Recurrent Space-time Graph Neural Networks", supplement, Table 1, and the
released code, which follows "Non-local Neural Networks" (Wang et al., 2018).
"""

from collections.abc import Sequence
from typing import Self

import torch.nn.functional as F
from torch import Tensor, nn

from retrace.errors import UserError
from retrace.models import pathway
from retrace.models.insert import InVolume
from retrace.models.rstg.block import GraphToMap, GraphToVector
from retrace.models.rstg.initialise import as_in_tensorflow
from retrace.models.rstg.small_i3d import Bottleneck
from retrace.plan.model import RstgI3d

_INNER = {"res2": 1, "res3": 2, "res4": 4, "res5": 8}
"""Inner channels as a multiple of the first convolution's; a stage puts out four times as many."""

_HEAD = 14
"""Side of the window that the head averages; a larger map has several, whose logits are averaged."""

_LEAST = 32
"""Side of the smallest frames of which something is left."""


class I3d(nn.Module):
    """The backbone; the graphs are added to what comes out of a block of their stage.

    The frames are halved once, after res2, and res5 has no stride: 32 x 224 x 224 becomes 16 x 14 x 14.
    """

    def __init__(self, model: RstgI3d, *, classes: int, channels: int, frames: int, side: int) -> None:
        """Raise UserError if there is too little of a clip."""
        super().__init__()
        if side < _LEAST or frames < 2:
            raise UserError(f"rstg-i3d needs 2 frames of at least {_LEAST} x {_LEAST} pixels")
        width, times = model.width, (pathway.i3d if model.inflated else pathway.c2d)("resnet50")
        res2, res3, res4, res5 = times.stages
        kernel, padding = (times.stem, 7, 7), (times.stem // 2, 3, 3)
        self.conv1 = nn.Conv3d(channels, width, kernel, (1, 2, 2), padding, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.pool1 = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1) if model.padded_pool else 0)
        self.res2 = _stage(model, "res2", width, res2)
        self.pool2 = nn.MaxPool3d((2, 1, 1))
        self.res3 = _stage(model, "res3", 4 * width, res3)
        self.res4 = _stage(model, "res4", 8 * width, res4)
        self.res5 = _stage(model, "res5", 16 * width, res5)
        features = 32 * width
        reads = "vector" in model.places
        self.vector = GraphToVector(model.graph, features, residual=True) if reads else None
        self.dropout = nn.Dropout(model.dropout)
        self.classify = nn.Linear(features, classes)
        self.frozen_norms = model.frozen_norms
        as_in_tensorflow(self)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all layers; frozen norms stay in evaluation, but gain and offset are trained."""
        super().train(mode)
        for layer in self.modules():
            if self.frozen_norms and isinstance(layer, nn.BatchNorm3d):
                layer.eval()
        return self

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Map clips (B, T, C, H, W) to logits (B, classes)."""
        x_BCTHW = self.features(x_BTCHW)
        window = (x_BCTHW.shape[2], *(min(side, _HEAD) for side in x_BCTHW.shape[3:]))
        v_BC = F.avg_pool3d(x_BCTHW, window, stride=1).mean(dim=(2, 3, 4))
        if self.vector is not None:
            v_BC = v_BC + self.vector(x_BCTHW.transpose(1, 2))
        return self.classify(self.dropout(v_BC))

    def features(self, x_BTCHW: Tensor) -> Tensor:
        """Return the features (B, C, T / 2, H / 16, W / 16) of res5."""
        x = self.pool1(F.relu(self.bn1(self.conv1(x_BTCHW.transpose(1, 2)))))
        return self.res5(self.res4(self.res3(self.pool2(self.res2(x)))))


def _stage(model: RstgI3d, name: str, c_in: int, times: Sequence[int]) -> nn.Sequential:
    """Return the blocks of a stage, one for each of `times`, with the graph among them, if it has one."""
    inner = _INNER[name] * model.width
    last = len(times) - (1 if model.after == "stage" else 2)
    blocks = nn.Sequential()
    for index, time in enumerate(times):
        stride = 2 if index == 0 and name in ("res3", "res4") else 1
        blocks.append(Bottleneck(c_in, inner, 4 * inner, stride, time))
        c_in = 4 * inner
        if name in model.places and index == last:
            blocks.append(InVolume(GraphToMap(model.graph, c_in)))
    return blocks
