"""What a model is: one type a family, hashed like everything in `spec`, no defaults."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from retrace.plan.attention import Blocks
from retrace.plan.layered import LayeredCnn3d, LayeredConvLstm, TimeSformerVariant
from retrace.plan.strict import Strict, mistake


class Cnn3d(Strict):
    """3D CNN: `layers` equal blocks of `hidden` channels, kernel 3x3x3."""

    family: Literal["cnn3d"]
    hidden: PositiveInt
    layers: PositiveInt


class ConvLstm(Strict):
    """Convolutional LSTM: `layers` equal recurrent blocks of `hidden` channels, kernel 3x3."""

    family: Literal["convlstm"]
    hidden: PositiveInt
    layers: PositiveInt


class TimeSformer(Strict):
    """Divided space-time attention with rotary positions: `heads` heads of width `hidden`."""

    family: Literal["timesformer"]
    hidden: PositiveInt
    heads: PositiveInt
    layers: PositiveInt
    patch: PositiveInt


class TimeSformerVit(Strict):
    """TimeSformer as its own paper has it: a ViT of `layers` blocks, `width` wide, with `heads` heads.

    `attention` is divided with time first, space first or both from the same input; joint; or over space
    only. `drop_path` is the rate of stochastic depth in the last block; it grows linearly from 0.
    """

    family: Literal["timesformer-vit"]
    attention: Literal["time-first", "space-first", "parallel", "joint", "space-only"]
    width: PositiveInt
    layers: PositiveInt
    heads: PositiveInt
    patch: PositiveInt
    mlp_ratio: PositiveInt
    qkv_bias: bool
    drop_path: Annotated[float, Field(ge=0, lt=1)]
    init_std: PositiveFloat = Field(
        description="of weights before a training from random ones; 0.02 in the authors' code, 768 wide"
    )
    time_std: NonNegativeFloat = Field(description="of the table of times, as well; 0 in the authors' code")


class VideoCnn(Strict):
    """Image CNN made to see time, as "Deep Analysis of CNN-based Spatio-temporal Representations" has it."""

    family: Literal["video-cnn"]
    backbone: Literal["inceptionv1", "resnet18", "resnet50", "resnet101"]
    width: PositiveInt = Field(
        description="channels of the first convolution, all others in proportion; 64 in the papers"
    )
    temporal: Literal["none", "i3d", "s3d", "tam", "conv", "tsm", "nonlocal"] = Field(
        description="how frames meet; none is TSN, conv is TAM with matrices in place of one number a channel"
    )
    temporal_pooling: bool = Field(description="whether three times along the network the frames are halved")
    dropout: Annotated[float, Field(ge=0, lt=1)]
    legacy_pool4: bool = Field(
        description="the last pool of I3D-InceptionV1 is 2x2x2 and not padded, as in an older version of the "
        "authors' code: what they print for 8 and 16 frames without temporal pooling is the cost of that one"
    )

    @model_validator(mode="after")
    def _exists(self) -> Self:
        inception = self.backbone == "inceptionv1"
        if inception and self.temporal in ("tsm", "nonlocal"):
            raise mistake(f"'{self.temporal}' goes between residual blocks; inceptionv1 has none", "temporal")
        if self.backbone == "resnet18" and self.temporal == "nonlocal":
            raise mistake("'nonlocal' needs the depth of resnet50 or resnet101", "temporal")
        if inception and self.width % 8:
            raise mistake(f"the width of inceptionv1 is a multiple of 8, not {self.width}", "width")
        if self.legacy_pool4 and not (inception and self.temporal == "i3d"):
            raise mistake("only i3d on inceptionv1 has a 'legacy_pool4'", "legacy_pool4")
        return self


class SpaceTimeGraph(Strict):
    """Graph of "Recurrent Space-time Graph Neural Networks": nodes pooled from each frame's features."""

    width: PositiveInt = Field(description="of node states, messages and LSTMs; 512 in the paper")
    scales: Annotated[int, Field(ge=1, le=4)] = Field(
        description="grids of nodes, from 1x1 to scales x scales cells"
    )
    iterations: PositiveInt = Field(description="exchanges of messages")
    variant: Literal["space-only", "time-only", "homogenous", "one-temporal-stage", "all-temporal-stages"] = (
        Field(
            description="LSTMs: none; one and no messages; none but messages from the frame before; "
            "a last one; one before each exchange and a last one"
        )
    )
    positions: bool = Field(description="whether the senders' and receivers' positions enter the messages")
    adjacency: Literal["soft", "hard", "full"] = Field(
        description="who is no neighbour has a score of 0, no weight, or does not exist"
    )
    gather: Literal["additive", "dot"]
    update: Literal["shared", "per-scale"]
    norm: Literal["none", "batch", "layer"] = Field(
        description="batch: of the nodes at first; layer: of these, of the messages and of the updated nodes"
    )

    @model_validator(mode="after")
    def _exists(self) -> Self:
        if self.variant == "homogenous" and self.norm == "layer":
            raise mistake("messages from the frame before have no layer norm; valid: batch, none", "norm")
        return self


class Rstg(Strict):
    """The network for SyncMNIST: three convolutions a frame, as wide as the graph, and the graph."""

    family: Literal["rstg"]
    graph: SpaceTimeGraph


class RstgI3d(Strict):
    """I3D or C2D ResNet-50 with graphs on its features, for Something-Something."""

    family: Literal["rstg-i3d"]
    width: PositiveInt = Field(
        description="channels of the first convolution, all others in proportion; 64 in the paper"
    )
    inflated: bool = Field(description="whether convolutions see several frames: I3D, or else C2D")
    padded_pool: bool = Field(description="whether the first pool is padded: 56 rows of 224, or else 55")
    graph: SpaceTimeGraph | None = Field(None, description="each place has one of its own; none: no graph")
    places: tuple[Literal["res2", "res3", "res4", "vector"], ...] = Field(
        description="stages whose features a graph is added to; vector: the one that is read from res5"
    )
    after: Literal["stage", "last-but-one-block"] = Field(description="where in a stage its graph stands")
    dropout: Annotated[float, Field(ge=0, lt=1)]
    frozen_norms: bool = Field(
        description="whether in training, too, batch norms go by the statistics that they started with"
    )

    @model_validator(mode="after")
    def _graphs_have_places(self) -> Self:
        if (self.graph is None) == bool(self.places):
            raise mistake("'places' belongs to a 'graph', and a graph needs a place", "places")
        return self


class CnnLstm(Strict):
    """The same convolutions, `extra` more, the mean over space and an LSTM: Mean + LSTM and Conv + LSTM."""

    family: Literal["cnn-lstm"]
    width: PositiveInt
    extra: NonNegativeInt = Field(description="convolutions after the first three: 0 or 3 in the paper")


class SmallI3d(Strict):
    """Inflated ResNet of three stages of two blocks, for SyncMNIST."""

    family: Literal["small-i3d"]
    width: PositiveInt = Field(description="channels of the first convolution, all others in proportion")
    non_local: bool = Field(description="whether a non-local block follows the second stage")


class AttentionCnn(Strict):
    """ResNet on every frame with attention blocks after some residual blocks, as in "GTA"."""

    family: Literal["attention-cnn"]
    backbone: Literal["resnet18", "resnet50", "resnet101"]
    width: PositiveInt = Field(
        description="channels of the first convolution, all others in proportion; 64 in the papers"
    )
    shift: bool = Field(description="whether TSM's shift stands on every residual branch")
    blocks: Blocks
    positions: tuple[str, ...] = Field(description="after which residual blocks, such as layer2.0 (in res3)")
    dropout: Annotated[float, Field(ge=0, lt=1)]


class SinglePathway(Strict):
    """3D ResNet of one pathway, as PySlowFast has it, with attention blocks after some residual blocks.

    C2D sees each frame by itself; in I3D every second block looks around, in Slow those of the last two
    stages. C2D and I3D halve the frames after res2.
    """

    family: Literal["single-pathway"]
    network: Literal["c2d", "i3d", "slow"]
    backbone: Literal["resnet50", "resnet101"]
    width: PositiveInt = Field(
        description="channels of the first convolution, all others in proportion; 64 in the papers"
    )
    blocks: Blocks
    positions: tuple[str, ...] = Field(description="after which residual blocks, such as layer2.1 (in res3)")
    dropout: Annotated[float, Field(ge=0, lt=1)]


_RES4 = {"resnet50": 6, "resnet101": 23}


class SlowFast(Strict):
    """Two pathways: few frames with many channels, many frames with few channels, which feed the first.

    Attention blocks stand in the slow pathway.
    """

    family: Literal["slowfast"]
    backbone: Literal["resnet50", "resnet101"] = Field(description="depth of both pathways")
    width: PositiveInt = Field(
        description="channels of the slow pathway's first convolution, all others in proportion; 64 there"
    )
    alpha: PositiveInt = Field(description="frames of the fast pathway by those of the slow one")
    beta_inverse: PositiveInt = Field(description="channels of the slow pathway by those of the fast one")
    lateral_time: PositiveInt = Field(description="frames that a lateral connection sees; odd")
    slow_res4: NonNegativeInt = Field(
        description="blocks of the slow pathway's res4 that look around, first ones"
    )
    fast_res4: NonNegativeInt = Field(description="the same of the fast pathway")
    blocks: Blocks
    positions: tuple[str, ...] = Field(description="after which residual blocks, such as layer2.1 (in res3)")
    dropout: Annotated[float, Field(ge=0, lt=1)]

    @model_validator(mode="after")
    def _exists(self) -> Self:
        if self.width % self.beta_inverse:
            raise mistake(f"the width is a multiple of 'beta_inverse', {self.beta_inverse}", "width")
        if self.lateral_time % 2 == 0:
            raise mistake("a kernel that is centred on a frame is odd", "lateral_time")
        for key in ("slow_res4", "fast_res4"):
            if getattr(self, key) > _RES4[self.backbone]:
                raise mistake(f"res4 of {self.backbone} has {_RES4[self.backbone]} blocks", key)
        return self


Model = Annotated[
    Cnn3d
    | ConvLstm
    | TimeSformer
    | LayeredCnn3d
    | LayeredConvLstm
    | TimeSformerVariant
    | TimeSformerVit
    | VideoCnn
    | AttentionCnn
    | SinglePathway
    | SlowFast
    | Rstg
    | RstgI3d
    | CnnLstm
    | SmallI3d,
    Field(discriminator="family"),
]
