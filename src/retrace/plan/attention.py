"""The blocks of "GTA: Global Temporal Attention": what may stand in a model's joint, space and time place."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from retrace.plan.strict import Strict, mistake

Narrower = Annotated[PositiveInt, Field(description="how many times narrower the block is inside")]


Subsample = Annotated[
    Literal["none", "before", "after"],
    Field(description="2x2 pooling of keys and values: none, before or after their projections"),
]


class Attention(Strict):
    """Dot-product attention with softmax: NL, SA or TA by its place."""

    kind: Literal["attention"]
    reduction: Narrower
    subsample: Subsample


class DotProduct(Strict):
    """The same without softmax, divided by the number of keys."""

    kind: Literal["dot-product"]
    reduction: Narrower
    subsample: Subsample


class Tape(Strict):
    """Temporal attention with a code of the frames (TAPE), or with heads across channels."""

    kind: Literal["tape"]
    reduction: Narrower
    code: Literal["none", "sinusoid", "learned"]
    code_in_values: bool = Field(description="whether the values, too, are taken of x with the code")
    groups: PositiveInt = Field(description="groups of channels for cross-channel heads; 1: without them")


class Gta(Strict):
    """Global temporal attention."""

    kind: Literal["gta"]
    reduction: Narrower
    pixels: bool = Field(description="whether the pixel branch is there")
    region_reduction: PositiveInt | None = Field(
        description="how many regions: the inner width by this; null: no region branch"
    )
    groups: PositiveInt = Field(description="groups of channels, each with its matrix; 1: one for all")
    cross_channel: bool = Field(description="whether every head reads all groups (CCMH) or its own alone")

    @model_validator(mode="after")
    def _has_a_branch(self) -> Self:
        if not self.pixels and self.region_reduction is None:
            raise mistake("without pixels and regions nothing is left of the block", "pixels")
        if self.cross_channel and self.groups == 1:
            raise mistake("one group has no other channels to cross to; it goes with false", "cross_channel")
        return self


class Cgnl(Strict):
    """Compact generalised non-local block."""

    kind: Literal["cgnl"]
    reduction: Narrower
    groups: PositiveInt


class GcNet(Strict):
    """Global context block."""

    kind: Literal["gcnet"]
    reduction: Narrower


class GloRe(Strict):
    """Global reasoning unit."""

    kind: Literal["glore"]
    reduction: Narrower = Field(description="channels by nodes; a node has twice as many states")


class Own(Strict):
    """A block of one's own. What its code does is no part of a run: raise `recipe` when it changes."""

    kind: Literal["own"]
    block: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] = Field(
        description="module:Class, made of channels, frames and the options; maps (B, T, C, H, W) to the same"
    )
    options: dict[str, bool | int | float | str]


AnySet = Attention | Cgnl | GcNet | GloRe
SetBlock = Annotated[AnySet | DotProduct | Own, Field(discriminator="kind")]
AnyBlock = AnySet | DotProduct | Tape | Gta | Own
TimeBlock = Annotated[AnySet | Tape | Gta | Own, Field(discriminator="kind")]


class Blocks(Strict):
    """The blocks at a position, in this order: over all places of all frames, in each frame, over time.

    The decoupled version of a block is one in space and one in time. What is not named is not there.
    """

    joint: SetBlock | None = None
    space: SetBlock | None = None
    time: TimeBlock | None = None

    @model_validator(mode="after")
    def _pools_no_frames(self) -> Self:
        if isinstance(self.time, Attention) and self.time.subsample != "none":
            raise mistake("frames are not pooled; valid over time: none", "time", "subsample")
        return self
