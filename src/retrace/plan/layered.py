"""The models of "Recur, Attend or Convolve?" for Diving48, which differ from layer to layer.

Those for Temporal Shape, in `retrace.plan.model`, say less. Like them these are hashed and have no defaults.
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from retrace.plan.strict import Strict, mistake


def _odd(size: int) -> int:
    if size % 2 == 0:
        raise mistake(f"a kernel has a middle, so its side is odd, not {size}")
    return size


Kernel = Annotated[PositiveInt, AfterValidator(_odd)]
Dropout = Annotated[float, Field(ge=0, lt=1)]


class Layered(Strict):
    """Blocks of a convolution each."""

    hidden: tuple[PositiveInt, ...] = Field(min_length=1, description="channels of each layer")
    kernels: tuple[Kernel, ...] = Field(description="side of each layer's kernel")

    @model_validator(mode="after")
    def _a_kernel_a_layer(self) -> Self:
        if len(self.kernels) != len(self.hidden):
            raise mistake(f"{len(self.kernels)} kernels for {len(self.hidden)} layers", "kernels")
        return self


class LayeredCnn3d(Layered):
    """3D CNN; kernels are as long in time as they are high."""

    family: Literal["layered-cnn3d"]
    pools: tuple[PositiveInt, ...] = Field(
        description="the layers, from 1, after which time, height and width are halved"
    )
    pool_padding: Literal[0, 1]

    @model_validator(mode="after")
    def _pools_follow_layers(self) -> Self:
        if list(self.pools) != sorted(set(self.pools)):
            raise mistake("layers stand in their order, each once", "pools")
        if self.pools and self.pools[-1] > len(self.hidden):
            raise mistake(f"there is no layer {self.pools[-1]}; there are {len(self.hidden)}", "pools")
        return self


class LayeredConvLstm(Layered):
    """Convolutional LSTM that shows the classifier all of its frames."""

    family: Literal["layered-convlstm"]
    stride: PositiveInt = Field(
        description="of the convolutions of the input; those of the state have stride 1"
    )


class TimeSformerVariant(Strict):
    """Divided space-time attention with rotary positions, as trained from scratch (supplement, section 8)."""

    family: Literal["timesformer-variant"]
    width: PositiveInt = Field(description="of a token; the paper's D")
    head_width: PositiveInt = Field(description="the paper's D_h")
    heads: PositiveInt
    layers: PositiveInt
    patch: PositiveInt
    attention_dropout: Dropout = Field(description="of what an attention puts out")
    ff_dropout: Dropout = Field(description="of the hidden units of a feed-forward")
    extra_linear: bool = Field(description="whether one more linear layer reads the predictions")
