"""What is computed from videos: collections, how their frames are stored, how clips are taken.

Like `spec`, these types are hashed and have no defaults; where a user keeps the files has no place here.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from retrace.plan.composition import Composed
from retrace.plan.strict import Fraction, Name, Strict, absent, mistake

SplitName = Literal["train", "val", "test"]
FlipRule = Literal["forbid", "allow", "relabel"]
Format = Literal["kinetics", "something-v1", "something-v2", "moments", "diving48"]


class H264(Strict):
    """Short closed groups of pictures without B-frames: small files, and any frame is near a key frame."""

    name: Literal["h264"]
    crf: Annotated[int, Field(ge=0, le=51)] = Field(description="constant rate factor, 0 is lossless")
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium"]
    keyframe_interval: PositiveInt = Field(description="frames from one key frame to the next")


class Mjpeg(Strict):
    """Every frame a JPEG: the practice of the papers, large files."""

    name: Literal["mjpeg"]
    qscale: Annotated[int, Field(ge=1, le=31)] = Field(description="FFmpeg's quantiser scale, 1 is best")


Codec = Annotated[H264 | Mjpeg, Field(discriminator="name")]


class Store(Strict):
    """How the frames of every video are stored: one file a video."""

    short_side: Annotated[int, Field(gt=0, multiple_of=2)] = Field(
        description="pixels of the shorter side; the aspect is kept"
    )
    codec: Codec


Even = Annotated[int, Field(ge=16, multiple_of=2)]
"""A side in pixels that every codec takes."""


class Scene(Strict):
    """What the generators of videos have in common. `frames` is the range of a video's length."""

    seed: NonNegativeInt = Field(description="the dataset seed; a video also depends on its split and index")
    frames: tuple[PositiveInt, PositiveInt] = Field(description="shortest and longest video")
    width: Even
    height: Even
    fps: tuple[PositiveInt, ...] = Field(min_length=1, description="a video has one of these frame rates")
    clutter: NonNegativeInt = Field(description="objects that move about and mean nothing")

    @model_validator(mode="after")
    def _shortest_first(self) -> Self:
        if self.frames[0] > self.frames[1]:
            raise mistake("the shortest length comes first", "frames")
        return self


class Motion(Scene):
    """Classes that differ by the order of what happens alone: a single frame carries nothing."""

    kind: Literal["motion"]
    start: Fraction = Field(
        description="a video begins up to this share of its round behind the first event; 1: anywhere in it"
    )


class Appearance(Scene):
    """Classes that differ by what is to be seen: a single frame is enough."""

    kind: Literal["appearance"]


class Divers(Scene):
    """An articulated figure that dives into a textured pool, with known instance masks and boxes."""

    kind: Literal["divers"]
    pairs: Fraction = Field(description="share of the videos with two divers")
    halls: Fraction = Field(
        description="share of the videos that are filmed in a hall of their class: a cue that no diver gives"
    )
    labelled: NonNegativeInt = Field(description="training videos of which one frame has its masks written")


VideoGenerator = Annotated[Motion | Appearance | Divers, Field(discriminator="kind")]


class Footage(Strict):
    """The videos of one dataset version and how their frames are stored: shared by all sets made of it."""

    dataset: Name
    version: PositiveInt
    format: Format
    generator: VideoGenerator | None
    classes: tuple[str, ...] | None = Field(description="what to generate; none where nothing is")
    videos: dict[SplitName, NonNegativeInt] | None = Field(description="how many to generate of each split")
    store: Store
    composed: Composed | None = Field(None, exclude_if=absent)


class Cut(Strict):
    """A split that the publishers do not have: some videos of another one, by torch's `random_split`."""

    split: SplitName
    of: SplitName
    seed: NonNegativeInt

    @model_validator(mode="after")
    def _is_of_another(self) -> Self:
        if self.split == self.of:
            raise mistake("a split is held out of another one", "of")
        return self


class Holdout(Cut):
    """The same, resolved: the last `videos` of the draw are the new split's, and no longer the old one's."""

    videos: PositiveInt


class Collection(Strict):
    """One version of one dataset of videos: which classes of which footage, in the order of the labels."""

    dataset: Name
    version: PositiveInt
    classes: tuple[str, ...]
    per_class: dict[SplitName, PositiveInt] | None = Field(
        description="the most videos kept of a class, the first by a draw with `seed`; none: all"
    )
    seed: NonNegativeInt | None
    flip: FlipRule = Field(
        description="whether a mirrored video keeps its class, takes its partner's, or is none"
    )
    mirror: tuple[tuple[str, str], ...] = Field(description="for `relabel`: the pairs that a flip swaps")
    footage: Footage
    holdout: Holdout | None = Field(None, exclude_if=absent)


class VideoSplit(Strict):
    """The videos of one split of a collection."""

    collection: Collection
    split: SplitName

    @property
    def dataset(self) -> str:
        """Return the name of the dataset."""
        return self.collection.dataset

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the classes in the order of the labels."""
        return self.collection.classes
