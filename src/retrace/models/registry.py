"""The one door to every model."""

from torch import nn

from retrace.models.attention_cnn import AttentionCnn
from retrace.models.cnn3d import Cnn3d
from retrace.models.convlstm import ConvLstm
from retrace.models.rstg.i3d import I3d
from retrace.models.rstg.networks import CnnLstm, RstgNet
from retrace.models.rstg.small_i3d import SmallI3d
from retrace.models.slowfast import SinglePathway, SlowFast
from retrace.models.timesformer import TimeSformer
from retrace.models.timesformer_vit import TimeSformerVit
from retrace.models.video_cnn import VideoCnn
from retrace.plan import model as kinds


def build(model: kinds.Model, *, classes: int, channels: int, frames: int, side: int) -> nn.Module:
    """Return a freshly initialised model that maps clips (B, T, C, H, W) in [0, 1] to logits (B, classes).

    Builds on the current default device, so the meta device gives a model without memory.
    Raises UserError if the clips do not suit the model.
    """
    clip = {"classes": classes, "channels": channels, "frames": frames, "side": side}
    match model:
        case kinds.Cnn3d():
            layers = range(1, model.layers + 1)
            hidden, kernels = [model.hidden] * len(layers), [3] * len(layers)
            return Cnn3d(hidden, kernels, layers, pool_padding=0, **clip)
        case kinds.LayeredCnn3d():
            return Cnn3d(model.hidden, model.kernels, model.pools, pool_padding=model.pool_padding, **clip)
        case kinds.ConvLstm():
            hidden, kernels = [model.hidden] * model.layers, [3] * model.layers
            return ConvLstm(hidden, kernels, stride=1, reads_all=False, **clip)
        case kinds.LayeredConvLstm():
            return ConvLstm(model.hidden, model.kernels, stride=model.stride, reads_all=True, **clip)
        case kinds.TimeSformer():
            width = model.heads * model.hidden
            return TimeSformer(width, model.heads, model.hidden, model.layers, model.patch, **clip)
        case kinds.TimeSformerVariant():
            return TimeSformer(
                model.width,
                model.heads,
                model.head_width,
                model.layers,
                model.patch,
                attention_dropout=model.attention_dropout,
                ff_dropout=model.ff_dropout,
                extra_linear=model.extra_linear,
                **clip,
            )
        case kinds.TimeSformerVit():
            return TimeSformerVit(model, classes=classes, channels=channels, frames=frames, side=side)
        case kinds.VideoCnn():
            return VideoCnn(model, classes=classes, channels=channels, frames=frames, side=side)
        case kinds.AttentionCnn():
            return AttentionCnn(model, classes=classes, channels=channels, frames=frames)
        case kinds.SinglePathway():
            return SinglePathway(model, classes=classes, channels=channels, frames=frames, side=side)
        case kinds.SlowFast():
            return SlowFast(model, classes=classes, channels=channels, frames=frames, side=side)
        case kinds.Rstg():
            return RstgNet(model.graph, classes=classes, channels=channels, side=side)
        case kinds.RstgI3d():
            return I3d(model, classes=classes, channels=channels, frames=frames, side=side)
        case kinds.CnnLstm():
            return CnnLstm(model.width, model.extra, classes=classes, channels=channels, side=side)
        case kinds.SmallI3d():
            return SmallI3d(model.width, model.non_local, classes=classes, channels=channels, side=side)
    raise TypeError(f"no model is built from {model!r}")
