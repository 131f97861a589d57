"""What a model is: one type a family, hashed like everything in `spec`, no defaults."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from retrace.plan.strict import Strict


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


Model = Annotated[Cnn3d | ConvLstm | TimeSformer, Field(discriminator="family")]
