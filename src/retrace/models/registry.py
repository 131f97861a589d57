"""The one door to every model."""

from torch import nn

from retrace.models.cnn3d import Cnn3d
from retrace.models.convlstm import ConvLstm
from retrace.models.timesformer import TimeSformer
from retrace.plan import spec


def build(model: spec.Model, *, classes: int, channels: int, frames: int, side: int) -> nn.Module:
    """Return a freshly initialised model that maps clips (B, T, C, H, W) in [0, 1] to logits (B, classes).

    Builds on the current default device, so the meta device gives a model without memory.
    Raises UserError if the clips do not suit the model.
    """
    match model:
        case spec.Cnn3d():
            return Cnn3d(
                model.hidden, model.layers, classes=classes, channels=channels, frames=frames, side=side
            )
        case spec.ConvLstm():
            return ConvLstm(model.hidden, model.layers, classes=classes, channels=channels, side=side)
        case spec.TimeSformer():
            return TimeSformer(
                model.hidden,
                model.heads,
                model.layers,
                model.patch,
                classes=classes,
                channels=channels,
                frames=frames,
                side=side,
            )
    raise TypeError(f"no model is built from {model!r}")
