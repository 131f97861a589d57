"""What is computed: splits, models, protocols, runs and views, fully resolved.

These are the types that are hashed (see `identity`). None has a default: a value that matters
stands on a page or in a scale, never in code. Hardware (devices, workers, paths) has no place here.
"""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from retrace.plan.model import Model
from retrace.plan.strict import Strict

Fraction = Annotated[float, Field(ge=0, le=1)]
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
Name = Annotated[str, Field(pattern=NAME)]
"""A name that may become a part of a path: it can neither climb out of a folder nor hide."""


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


Generator = TemporalShape


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


Optimizer = Annotated[Sgd | Adam, Field(discriminator="name")]


class Protocol(Strict):
    """How a model is trained."""

    optimizer: Optimizer
    schedule: Literal["constant", "cosine"]
    batch: PositiveInt = Field(description="clips per step, over all devices together")
    drop_last: bool
    epochs: PositiveInt = Field(description="the most epochs")
    patience: PositiveInt = Field(description="epochs without a better validation top-1 before stopping")
    select: Literal["best_val", "last"] = Field(description="which epoch's weights are kept")
    autocast: Literal["bfloat16", "none"] = Field(
        description="reduced precision on GPUs; a CPU computes in float32"
    )


class Run(Strict):
    """One training: a model, its data, its protocol, a seed and, if it starts from another run, that run."""

    recipe: PositiveInt = Field(description="raised by hand when the computation itself changes")
    model: Model
    train: Split
    val: Split
    protocol: Protocol
    seed: NonNegativeInt
    parent: str | None = Field(description="hash of the run whose weights this one starts from")


class View(Strict):
    """How a trained model is asked: each domain is a split, each clip is shown in one frame order."""

    name: Name
    order: Literal["forward", "reversed", "shuffled", "single"]
    domains: dict[Name, Split]
