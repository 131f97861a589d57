"""The types of a dataset's page: what the files in datasets/ may say."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, RootModel, model_validator

from retrace.plan.composition import Segmented
from retrace.plan.spec import Generator
from retrace.plan.strict import NAME, Name, Strict, mistake, nearest
from retrace.plan.video import Cut, FlipRule, Format, SplitName, Store, VideoGenerator


class Page(Strict):
    """What every dataset's page says: one version of one dataset."""

    title: str
    version: PositiveInt
    origin: str
    access: str = Field(description="how access is granted, and where to ask for it")
    licence: str


class Dataset(Page):
    """Generated clips of one size, stored as arrays."""

    kind: Literal["clips"]
    flip: Literal["forbid", "allow"]
    classes: tuple[str, ...]
    frames: PositiveInt
    side: PositiveInt
    channels: Literal[1, 3]
    splits: dict[SplitName, PositiveInt]
    generator: Generator


class ClassList(Strict):
    """A file in datasets/classes, and what it has to hold."""

    file: Annotated[str, Field(pattern=NAME)]
    count: PositiveInt
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Expected(Strict):
    """How many videos one split has: by the official annotation, and as the papers print it."""

    videos: PositiveInt
    published: PositiveInt | None = Field(None, description="as printed, rounded as printed")


class Files(Strict):
    """What lies where below the folder of the user. The first alternative that exists is taken."""

    format: Format
    annotations: dict[SplitName, tuple[str, ...]]
    labels: tuple[str, ...] = Field((), description="the publisher's own list of labels, if there is one")
    videos: tuple[str, ...] = Field(
        description="paths of a video, with {id}, {class}, {split}, {start}, {end} filled in; the first found"
    )


class TestView(Strict):
    """How the papers usually ask a trained model about a video."""

    clips: PositiveInt
    crops: PositiveInt
    papers: tuple[Name, ...]


class VideoDataset(Page):
    """Videos as their publishers give them out, or generated in the same format."""

    kind: Literal["videos"]
    flip: FlipRule
    mirror: tuple[tuple[str, str], ...] = Field(
        (), description="for `relabel`: pairs of classes that a flip swaps"
    )
    fps: PositiveFloat = Field(description="usual frames per second")
    views: tuple[TestView, ...]
    classes: ClassList
    files: Files
    splits: dict[SplitName, Expected]
    holdout: Cut | None = Field(
        None, description="a split without an annotation; none: all are the publisher's"
    )
    generator: VideoGenerator | None = None
    segmented: Segmented | None = Field(
        None, description="how the videos are made of another dataset's; none: they are there"
    )
    store: Store
    shards: PositiveInt = Field(description="jobs that extraction is cut into, whatever the number of videos")

    @model_validator(mode="after")
    def _mirror_goes_with_relabel(self) -> Self:
        if (self.flip == "relabel") != bool(self.mirror):
            key = "mirror" if self.mirror else "flip"
            raise mistake("'mirror' belongs to flip 'relabel', and relabelling needs it", key)
        return self

    @model_validator(mode="after")
    def _held_out_is_counted(self) -> Self:
        if self.holdout is not None:
            new, old = self.holdout.split, self.holdout.of
            if new not in self.splits:
                raise mistake(f"'splits' does not count '{new}', which is held out", "splits")
            if new in self.files.annotations:
                raise mistake(f"'{new}' has an annotation of its own", "holdout", "split")
            if old not in self.splits:
                raise mistake(f"there is no split '{old}'; {nearest(old, self.splits)}", "holdout", "of")
        return self

    def annotated(self) -> dict[SplitName, int]:
        """Return how many videos each annotation lists, those that are held out among them."""
        counts = {split: found.videos for split, found in self.splits.items()}
        if self.holdout is not None:
            counts[self.holdout.of] += counts.pop(self.holdout.split)
        return counts

    @model_validator(mode="after")
    def _made_in_one_way(self) -> Self:
        if self.generator is not None and self.segmented is not None:
            raise mistake("videos are generated or made of another dataset's, not both", "segmented")
        return self


class Subset(Page):
    """Some classes of another dataset: drawn at random, or listed."""

    kind: Literal["subset"]
    of: Name
    classes: ClassList | PositiveInt = Field(description="a list, or how many to draw with `seed`")
    seed: NonNegativeInt | None = Field(None, description="decides which classes and videos are drawn")
    per_class: dict[SplitName, PositiveInt] | None = Field(
        None, description="the most videos kept of each class"
    )
    splits: dict[SplitName, Expected]
    shards: PositiveInt

    @model_validator(mode="after")
    def _draws_have_a_seed(self) -> Self:
        drawn = isinstance(self.classes, int) or self.per_class is not None
        if drawn != (self.seed is not None):
            key = "classes" if self.seed is None else "seed"
            raise mistake("'seed' belongs to what is drawn: a number of classes, or 'per_class'", key)
        return self


class LabelledFrames(Page):
    """Single frames with a mask of every diver, to train a segmenter on."""

    kind: Literal["masks"]
    of: Name | None = Field(
        None, description="the generated videos that they are frames of; none: they are the user's own"
    )
    train: PositiveInt
    val: PositiveInt
    seed: NonNegativeInt = Field(description="of torch's `random_split` into the two")


class DatasetPage(
    RootModel[Annotated[Dataset | VideoDataset | Subset | LabelledFrames, Field(discriminator="kind")]]
):
    """Any dataset's page."""
