"""What a paper prints: its tables and figures, item by item, each with what its cells are made from."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, NonNegativeInt, PositiveFloat, Tag, model_validator

from retrace.plan.cell import Fragment
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


def _distinct(items: Sequence[Item], axis: str) -> None:
    seen: set[str] = set()
    for index, item in enumerate(items):
        if item.key in seen:
            raise mistake(f"key '{item.key}' stands twice in {axis}", axis, index, "key")
        seen.add(item.key)
