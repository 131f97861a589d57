"""Domains made of a dataset's own videos: what becomes of the divers that a segmenter finds, and the rest."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from retrace.plan.strict import Fraction, Name, Strict, mistake

Level = Annotated[int, Field(ge=0, le=255)]


class BlurElsewhere(Strict):
    """The found region stays as it is, all around it is blurred."""

    kind: Literal["blur-elsewhere"]
    kernel: PositiveInt = Field(description="its side in pixels, an odd number")
    sigma: PositiveFloat

    @model_validator(mode="after")
    def _has_a_middle(self) -> Self:
        if self.kernel % 2 == 0:
            raise mistake(
                f"a kernel has a pixel in its middle, so its side is odd, not {self.kernel}", "kernel"
            )
        return self


class PaintOver(Strict):
    """The found region takes one colour, all around it stays as it is."""

    kind: Literal["paint-over"]
    colour: tuple[Level, Level, Level] = Field(description="red, green, blue")


class Composition(Strict):
    """How videos are composed: where a diver is, what becomes of there and elsewhere, how it is encoded."""

    threshold: Fraction = Field(description="a pixel belongs to an instance whose mask is above this there")
    instances: PositiveInt | None = Field(description="the most in a frame, by score; none: all")
    effect: Annotated[BlurElsewhere | PaintOver, Field(discriminator="kind")]
    bit_rate: PositiveInt = Field(description="of the composed videos, MPEG-4, in bits a second")


class Segmented(Composition):
    """What a page says of videos that are composed here: `by` is the segmenter, and so whose videos."""

    by: Name


class Composed(Composition):
    """The same, resolved: which pass of which segmenter over which videos."""

    detections: str = Field(description="hash of the pass (`Detection`)")
