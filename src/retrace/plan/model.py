"""What a model is: one type a family, hashed like everything in `spec`, no defaults."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

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


class VideoCnn(Strict):
    """Image CNN made to see time, as "Deep Analysis of CNN-based Spatio-temporal Representations" has it."""

    family: Literal["video-cnn"]
    backbone: Literal["inceptionv1", "resnet18", "resnet50", "resnet101"]
    width: PositiveInt = Field(
        description="channels of the first convolution, all others in proportion; 64 in the papers"
    )
    temporal: Literal["none", "i3d", "s3d", "tam", "conv", "tsm", "nonlocal"] = Field(
        description="how frames meet; none is TSN, conv is TAM with full matrices in place of one number a channel"
    )
    temporal_pooling: bool = Field(description="whether three times along the network the frames are halved")
    dropout: Annotated[float, Field(ge=0, lt=1)]
    legacy_pool4: bool = Field(
        description="the last pool of I3D-InceptionV1 is 2x2x2 and not padded, as in the older version of the "
        "authors' code: the costs that they print for 8 and 16 frames without temporal pooling are its costs"
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


Model = Annotated[Cnn3d | ConvLstm | TimeSformer | TimeSformerVit | VideoCnn, Field(discriminator="family")]
