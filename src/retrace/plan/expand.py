"""From a page and a scale to cells: what each number of a table or figure rests on."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from retrace.errors import UserError
from retrace.plan.datasets import Dataset
from retrace.plan.load import Document, Key
from retrace.plan.mistakes import checked
from retrace.plan.page import (
    CostCell,
    Definition,
    Figure,
    Fragment,
    Item,
    Paper,
    Published,
    ScoreCell,
    Shrink,
    Table,
    TrainingPlan,
)
from retrace.plan.spec import Run, Split, View
from retrace.plan.strict import nearest

_DEFINITION: TypeAdapter[Definition] = TypeAdapter(Definition)


class Place(NamedTuple):
    """Where a cell stands: its paper, its table or figure, and a key on each axis."""

    paper: str
    item: str
    axes: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.paper}/{self.item} " + ", ".join(f"{axis} {key}" for axis, key in self.axes)


class Cell(NamedTuple):
    """One number: where it stands, what was published, and what it is made from (or why it is not)."""

    place: Place
    published: Published
    definition: Definition | None
    runs: tuple[Run, ...]
    view: View | None
    not_run: str | None


class Shelf(NamedTuple):
    """What cells are made from, at one scale: the datasets and one paper's page."""

    key: str
    page: Paper
    document: Document
    datasets: Mapping[str, Dataset]
    shrink: Shrink
    scale: str


def merge(*fragments: Fragment) -> Fragment:
    """Return the union of nested mappings; where two disagree, the later one stands.

    A null takes away what an earlier one said.
    """
    whole: Fragment = {}
    for fragment in fragments:
        for key, value in fragment.items():
            if value is None and key in whole:
                del whole[key]
            elif isinstance(value, dict) and isinstance(whole.get(key), dict):
                whole[key] = merge(whole[key], value)
            else:
                whole[key] = value
    return whole


def agrees(pattern: Any, value: Any) -> bool:
    """Tell whether `value` has all that `pattern` asks; a list in the pattern means any of its entries."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(agrees(p, value.get(key)) for key, p in pattern.items())
    if isinstance(pattern, list | tuple):
        return any(agrees(p, value) for p in pattern)
    return bool(pattern == value)


def split_of(name: str, dataset: Dataset, split: str) -> Split:
    """Return one split of `dataset` as the unit that is made and stored."""
    return Split.model_validate(
        {
            "dataset": name,
            "split": split,
            "clips": dataset.splits[split],  # type: ignore[index]
            **dataset.model_dump(include={"version", "frames", "side", "channels", "classes", "generator"}),
        }
    )


def cells_of(shelf: Shelf, item: str) -> tuple[Cell, ...]:
    """Return every cell of one table or figure. Raises UserError if a definition is wrong."""
    page = shelf.page
    if item in page.tables:
        return tuple(_table_cells(shelf, item, page.tables[item]))
    return tuple(_figure_cells(shelf, item, page.figures[item]))


def _table_cells(shelf: Shelf, key: str, table: Table) -> Iterator[Cell]:
    for (r, row), (c, column) in product(enumerate(table.rows), enumerate(table.columns)):
        place = Place(shelf.key, key, (("row", row.key), ("column", column.key)))
        not_run = "cited" if row.kind == "cited" else row.not_run or column.not_run or table.not_run
        parts = {
            ("tables", key, "cell"): table.cell,
            ("tables", key, "columns", c, "cell"): column.cell,
            ("tables", key, "rows", r, "cell"): row.cell,
        }
        yield _cell(shelf, place, row.published[c], parts, not_run)


def _figure_cells(shelf: Shelf, key: str, figure: Figure) -> Iterator[Cell]:
    if figure.draw is None:
        return
    axes: list[tuple[str, str, tuple[Item, ...]]] = [
        ("panel", "panels", figure.panels),
        ("series", "series", figure.series),
        ("x", "x", figure.x),
    ]
    axes = [axis for axis in axes if axis[2]]
    for items in product(*(enumerate(axis[2]) for axis in axes)):
        place = Place(
            shelf.key, key, tuple((axis[0], item.key) for axis, (_, item) in zip(axes, items, strict=True))
        )
        parts: dict[Key, Fragment] = {("figures", key, "cell"): figure.cell}
        for axis, (index, item) in zip(axes, items, strict=True):
            parts[("figures", key, axis[1], index, "cell")] = item.cell
        not_run = next((item.not_run for _, item in items if item.not_run), None)
        yield _cell(shelf, place, None, parts, not_run)


def _cell(
    shelf: Shelf, place: Place, published: Published, parts: Mapping[Key, Fragment], not_run: str | None
) -> Cell:
    if not_run is not None:
        return Cell(place, published, None, (), None, not_run)
    fragment, roots = merge(*parts.values()), list(parts)[::-1]
    definition = checked(_DEFINITION.validate_python, fragment, shelf.document, roots)
    if isinstance(definition, CostCell):
        return Cell(place, published, definition, (), None, None)
    runs, view = _work(shelf, definition, roots)
    only = shelf.shrink.only
    if only is not None and not any(agrees(pattern, definition.model_dump()) for pattern in only):
        return Cell(place, published, definition, (), None, f"not part of scale '{shelf.scale}'")
    return Cell(place, published, definition, runs, view, None)


def _work(shelf: Shelf, cell: ScoreCell, roots: list[Key]) -> tuple[tuple[Run, ...], View]:
    """Return the runs and the view a trained cell rests on, after checking every name it uses."""
    page = shelf.page
    _known(shelf, cell.data, shelf.datasets, "dataset", "data", roots)
    _known(shelf, cell.protocol, page.protocols, "protocol", "protocol", roots)
    _known(shelf, cell.view, page.views, "view", "view", roots)
    domains = page.views[cell.view].domains
    _known(shelf, cell.domain, domains, "domain", "domain", roots)
    if cell.over is not None:
        _known(shelf, cell.over, domains, "domain", "over", roots)
    plan = page.protocols[cell.protocol]
    seeds = plan.seeds[: shelf.shrink.seeds]
    return tuple(_run(shelf, cell, plan, seed) for seed in seeds), view_of(shelf, cell.view)


def _run(shelf: Shelf, cell: ScoreCell, plan: TrainingPlan, seed: int) -> Run:
    data = shelf.datasets[cell.data]
    return Run(
        recipe=plan.recipe,
        model=cell.model,
        train=split_of(cell.data, data, "train"),
        val=split_of(cell.data, data, "val"),
        protocol=plan.train,
        seed=seed,
        parent=None,
    )


def view_of(shelf: Shelf, name: str) -> View:
    """Return the view `name` of a page with its domains resolved to splits."""
    plan = shelf.page.views[name]
    domains = {
        domain: split_of(ask.dataset, shelf.datasets[ask.dataset], ask.split)
        for domain, ask in plan.domains.items()
    }
    return View(name=name, order=plan.order, domains=domains)


def _known(shelf: Shelf, name: str, valid: Mapping[str, Any], what: str, key: str, roots: list[Key]) -> None:
    if name not in valid:
        root = next((r for r in roots if (*r, key) in shelf.document.lines), roots[0])
        raise UserError(
            shelf.document.problem((*root, key), f"unknown {what} '{name}'; {nearest(name, valid)}")
        )
