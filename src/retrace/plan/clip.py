"""How a clip is taken from a video: which frames, which part of them, at what size, normalised how.

Like `spec`, these types are hashed and have no defaults; each states what one of the five papers does
and no more. `data.sampling` and `data.transforms` say what the words mean, formula by formula.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from retrace.plan.strict import Fraction, Strict, mistake
from retrace.plan.video import FlipRule

Flips = tuple[int | None, ...]
"""What each label becomes when its clip is flipped; None where it must not be."""


class Frames(Strict):
    """What every sampling has: the number of frames of a clip."""

    most_clips: ClassVar[int | None] = None
    """How many clips of one video the source defines for tests; none: any number."""

    frames: PositiveInt = Field(description="frames of a clip")


class Uniform(Frames):
    """The whole video in equal segments, a frame of each: in training one offset for all (Deep Analysis)."""

    kind: Literal["uniform"]


class UniformTest(Uniform):
    """The middle frames of the segments; further clips are shifted by whole frames."""

    shifts: Literal["code", "paper"] = Field(
        description="of m clips: -m/2+1 to m/2 as in the authors' code, or -m/2 to m/2-1 as printed"
    )


class Dense(Frames):
    """Every `stride`-th frame from some start, round to the first frame again where the video ends."""

    kind: Literal["dense"]
    stride: PositiveInt = Field(description="frames of the video from one frame of the clip to the next")


class Segments(Frames):
    """Equal segments, each with its own random offset in training (TSN, TSM); two clips in tests."""

    most_clips = 2
    kind: Literal["segments"]


class Span(Frames):
    """Spread over `frames * stride` frames at a reference rate (SlowFast and TimeSformer on Kinetics)."""

    kind: Literal["span"]
    stride: PositiveInt = Field(
        description="frames at the reference rate that one frame of the clip stands for"
    )
    fps: PositiveFloat = Field(description="the reference rate in frames per second")


class SpanTest(Span):
    """The spans of one video in a test."""

    place: Literal["spread", "middle"] = Field(
        description="clip k of m starts at k/m of the room, so one is the first; or one in the middle"
    )


class Intervals(Frames):
    """A frame of each interval between `frames + 1` rounded bounds (PySlowFast on Something-Something)."""

    most_clips = 1
    kind: Literal["intervals"]


class Even(Frames):
    """From the first frame to the last in equal steps, also in training (RAC; RSTG, with two clips)."""

    most_clips = 2
    kind: Literal["even"]
    rounding: Literal["half-even", "floor"]


Sampling = Annotated[Uniform | Dense | Segments | Span | Intervals | Even, Field(discriminator="kind")]
TestSampling = Annotated[
    UniformTest | Dense | Segments | SpanTest | Intervals | Even, Field(discriminator="kind")
]


class ShortSide(Strict):
    """Resize so that the shorter side has this many pixels; the aspect is kept."""

    kind: Literal["short-side"]
    pixels: PositiveInt


class Exact(Strict):
    """Resize to this size, whatever the aspect."""

    kind: Literal["exact"]
    height: PositiveInt
    width: PositiveInt


Resize = Annotated[ShortSide | Exact, Field(discriminator="kind")]


class MultiScale(Strict):
    """TSN's crop: one of 13 places, each side one of `scales` of the shorter side, resized to the square."""

    kind: Literal["multi-scale"]
    scales: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        min_length=1, description="the scales of width and height are neighbours in this list, or the same"
    )


class Jitter(Strict):
    """Resize the shorter side to a random length, then a random crop."""

    kind: Literal["jitter"]
    shortest: PositiveInt
    longest: PositiveInt
    draw: Literal["integer", "real", "inverse"] = Field(
        description="uniform over integers; over reals, rounded; or the inverse is uniform, rounded"
    )


class RandomCrop(Strict):
    """A square anywhere in the resized frame."""

    kind: Literal["random"]


class Whole(Strict):
    """No crop: the frame was resized to the square."""

    kind: Literal["whole"]


TrainCrop = Annotated[MultiScale | Jitter | RandomCrop | Whole, Field(discriminator="kind")]


class Centre(Strict):
    kind: Literal["centre"]
    offset: Literal["round", "ceil"] = Field(
        description="of an odd margin: half to even, or PySlowFast's ceiling"
    )


class Three(Strict):
    """Both ends and the middle of the long side."""

    kind: Literal["three"]
    offset: Literal["quarters", "ceil"] = Field(
        description="whole quarters of the margin (TSN, TSM, Deep Analysis), or PySlowFast's exact ends"
    )


class Row(Strict):
    """Evenly spaced along the long side (RSTG)."""

    kind: Literal["row"]
    count: PositiveInt


TestCrops = Annotated[Centre | Three | Row | Whole, Field(discriminator="kind")]


class Flip(Strict):
    """Mirror the whole clip, left to right."""

    probability: Fraction
    rule: Literal["always", "page", "unpaired"] = Field(
        description="any class, its label kept; as the page says; or only classes that are their own mirror"
    )


class Normalisation(Strict):
    """What is taken from the values in 0..1, and what they are divided by then."""

    mean: tuple[Fraction, Fraction, Fraction]
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat]


class Pixels(Strict):
    """What clips have in common in training and tests. `mean` and `std` are of values in 0..1."""

    side: PositiveInt = Field(description="height and width of a clip")
    filter: Literal["bilinear", "bicubic"]
    antialias: bool = Field(description="smooth before shrinking, as PIL does")
    colour: Literal["rgb", "bgr"] = Field(description="order of the channels that the model sees")
    mean: tuple[Fraction, Fraction, Fraction]
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat]


class TrainClip(Pixels):
    """How a clip is taken for training: one a video and epoch."""

    sampling: Sampling
    resize: Resize | None = Field(description="before the crop; none: the frames as stored")
    crop: TrainCrop
    flip: Flip | None
    brightness: Fraction = Field(
        description="the most that is added or taken away, of the full scale; 0: none"
    )

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        match self.crop:
            case Jitter(shortest=shortest, longest=longest):
                if self.resize is not None:
                    raise mistake("'jitter' resizes the frames itself: 'resize' must be null", "resize")
                if not self.side <= shortest <= longest:
                    raise mistake(f"expected side {self.side} <= shortest <= longest", "crop")
            case RandomCrop() if self.resize is None:
                raise mistake("a random crop needs 'resize', so that it fits every video", "resize")
            case RandomCrop() | Whole():
                _check_fit(self.resize, self.crop, self.side)
        return self


class TestClip(Pixels):
    """How a trained model is shown a video: `clips` in time, `crops` of each; their scores are averaged."""

    sampling: TestSampling
    clips: PositiveInt
    resize: Resize
    crops: TestCrops

    @property
    def shown(self) -> int:
        """Return how many clips and crops of a video are shown."""
        match self.crops:
            case Three():
                return 3 * self.clips
            case Row(count=count):
                return count * self.clips
        return self.clips

    @model_validator(mode="after")
    def _crops_fit(self) -> Self:
        _check_fit(self.resize, self.crops, self.side)
        return self

    @model_validator(mode="after")
    def _clips_are_defined(self) -> Self:
        middle = isinstance(self.sampling, SpanTest) and self.sampling.place == "middle"
        most = 1 if middle else self.sampling.most_clips
        if most is not None and self.clips > most:
            kind = f"'{self.sampling.kind}'" + (" in the middle" if middle else "")
            raise mistake(f"{kind} defines at most {most} of a video, not {self.clips}", "clips")
        return self


def flips(classes: Sequence[str], rule: FlipRule, pairs: Sequence[tuple[str, str]]) -> Flips:
    """Return what the page of a dataset, with its `rule` and mirrored `pairs`, says of each label.

    A class whose partner is not among `classes`, as can happen in a subset, must not be flipped: the
    clip would show a class that is not there.
    """
    if rule == "forbid":
        return (None,) * len(classes)
    label = {name: index for index, name in enumerate(classes)}
    partner = {a: b for pair in pairs for a, b in (pair, pair[::-1])}
    return tuple(label.get(partner.get(name, name)) for name in classes)


def _check_fit(resize: ShortSide | Exact | None, crop: Strict, side: int) -> None:
    if isinstance(crop, Whole):
        if not (isinstance(resize, Exact) and resize.height == resize.width == side):
            raise mistake(f"without a crop, 'resize' must be exact, {side} by {side}", "resize")
        return
    assert resize is not None
    smallest = resize.pixels if isinstance(resize, ShortSide) else min(resize.height, resize.width)
    if smallest < side:
        raise mistake(f"a crop of {side} does not fit frames with a side of {smallest}", "side")
