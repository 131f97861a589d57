"""The types of a paper's page: what the files in papers/ may say."""

from typing import Annotated, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    NonNegativeInt,
    PositiveInt,
    Tag,
    model_validator,
)

from retrace.plan.cell import Fragment
from retrace.plan.clip import Normalisation, TestClip
from retrace.plan.items import Figure, Origin, Table
from retrace.plan.spec import Average, Matched, Protocol, VideoProtocol
from retrace.plan.strict import Name, Strict, mistake


class Side(Strict):
    """One side of a comparison: the mean over the cells of a table or figure that it selects.

    An axis that is left out is averaged over; `seeds` and clips are resampled by the bootstrap.
    """

    of: str = Field(description="key of the table or figure")
    panel: str | tuple[str, ...] | None = None
    series: str | tuple[str, ...] | None = None
    x: str | tuple[str, ...] | None = None
    row: str | tuple[str, ...] | None = None
    column: str | tuple[str, ...] | None = None


def _several(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


Sides = Annotated[tuple[Side, ...], BeforeValidator(_several, json_schema_input_type=Side | list[Side])]


class Comparison(Strict):
    """`more` is larger than `less` by at least `by` (in the unit of the cells).

    Both may list as many sides: each is compared with its counterpart, and the differences add up. That A is
    ahead of B by more than C of D is said so: `more: [A, D]`, `less: [B, C]`.
    """

    more: Sides
    less: Sides
    by: float = 0.0

    @model_validator(mode="after")
    def _in_pairs(self) -> Self:
        if not self.more:
            raise mistake("names no side", "more")
        if len(self.more) != len(self.less):
            raise mistake(f"has {len(self.less)} sides against {len(self.more)} of 'more'", "less")
        return self


class Claim(Strict):
    """An ordering that the paper argues. It holds if every comparison does."""

    says: str
    place: str
    source: Origin = "paper"
    why: str | None = None
    comparisons: tuple[Comparison, ...] = ()
    not_run: str | None = None

    @model_validator(mode="after")
    def _tested_or_explained(self) -> Self:
        if bool(self.comparisons) == (self.not_run is not None):
            raise mistake("a claim needs exactly one of 'comparisons' and 'not_run'")
        if self.source != "paper" and not self.why:
            raise mistake(f"a claim whose source is '{self.source}' needs a 'why'")
        return self


def _shows_videos(value: object) -> str:
    shown = isinstance(value, VideoProtocol) or (isinstance(value, dict) and "train_clip" in value)
    return "videos" if shown else "clips"


Training = Annotated[
    Annotated[Protocol, Tag("clips")] | Annotated[VideoProtocol, Tag("videos")], Discriminator(_shows_videos)
]


class Parent(Strict):
    """The run that another one starts from: of the same model, data and seed but for what is said here.

    Where the classes differ, the classifier starts anew; where the models differ, what only the new one has.
    """

    protocol: Name
    data: Name | None = None
    model: Fragment = Field({}, description="how the model that was trained before differs")


def _spelt_out(value: object) -> object:
    return {"protocol": value} if isinstance(value, str) else value


NamedParent = Annotated[Parent, BeforeValidator(_spelt_out, json_schema_input_type=Name | Parent)]


class TrainingPlan(Strict):
    """A protocol as a page gives it: how to train, and the seeds of the repeats.

    On the page it may also say `extends: <protocol>` and then only what differs.
    """

    recipe: PositiveInt
    train: Training
    seeds: tuple[NonNegativeInt, ...]
    parent: NamedParent | None = Field(
        None, description="what it starts from: a protocol's name, or more where data or model differ"
    )
    normalisation: dict[str, Normalisation] = Field(
        {}, description="of clips for a backbone whose weights want another one, by its name"
    )


class Ask(Strict):
    """One domain of a view: a split of a dataset, or of the one that the run was trained on."""

    dataset: Name | None = None
    split: Literal["train", "val", "test"]


class ViewPlan(Strict):
    """A view as a page gives it. Like a protocol it may extend another one there."""

    order: Literal["forward", "reversed", "shuffled", "single"]
    clip: TestClip | None = Field(None, description="of videos: which clips and crops are shown")
    average: Average | None = None
    at: Matched | None = Field(
        None, description="which weights of a run are asked; none: those that it ends with"
    )
    domains: dict[Name, Ask]

    @model_validator(mode="after")
    def _several_are_averaged(self) -> Self:
        several = self.clip is not None and self.clip.shown > 1
        if several != (self.average is not None):
            raise mistake("'average' belongs to a view of several clips or crops, which needs it", "average")
        return self

    @model_validator(mode="after")
    def _matched_are_videos(self) -> Self:
        if self.at is not None and self.clip is None:
            raise mistake("'at' belongs to a view of videos; their protocols alone keep such weights", "at")
        return self


class Paper(Strict):
    """A paper's page: what it prints, and nothing else."""

    title: str
    short: str
    authors: str
    venue: str
    year: PositiveInt
    arxiv: str | None = None
    text: str = Field(description="which text we hold, and so what counts as printed")
    protocols: dict[Name, TrainingPlan] = {}
    views: dict[Name, ViewPlan] = {}
    tables: dict[Name, Table]
    figures: dict[Name, Figure] = {}
    claims: dict[Name, Claim] = {}
