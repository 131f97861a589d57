"""The types of a paper's page and of a scale: what the YAML files may say."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, NonNegativeInt, PositiveFloat, PositiveInt, Tag, model_validator

from retrace.plan.clip import Normalisation, TestClip
from retrace.plan.maps import Kind
from retrace.plan.model import Model
from retrace.plan.spec import Average, Protocol, VideoProtocol
from retrace.plan.strict import Name, Strict, mistake, nearest

Origin = Literal["paper", "main_paper", "code", "measured", "derived", "assumed"]
"""Where a value comes from: printed in the text we hold; recalled from the main paper; read in the
authors' code; measured with it; computed from printed values; or chosen by us."""

Fragment = dict[str, Any]
"""A part of a cell's definition. The parts of a table, its row and its column add up to a whole."""


class Quoted(Strict):
    """A number with its origin, where it is not simply printed in the text we hold, or needs a note."""

    value: float | int | str
    source: Origin
    why: str


def _form(value: object) -> str:
    return "quoted" if isinstance(value, dict | Quoted) else "plain"


Published = Annotated[
    Annotated[float | int | str | None, Tag("plain")] | Annotated[Quoted, Tag("quoted")],
    Discriminator(_form),
]


class Item(Strict):
    """One entry of an axis: a row, a column, a panel, a series or a point on the x axis."""

    key: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
    label: str
    cell: Fragment = {}
    note: str | None = None
    not_run: str | None = None


class Column(Item):
    """A column of a table: its unit, how many decimals the paper prints, and which way is better."""

    unit: str
    decimals: NonNegativeInt | None = None
    better: Literal["higher", "lower"] | None = None
    tolerance: PositiveFloat | None = Field(
        None, description="how far a number may lie off and still match; default: half the last printed digit"
    )


class Row(Item):
    """A row of a table. A `cited` row quotes other work: the paper prints it, nobody here runs it."""

    kind: Literal["ours", "cited"] = "ours"
    published: tuple[Published, ...]
    cells: dict[Name, Fragment | str] = Field(
        {}, description="for single columns: more of the cell's definition, or why it is not run"
    )


class Table(Strict):
    """A table as the paper prints it, and how each of its cells is made again."""

    number: str
    title: str
    place: str
    header: str = Field(description="what stands over the row labels")
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    cell: Fragment = {}
    not_run: str | None = None
    note: str | None = None

    @model_validator(mode="after")
    def _one_number_a_column(self) -> Self:
        for index, row in enumerate(self.rows):
            if len(row.published) != len(self.columns):
                got, want = len(row.published), len(self.columns)
                raise mistake(
                    f"row '{row.key}' prints {got} values, the table has {want} columns",
                    *("rows", index, "published"),
                )
        _distinct(self.rows, "rows")
        _distinct(self.columns, "columns")
        return self

    @model_validator(mode="after")
    def _cells_have_columns(self) -> Self:
        columns = [column.key for column in self.columns]
        for index, row in enumerate(self.rows):
            for key in row.cells:
                if key not in columns:
                    hint = nearest(key, columns)
                    raise mistake(f"there is no column '{key}'; {hint}", "rows", index, "cells", key)
        return self


class Figure(Strict):
    """A figure: what it draws, and the axes whose combinations are its cells."""

    number: str
    title: str
    place: str
    draw: Literal["accuracy_by_size", "ratio_by_size", "maps"] | None = Field(
        None, description="the kind of drawing; none yet where the figure is not drawn"
    )
    panels: tuple[Item, ...] = ()
    series: tuple[Item, ...] = ()
    x: tuple[Item, ...] = ()
    x_label: str = ""
    y_label: str = ""
    cell: Fragment = {}
    not_run: str | None = None
    note: str | None = None

    @model_validator(mode="after")
    def _drawn_or_explained(self) -> Self:
        if (self.draw is None) == (self.not_run is None):
            raise mistake("a figure needs exactly one of 'draw' and 'not_run'")
        for axis in ("panels", "series", "x"):
            _distinct(getattr(self, axis), axis)
        return self


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


class Comparison(Strict):
    """`more` is larger than `less` by at least `by` (in the unit of the cells)."""

    more: Side
    less: Side
    by: float = 0.0


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


class TrainingPlan(Strict):
    """A protocol as a page gives it: how to train, and the seeds of the repeats.

    On the page it may also say `extends: <protocol>` and then only what differs.
    """

    recipe: PositiveInt
    train: Training
    seeds: tuple[NonNegativeInt, ...]
    parent: Name | None = Field(None, description="the protocol whose run of the same model it starts from")
    normalisation: dict[str, Normalisation] = Field(
        {}, description="of clips for a backbone whose weights want another one, by its name"
    )


class Ask(Strict):
    """One domain of a view: a split of a dataset, or of the one that the run was trained on."""

    dataset: Name | None = None
    split: Literal["train", "val", "test"]


class ViewPlan(Strict):
    """A view as a page gives it."""

    order: Literal["forward", "reversed", "shuffled", "single"]
    clip: TestClip | None = Field(None, description="of videos: which clips and crops are shown")
    average: Average | None = None
    domains: dict[Name, Ask]

    @model_validator(mode="after")
    def _several_are_averaged(self) -> Self:
        several = self.clip is not None and self.clip.shown > 1
        if several != (self.average is not None):
            raise mistake("'average' belongs to a view of several clips or crops, which needs it", "average")
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


class Shrink(Strict):
    """What a scale changes of one paper. Empty: the paper's own size."""

    seeds: PositiveInt | None = Field(None, description="only the first so many seeds of each protocol")
    only: tuple[Fragment, ...] | None = Field(
        None, description="keep a trained cell if it agrees with one of these; a list means: any of"
    )
    datasets: dict[str, Fragment] = Field(
        {}, description="changes by dataset name; '*' and '?' are wildcards"
    )
    protocols: dict[str, Fragment] = Field({}, description="changes by protocol name")
    views: dict[str, Fragment] = Field({}, description="changes by view name")
    model: Fragment = Field({}, description="changes of every trained model")


class Scale(Strict):
    """A scale: how much smaller than the papers the work is."""

    title: str
    says: str
    comparable: bool = Field(description="whether trained numbers may be compared with the printed ones")
    papers: dict[str, Shrink] = {}
    stand_ins: dict[Name, Name] = Field(
        {}, description="the generated dataset that takes the place of one of real videos"
    )


class CostCell(Strict):
    """A cell that needs no training: counted on the meta device at the paper's own size.

    `mparams` are millions of parameters, `gmacs` billions of multiply-adds, `conv_gmacs` those of the
    convolutions alone.
    """

    measure: Literal["parameters", "mparams", "gmacs", "conv_gmacs"]
    model: Model
    classes: PositiveInt
    frames: PositiveInt
    side: PositiveInt
    channels: Literal[1, 3]


class TrainedCell(Strict):
    """What every cell that rests on trained runs says: of which model, and how it is asked."""

    model: Model
    data: Name
    protocol: Name
    view: Name
    domain: Name


class ScoreCell(TrainedCell):
    """A metric on one domain of a view, reduced over seeds."""

    measure: Literal["top1", "top5", "mean_class", "ratio"]
    over: Name | None = Field(None, description="for `ratio`: the domain whose accuracy divides")

    @model_validator(mode="after")
    def _ratio_has_two_domains(self) -> Self:
        if (self.measure == "ratio") != (self.over is not None):
            raise mistake("'over' belongs to measure 'ratio', and a ratio needs it", "over")
        return self


class MapCell(TrainedCell):
    """Pictures of what the run of the first seed does with some videos of a domain (`retrace.plan.maps`)."""

    measure: Literal["map"]
    map: Kind
    videos: PositiveInt = Field(
        description="how many are shown: the first by id of each of so many classes, in the order of labels"
    )


Definition = Annotated[CostCell | ScoreCell | MapCell, Field(discriminator="measure")]


def _distinct(items: tuple[Item, ...], axis: str) -> None:
    seen: set[str] = set()
    for index, item in enumerate(items):
        if item.key in seen:
            raise mistake(f"key '{item.key}' stands twice in {axis}", axis, index, "key")
        seen.add(item.key)
