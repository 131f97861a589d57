"""What is computed: splits, models, protocols, runs and views, fully resolved.

These are the types that are hashed (see `identity`). None has a default: a value that matters
stands on a page or in a scale, never in code. Hardware (devices, workers, paths) has no place here.
"""

from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from retrace.plan.clip import TestClip, TrainClip
from retrace.plan.model import Model
from retrace.plan.strict import Fraction, Name, Strict, absent, mistake
from retrace.plan.video import VideoSplit


class TemporalShape(Strict):
    """The generator of "Recur, Attend or Convolve?", one appearance domain."""

    kind: Literal["temporal_shape"]
    symbol: Literal["dot", "digit"]
    size: PositiveInt = Field(description="nominal side of the symbol in pixels of the 64x64 frame")
    digits: Literal["mnist", "scikit-learn"] | None = Field(description="where digits come from")
    background: Fraction = Field(description="intensity of the Perlin noise behind the symbol, 0 for black")
    noise_seeds: PositiveInt = Field(description="each frame's noise seed is drawn from 1..noise_seeds")
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] = Field(description="each frame goes once through JPEG")
    seed: NonNegativeInt = Field(description="the dataset seed; a clip also depends on its split and index")


class SyncMnist(Strict):
    """The generator of "Recurrent Space-time Graph Neural Networks": digits that walk, two of them alike."""

    kind: Literal["sync_mnist"]
    digits: Literal["mnist", "scikit-learn"] = Field(description="where digits come from")
    kinds: Annotated[int, Field(ge=2, le=10)] = Field(description="the digits that occur: 0 to kinds - 1")
    count: Annotated[int, Field(ge=2, le=10)] = Field(description="digits in a video, all different")
    canvas: PositiveInt = Field(description="side in pixels of what the 28x28 digits are drawn on")
    step: PositiveInt = Field(description="from one frame to the next an axis moves by -step..step-1 pixels")
    ink: Annotated[int, Field(ge=1, le=255)] = Field(description="grey level from which a digit is opaque")
    unpaired: PositiveInt = Field(description="one video in so many has no pair")
    seed: NonNegativeInt = Field(description="the dataset seed; a clip also depends on its split and index")

    @model_validator(mode="after")
    def _enough_kinds(self) -> Self:
        if self.count > self.kinds:
            raise mistake(f"a video of {self.count} different digits needs as many kinds", "count")
        return self


Generator = Annotated[TemporalShape | SyncMnist, Field(discriminator="kind")]


class Split(Strict):
    """One split of one dataset version at one size: the unit in which data is made and stored."""

    dataset: Name
    version: PositiveInt
    split: Literal["train", "val", "test"]
    clips: PositiveInt
    frames: PositiveInt
    side: PositiveInt = Field(description="height and width in pixels, as stored")
    channels: Literal[1, 3]
    classes: tuple[str, ...]
    generator: Generator


class Sgd(Strict):
    name: Literal["sgd"]
    lr: PositiveFloat
    momentum: Fraction
    weight_decay: NonNegativeFloat


class Adam(Strict):
    name: Literal["adam"]
    lr: PositiveFloat
    weight_decay: NonNegativeFloat


class GroupedSgd(Strict):
    """SGD whose rate and weight decay differ by what a parameter is for, as TSM and PySlowFast have it."""

    name: Literal["grouped-sgd"]
    lr: PositiveFloat
    momentum: Fraction
    nesterov: bool
    weight_decay: NonNegativeFloat
    norm_decay: bool = Field(description="whether the scale and shift of normalisations decay")
    bias_decay: bool = Field(description="whether the biases of other layers decay")
    bias_lr: PositiveFloat = Field(description="their learning rate, as a multiple")
    classifier_lr: PositiveFloat = Field(
        description="that of the classifier, as a multiple; its bias has both"
    )
    clip_norm: PositiveFloat | None = Field(description="the most that the norm of the whole gradient may be")


Optimizer = Annotated[Sgd | GroupedSgd | Adam, Field(discriminator="name")]


class VideoSgd(Sgd):
    """Stochastic gradient descent as runs on videos state it; those on clips go by `Sgd` and have no more."""

    nesterov: bool

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Self:
        if self.nesterov and not self.momentum:
            raise mistake("Nesterov's momentum needs a 'momentum' above 0", "nesterov")
        return self


VideoOptimizer = Annotated[VideoSgd | GroupedSgd | Adam, Field(discriminator="name")]


class Steps(Strict):
    """The learning rate times `factor` at the beginning of each of some epochs, counted from 0."""

    kind: Literal["steps"]
    at: tuple[PositiveInt, ...]
    factor: Fraction


class EpochCosine(Strict):
    """From `warm_up_from` in a line over the first epochs, then half a cosine to 0; moves once an epoch."""

    kind: Literal["epoch-cosine"]
    warm_up: NonNegativeInt = Field(description="epochs")
    warm_up_from: NonNegativeFloat = Field(description="learning rate at the start of the warm-up")


class WarmUp(Strict):
    """A straight line, moving every step, to where another schedule is by then; and then that one."""

    kind: Literal["warm-up"]
    epochs: PositiveFloat
    start: NonNegativeFloat = Field(description="learning rate of the first step")
    then: Literal["constant", "cosine"] | Steps = Field(
        description="counted from the beginning, not the end, of the line"
    )


Schedule = (
    Literal["constant", "cosine"] | Annotated[Steps | EpochCosine | WarmUp, Field(discriminator="kind")]
)


class Protocol(Strict):
    """How a model is trained."""

    optimizer: Optimizer
    schedule: Schedule
    batch: PositiveInt = Field(description="clips per step, over all devices together")
    drop_last: bool
    epochs: PositiveInt = Field(description="the most epochs")
    patience: PositiveInt = Field(description="epochs without a better validation top-1 before stopping")
    select: Literal["best_val", "last"] = Field(description="which epoch's weights are kept")
    autocast: Literal["bfloat16", "none"] = Field(
        description="reduced precision on GPUs; a CPU computes in float32"
    )


class VideoProtocol(Protocol):
    """How a model is trained on videos, and how clips are taken from them."""

    optimizer: VideoOptimizer
    weights: Literal["random", "imagenet", "image-vit", "image-vit-flat-nearest"] = Field(
        description="where a run without a parent starts; image-vit, for TimeSformers: a ViT of their sizes, "
        "its table of positions resized over rows and columns, or flat as the authors' code does it"
    )
    norm_batch: PositiveInt | None = Field(
        description="clips over which one batch normalisation takes its statistics; none: the whole batch, "
        "or the model has no such layers in training"
    )
    train_clip: TrainClip
    val_clip: TestClip = Field(description="what is shown of each validation video after every epoch")
    matched: tuple[Fraction, ...] | None = Field(
        None,
        min_length=1,
        exclude_if=absent,
        description="validation accuracies; of the epoch nearest to each the weights are kept, too",
    )

    @model_validator(mode="after")
    def _matched_once(self) -> Self:
        if len(set(self.matched or ())) < len(self.matched or ()):
            raise mistake("an accuracy stands there twice", "matched")
        return self


def matched(protocol: Protocol) -> tuple[float, ...]:
    """Return the validation accuracies at which `protocol` keeps weights besides those of the end."""
    return (protocol.matched or ()) if isinstance(protocol, VideoProtocol) else ()


class Task(NamedTuple):
    """What a model is built for: the shape of its clips, and its classes in the order of the labels."""

    channels: int
    frames: int
    side: int
    classes: tuple[str, ...]


class Run(Strict):
    """One training: a model, its data, its protocol, a seed and, if it starts from another run, that run."""

    recipe: PositiveInt = Field(description="raised by hand when the computation itself changes")
    model: Model
    train: Split | VideoSplit
    val: Split | VideoSplit
    protocol: Protocol | VideoProtocol
    seed: NonNegativeInt
    parent: str | None = Field(description="hash of the run whose weights this one starts from")

    @property
    def task(self) -> Task:
        """Return what the model is trained for."""
        if isinstance(self.train, Split):
            return Task(self.train.channels, self.train.frames, self.train.side, self.train.classes)
        assert isinstance(self.protocol, VideoProtocol)
        clip = self.protocol.train_clip
        return Task(3, clip.sampling.frames, clip.side, self.train.classes)


Average = Annotated[
    Literal["logits", "softmax"], Field(description="of what the mean over several clips and crops is taken")
]


class View(Strict):
    """How a trained model is asked: each domain is a split, each clip is shown in one frame order."""

    name: Name
    order: Literal["forward", "reversed", "shuffled", "single"]
    domains: dict[Name, Split]


class Matched(Strict):
    """Which weights of a run are asked: those of the epoch that came nearest to a validation accuracy."""

    accuracy: Fraction = Field(description="one of those that the protocol has weights kept for")
    within: Fraction = Field(description="farther off, the epoch does not count as one of that accuracy")


class VideoView(Strict):
    """How a trained model is asked about videos: the clips and crops of each, in one frame order."""

    name: Name
    order: Literal["forward", "reversed", "shuffled", "single"]
    clip: TestClip
    average: Average | None
    at: Matched | None = Field(None, exclude_if=absent)
    domains: dict[Name, VideoSplit]
