"""The types of a paper's page: what the files in papers/ may say."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Tag,
    model_validator,
)

from retrace.plan.cell import Fragment
from retrace.plan.clip import Normalisation, TestClip
from retrace.plan.spec import Average, Protocol, VideoProtocol
from retrace.plan.strict import Name, Strict, mistake, nearest

Origin = Literal["paper", "main_paper", "code", "measured", "derived", "assumed"]
"""Where a value comes from: printed in the text we hold; recalled from the main paper; read in the
authors' code; measured with it; computed from printed values; or chosen by us."""


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
    """One entry of an axis: a row, a column, a panel, a series or a point on the x axis.

    In texts of a cell's definition ``{x}`` stands for the key on that axis, and so with the others.
    """

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


class Look(Strict):
    """How something is drawn, where the page says so: series that are akin share a colour or a marker."""

    colour: NonNegativeInt | None = Field(None, description="number of a colour; default: the next one")
    marker: NonNegativeInt | None = Field(None, description="number of a marker; default: the next one")
    dashed: bool = False


class Series(Item, Look):
    """A series of a figure."""


class LegendEntry(Look):
    """What a colour, a marker or a dashed line stands for."""

    label: str


class Values(Strict):
    """The numbers behind a figure, where they are known: by series, and there by panel if it has panels."""

    source: Origin
    why: str
    by_series: dict[str, tuple[float | None, ...] | dict[str, tuple[float | None, ...]]] = Field(
        description="each list in the order of x"
    )

    def at(self, series: str, panel: str | None, x: int) -> Quoted | None:
        """Return the number at position `x` of a series, or None if it is not known."""
        known = self.by_series.get(series, ())
        numbers = known.get(panel or "", ()) if isinstance(known, dict) else known
        value = numbers[x] if x < len(numbers) else None
        return None if value is None else Quoted(value=value, source=self.source, why=self.why)


Drawing = Literal[
    "accuracy_by_size", "ratio_by_size", "accuracy_by_cost", "order", "maps", "matrices", "paths", "ranking"
]


class Figure(Strict):
    """A figure: what it draws, and the axes whose combinations are its cells."""

    number: str
    title: str
    place: str
    draw: Drawing | None = Field(
        None,
        description="the kind of drawing; none yet where the figure is not drawn. The cost is that of all "
        "clips and crops of a test, in multiply-adds",
    )
    panels: tuple[Item, ...] = ()
    series: tuple[Series, ...] = ()
    legend: tuple[LegendEntry, ...] = Field(
        (), description="where the looks tell more than the series' names"
    )
    x: tuple[Item, ...] = ()
    published: Values | None = None
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

    @model_validator(mode="after")
    def _published_has_places(self) -> Self:
        series, panels = {item.key for item in self.series}, {item.key for item in self.panels}
        for key, known in (self.published.by_series if self.published else {}).items():
            where = ("published", "by_series", key)
            if key not in series:
                raise mistake(f"there is no series '{key}'; {nearest(key, series)}", *where)
            if isinstance(known, dict) != bool(panels):
                raise mistake("should be a list for each panel, or one list where there are none", *where)
            lists = known if isinstance(known, dict) else {None: known}
            for panel, numbers in lists.items():
                if panel is not None and panel not in panels:
                    raise mistake(f"there is no panel '{panel}'; {nearest(panel, panels)}", *where, panel)
                if len(numbers) != len(self.x):
                    raise mistake(f"holds {len(numbers)} values, the figure has {len(self.x)} on x", *where)
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


def _distinct(items: Sequence[Item], axis: str) -> None:
    seen: set[str] = set()
    for index, item in enumerate(items):
        if item.key in seen:
            raise mistake(f"key '{item.key}' stands twice in {axis}", axis, index, "key")
        seen.add(item.key)
