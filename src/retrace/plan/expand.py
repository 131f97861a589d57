"""From a page and a scale to cells: what each number of a table or figure rests on."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, TypeAdapter

from retrace.errors import UserError
from retrace.plan.datasets import Dataset
from retrace.plan.identity import digest
from retrace.plan.library import Library
from retrace.plan.load import Document, Key
from retrace.plan.maps import Maps
from retrace.plan.mistakes import checked
from retrace.plan.model import Model
from retrace.plan.page import (
    CostCell,
    Definition,
    Figure,
    Fragment,
    Item,
    MapCell,
    Paper,
    Published,
    ScoreCell,
    Shrink,
    Table,
    TrainedCell,
    TrainingPlan,
)
from retrace.plan.spec import Run, Split, VideoProtocol, VideoView, View
from retrace.plan.strict import nearest
from retrace.plan.video import SplitName, VideoSplit

T = TypeVar("T", bound=BaseModel)

_DEFINITION: TypeAdapter[Definition] = TypeAdapter(Definition)
_MODEL: TypeAdapter[Model] = TypeAdapter(Model)


class Place(NamedTuple):
    """Where a cell stands: its paper, its table or figure, and a key on each axis."""

    paper: str
    item: str
    axes: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.paper}/{self.item} " + ", ".join(f"{axis} {key}" for axis, key in self.axes)


class Cell(NamedTuple):
    """One number: where it stands, what was published, and what it is made from (or why it is not).

    The runs of a cell are asked a view, or for maps.
    """

    place: Place
    published: Published
    definition: Definition | None
    runs: tuple[Run, ...]
    view: View | VideoView | None
    not_run: str | None
    maps: Maps | None = None


class Shelf(NamedTuple):
    """What cells are made from, at one scale: the datasets and one paper's page.

    `datasets` are those of clips, as the scale has them; `stand_ins` are generated videos, by the real ones.
    """

    key: str
    page: Paper
    document: Document
    datasets: Mapping[str, Dataset]
    library: Library
    stand_ins: Mapping[str, str]
    shrink: Shrink
    overlay: Document
    scale: str


def merge(*fragments: Fragment) -> Fragment:
    """Return the union of nested mappings; where two disagree, the later one stands.

    A null takes away what an earlier one said, and another `kind` or `family` all that belonged to the one
    before.
    """
    whole: Fragment = {}
    for fragment in fragments:
        for key, value in fragment.items():
            if value is None and key in whole:
                del whole[key]
            elif (
                isinstance(value, dict) and isinstance(whole.get(key), dict) and _same_kind(whole[key], value)
            ):
                whole[key] = merge(whole[key], value)
            else:
                whole[key] = value
    return whole


def _same_kind(before: Fragment, after: Fragment) -> bool:
    return all(before.get(key, after[key]) == after[key] for key in ("kind", "family") if key in after)


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
        own = row.cells.get(column.key, {})
        reason = own if isinstance(own, str) else row.not_run or column.not_run or table.not_run
        not_run = "cited" if row.kind == "cited" else reason
        parts = {
            ("tables", key, "cell"): table.cell,
            ("tables", key, "columns", c, "cell"): column.cell,
            ("tables", key, "rows", r, "cell"): row.cell,
            ("tables", key, "rows", r, "cells", column.key): own if isinstance(own, dict) else {},
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
    only = shelf.shrink.only
    _check_known(shelf, definition, roots)
    _check_fit(shelf, definition, roots)
    if only is not None and not any(agrees(pattern, definition.model_dump()) for pattern in only):
        return Cell(place, published, definition, (), None, f"not part of scale '{shelf.scale}'")
    seeds = shelf.page.protocols[definition.protocol].seeds[: shelf.shrink.seeds]
    runs = tuple(_run(shelf, definition, definition.protocol, seed) for seed in seeds)
    if isinstance(definition, MapCell):
        return Cell(place, published, definition, runs[:1], None, None, _maps(shelf, definition))
    return Cell(place, published, definition, runs, view_of(shelf, definition), None)


def _check_known(shelf: Shelf, cell: TrainedCell, roots: list[Key]) -> None:
    """Raise UserError for a name in a trained cell that nothing goes by."""
    page = shelf.page
    datasets = {**shelf.datasets, **shelf.library.videos}
    _known(shelf, cell.data, datasets, "dataset", "data", roots)
    _known(shelf, cell.protocol, page.protocols, "protocol", "protocol", roots)
    _known(shelf, cell.view, page.views, "view", "view", roots)
    domains = page.views[cell.view].domains
    _known(shelf, cell.domain, domains, "domain", "domain", roots)
    if isinstance(cell, ScoreCell) and cell.over is not None:
        _known(shelf, cell.over, domains, "domain", "over", roots)


def _check_fit(shelf: Shelf, cell: TrainedCell, roots: list[Key]) -> None:
    """Raise UserError where videos meet a protocol or view for generated clips, or the other way round."""
    page, videos = shelf.page, cell.data in shelf.library.videos
    fits = {
        "protocol": isinstance(page.protocols[cell.protocol].train, VideoProtocol),
        "view": page.views[cell.view].clip is not None,
    }
    for key, for_videos in fits.items():
        if for_videos != videos:
            what, name = ("videos", "generated clips")[not videos], getattr(cell, key)
            message = f"'{cell.data}' has {what}, and {key} '{name}' is not for them"
            raise UserError(shelf.document.problem((*roots[0], key), message))
    if isinstance(cell, MapCell) and not videos:
        message = f"'{cell.data}' has generated clips, and maps are drawn over videos"
        raise UserError(shelf.document.problem((*roots[0], "data"), message))
    splits = shelf.library.videos[cell.data].splits if videos else shelf.datasets[cell.data].splits
    for split in ("train", "val"):
        if split not in splits:
            message = f"'{cell.data}' has no split '{split}' to train with; {nearest(split, splits)}"
            raise UserError(shelf.document.problem((*roots[0], "data"), message))


def ancestors(shelf: Shelf, cell: TrainedCell, run: Run) -> Iterator[Run]:
    """Yield the runs that `run` of a cell starts from: its parent, the parent of that, and so on."""
    protocol = shelf.page.protocols[cell.protocol].parent
    while protocol is not None:
        yield _run(shelf, cell, protocol, run.seed)
        protocol = shelf.page.protocols[protocol].parent


def _run(shelf: Shelf, cell: TrainedCell, protocol: str, seed: int) -> Run:
    plan = shelf.page.protocols[protocol]
    parent = None if plan.parent is None else digest(_run(shelf, cell, plan.parent, seed))
    return Run(
        recipe=plan.recipe,
        model=_small(shelf, cell.model),
        train=_split(shelf, cell.data, "train"),
        val=_split(shelf, cell.data, "val"),
        protocol=_normalised(plan.train, plan, cell, "train_clip", "val_clip"),
        seed=seed,
        parent=parent,
    )


def _small(shelf: Shelf, model: Model) -> Model:
    """Return what the scale makes of a model."""
    small = merge(model.model_dump(mode="json"), shelf.shrink.model)
    return checked(_MODEL.validate_python, small, shelf.overlay, (("papers", shelf.key, "model"),))


def view_of(shelf: Shelf, cell: TrainedCell) -> View | VideoView:
    """Return the view of a cell with its domains resolved to splits."""
    plan = shelf.page.views[cell.view]
    domains = {
        domain: _split(shelf, ask.dataset or cell.data, ask.split) for domain, ask in plan.domains.items()
    }
    if plan.clip is None:
        return View.model_validate({"name": cell.view, "order": plan.order, "domains": domains})
    clip = _normalised(plan, shelf.page.protocols[cell.protocol], cell, "clip").clip
    whole = {"name": cell.view, "order": plan.order, "clip": clip, "domains": domains}
    whole["average"] = plan.average
    return VideoView.model_validate(whole)


def _maps(shelf: Shelf, cell: MapCell) -> Maps:
    view = view_of(shelf, cell)
    assert isinstance(view, VideoView)
    return Maps(map=cell.map, videos=cell.videos, domain=cell.domain, view=view)


def _normalised(value: T, plan: TrainingPlan, cell: TrainedCell, *clips: str) -> T:
    """Return a protocol or view whose `clips` are normalised as the cell's backbone wants them."""
    own = plan.normalisation.get(getattr(cell.model, "backbone", ""))
    if own is None:
        return value
    changed = {name: getattr(value, name).model_copy(update=own.model_dump()) for name in clips}
    return value.model_copy(update=changed)


def _split(shelf: Shelf, name: str, split: SplitName) -> Split | VideoSplit:
    """Return one split of a dataset, or of the generated one that stands in for it."""
    if name in shelf.datasets:
        return split_of(name, shelf.datasets[name], split)
    return VideoSplit(collection=shelf.library.collection(shelf.stand_ins.get(name, name)), split=split)


def _known(shelf: Shelf, name: str, valid: Mapping[str, Any], what: str, key: str, roots: list[Key]) -> None:
    if name not in valid:
        root = next((r for r in roots if (*r, key) in shelf.document.lines), roots[0])
        raise UserError(
            shelf.document.problem((*root, key), f"unknown {what} '{name}'; {nearest(name, valid)}")
        )
