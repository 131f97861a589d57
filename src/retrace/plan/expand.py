"""From a page and a scale to cells: what each number of a table or figure rests on."""

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter

from retrace.errors import UserError
from retrace.plan.cell import (
    ClassesCell,
    CountedCell,
    Definition,
    DifferenceCell,
    EnsembleCell,
    EpochCell,
    ExamplesCell,
    Fragment,
    MapCell,
    PathsCell,
    ScoreCell,
    SegmenterCell,
    SettingCell,
    TrainedCell,
    VideosCell,
)
from retrace.plan.identity import digest
from retrace.plan.items import Figure, Item, Published, Table
from retrace.plan.known import check_fit, check_known, known
from retrace.plan.load import Key
from retrace.plan.maps import Maps
from retrace.plan.merge import agrees, filled, merge
from retrace.plan.mistakes import checked
from retrace.plan.resolve import maps_of, run_of, split_of, view_of
from retrace.plan.settings import spelt_out
from retrace.plan.shelf import Shelf
from retrace.plan.spec import Run, Split, SyncMnist, VideoView, View
from retrace.plan.speed import SpeedCell
from retrace.plan.strict import nearest
from retrace.plan.video import Collection

_DEFINITION: TypeAdapter[Definition] = TypeAdapter(Definition)
_DERIVED = {"difference": ("measure", "of", "less"), "ensemble": ("measure", "of", "members")}
"""The keys that say how a number is computed from others; all other keys of its cell define those."""


class Place(NamedTuple):
    """Where a cell stands: its paper, its table or figure, and a key on each axis."""

    paper: str
    item: str
    axes: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.paper}/{self.item} " + ", ".join(f"{axis} {key}" for axis, key in self.axes)


class Cell(NamedTuple):
    """One number: where it stands, what was published, and what it is made from (or why it is not).

    `runs` are all that it rests on. They are asked a `view`, or for `maps`, unless the number is computed
    from those of other cells, its `parts`. `says` is a setting in words, `collection` a counted dataset,
    `segmenter` the folder of what made its videos, `walks` what a figure shows the first videos of.
    """

    place: Place
    published: Published
    definition: Definition | None = None
    runs: tuple[Run, ...] = ()
    view: View | VideoView | None = None
    not_run: str | None = None
    parts: tuple["Cell", ...] = ()
    says: str | None = None
    collection: Collection | None = None
    maps: Maps | None = None
    walks: Split | None = None
    segmenter: Path | None = None

    @property
    def asked(self) -> View | VideoView | Maps | None:
        return self.maps or self.view

    def trained(self) -> Iterator["Cell"]:
        """Yield the cells whose scores or maps this one rests on: itself, its parts, or none."""
        if self.not_run is not None:
            return
        if self.asked is not None:
            yield self
        for part in self.parts:
            yield from part.trained()


class _Spot(NamedTuple):
    """What a page says of one cell: the fragments of its definition by their key, the widest first."""

    place: Place
    published: Published
    fragments: Mapping[Key, Fragment]
    not_run: str | None

    @property
    def fragment(self) -> Fragment:
        return filled(merge(*self.fragments.values()), dict(self.place.axes))

    @property
    def roots(self) -> list[Key]:
        """The keys of the fragments, the narrowest first, as mistakes are placed."""
        return list(self.fragments)[::-1]


_Spots = Mapping[tuple[tuple[str, str], ...], _Spot]


def cells_of(shelf: Shelf, item: str) -> tuple[Cell, ...]:
    """Return every cell of one table or figure. Raises UserError if a definition is wrong."""
    page = shelf.page
    if item in page.tables:
        found = _table_spots(shelf, item, page.tables[item])
    else:
        found = _figure_spots(shelf, item, page.figures[item])
    spots = {spot.place.axes: spot for spot in found}
    return tuple(_cell(shelf, spot, spots) for spot in spots.values())


def _table_spots(shelf: Shelf, key: str, table: Table) -> Iterator[_Spot]:
    for (r, row), (c, column) in product(enumerate(table.rows), enumerate(table.columns)):
        place = Place(shelf.key, key, (("row", row.key), ("column", column.key)))
        own = row.cells.get(column.key, {})
        reason = own if isinstance(own, str) else row.not_run or column.not_run or table.not_run
        not_run = "cited" if row.kind == "cited" else reason
        fragments = {
            ("tables", key, "cell"): table.cell,
            ("tables", key, "columns", c, "cell"): column.cell,
            ("tables", key, "rows", r, "cell"): row.cell,
            ("tables", key, "rows", r, "cells", column.key): own if isinstance(own, dict) else {},
        }
        yield _Spot(place, row.published[c], fragments, not_run)


def _figure_spots(shelf: Shelf, key: str, figure: Figure) -> Iterator[_Spot]:
    if figure.draw is None:
        return
    axes: list[tuple[str, str, tuple[Item, ...]]] = [
        ("panel", "panels", figure.panels),
        ("series", "series", figure.series),
        ("x", "x", figure.x),
    ]
    axes = [axis for axis in axes if axis[2]]
    for items in product(*(enumerate(axis[2]) for axis in axes)):
        found = {axis[0]: entry for axis, entry in zip(axes, items, strict=True)}
        place = Place(shelf.key, key, tuple((axis, item.key) for axis, (_, item) in found.items()))
        fragments: dict[Key, Fragment] = {("figures", key, "cell"): figure.cell}
        for axis, (index, item) in zip(axes, items, strict=True):
            fragments[("figures", key, axis[1], index, "cell")] = item.cell
        not_run = next((item.not_run for _, item in items if item.not_run), None)
        yield _Spot(place, _plotted(figure, found), fragments, not_run)


def _plotted(figure: Figure, found: Mapping[str, tuple[int, Item]]) -> Published:
    """Return the number behind one point, where it is known."""
    if figure.published is None:
        return None
    panel = found["panel"][1].key if "panel" in found else None
    return figure.published.at(found["series"][1].key, panel, found["x"][0])


def _cell(shelf: Shelf, spot: _Spot, spots: _Spots) -> Cell:
    cell = Cell(spot.place, spot.published, not_run=spot.not_run)
    if spot.not_run is not None:
        return cell
    roots = spot.roots
    own, common = _split_up(spot.fragment)
    definition = checked(_DEFINITION.validate_python, own, shelf.document, roots)
    cell = cell._replace(definition=definition)
    match definition:
        case ScoreCell() | ExamplesCell() | EpochCell() | MapCell():
            return _trained(shelf, cell, definition, roots)
        case SettingCell():
            return cell._replace(says=_says(shelf, definition, roots))
        case VideosCell() | ClassesCell() | SegmenterCell():
            return _counted(shelf, cell, definition, roots)
        case DifferenceCell():
            other = _elsewhere(shelf, spot, spots, definition)
            sides = [(common, roots), (_split_up(other.fragment)[1], other.roots)]
            return _derived(shelf, cell, definition.of, sides)
        case EnsembleCell():
            members = [(merge(common, member), roots) for member in definition.members]
            return _derived(shelf, cell, definition.of, members)
        case SpeedCell():
            return cell._replace(definition=_small_speed(shelf, definition))
        case PathsCell():
            return _walking(shelf, cell, definition, roots)
        case CountedCell():
            return cell


def _small_speed(shelf: Shelf, cell: SpeedCell) -> SpeedCell:
    """Return what the scale makes of a cell of speed or memory."""
    small = merge(cell.model_dump(mode="json"), shelf.shrink.speed)
    return checked(SpeedCell.model_validate, small, shelf.overlay, (("papers", shelf.key, "speed"),))


def _says(shelf: Shelf, definition: SettingCell, roots: list[Key]) -> str:
    try:
        return spelt_out(definition, shelf.full)
    except ValueError as error:
        root = next((r for r in roots if (*r, "says") in shelf.document.lines), roots[0])
        raise UserError(shelf.document.problem((*root, "says"), str(error))) from error


def _split_up(fragment: Fragment) -> tuple[Fragment, Fragment]:
    """Return what a definition says of the number itself, and what of the cells that it is computed from."""
    own = _DERIVED.get(str(fragment.get("measure")))
    if own is None:
        return fragment, {key: value for key, value in fragment.items() if key != "measure"}
    return (
        {key: value for key, value in fragment.items() if key in own},
        {key: value for key, value in fragment.items() if key not in own},
    )


def _elsewhere(shelf: Shelf, spot: _Spot, spots: _Spots, definition: DifferenceCell) -> _Spot:
    """Return the spot that a difference is taken to. Raises UserError if there is none."""
    axes = dict(spot.place.axes)
    for axis, key in definition.less.items():
        valid = [dict(other)[axis] for other in spots if axis in axes]
        if key not in valid:
            hint = nearest(key, valid) if valid else f"its axes: {', '.join(axes)}"
            message = f"there is no {axis} '{key}' here; {hint}"
            raise UserError(shelf.document.problem((*spot.roots[0], "less", axis), message))
        axes[axis] = key
    return spots[tuple(axes.items())]


def _derived(shelf: Shelf, cell: Cell, metric: str, sides: list[tuple[Fragment, list[Key]]]) -> Cell:
    """Return a cell computed from trained ones; where one of these is not run, neither is it."""
    parts = []
    for fragment, roots in sides:
        whole = {**fragment, "measure": metric}
        definition = checked(_DEFINITION.validate_python, whole, shelf.document, roots)
        assert isinstance(definition, ScoreCell)
        parts.append(_trained(shelf, Cell(cell.place, None, definition), definition, roots))
    not_run = next((part.not_run for part in parts if part.not_run), None)
    runs = {digest(run): run for part in parts for run in part.runs if not not_run}
    return cell._replace(parts=tuple(parts), runs=tuple(runs.values()), not_run=not_run)


def _counted(
    shelf: Shelf, cell: Cell, definition: VideosCell | ClassesCell | SegmenterCell, roots: list[Key]
) -> Cell:
    """Return a cell on classes, or on videos or their segmenter: where others stand in, on those."""
    name, videos = definition.data, shelf.library.videos
    known(shelf, name, videos, "dataset of videos", "data", roots)
    if isinstance(definition, VideosCell):
        splits = {str(split): expected for split, expected in videos[name].splits.items()}
        known(shelf, definition.split, splits, "split", "split", roots)
    if not isinstance(definition, ClassesCell):
        name = shelf.stand_ins.get(name, name)
    cell = cell._replace(collection=shelf.library.collection(name))
    if isinstance(definition, SegmenterCell):
        folder = shelf.library.segmenters.folder_behind(name)
        not_run = None if folder else f"the videos of {name} are there: no segmenter makes them"
        return cell._replace(segmenter=folder, not_run=not_run)
    return cell


def _walking(shelf: Shelf, cell: Cell, definition: PathsCell, roots: list[Key]) -> Cell:
    walking = {name: d for name, d in shelf.datasets.items() if isinstance(d.generator, SyncMnist)}
    known(shelf, definition.data, walking, "dataset of walking digits", "data", roots)
    splits = {str(split): clips for split, clips in walking[definition.data].splits.items()}
    known(shelf, definition.split, splits, "split", "split", roots)
    return cell._replace(walks=split_of(definition.data, walking[definition.data], definition.split))


def _trained(shelf: Shelf, cell: Cell, definition: TrainedCell, roots: list[Key]) -> Cell:
    only = shelf.shrink.only
    check_known(shelf, definition, roots)
    check_fit(shelf, definition, roots)
    if only is not None and not any(agrees(pattern, pattern_of(cell)) for pattern in only):
        return cell._replace(not_run=f"not part of scale '{shelf.scale}'")
    seeds = shelf.page.protocols[definition.protocol].seeds[: shelf.shrink.seeds]
    runs = tuple(run_of(shelf, definition, seed) for seed in seeds)
    if isinstance(definition, MapCell):
        return cell._replace(runs=runs[:1], maps=maps_of(shelf, definition))
    view = view_of(shelf, definition)
    if isinstance(definition, ExamplesCell):
        shown, name = view.domains[definition.domain], definition.of_class
        if name not in shown.classes:
            return cell._replace(not_run=f"{shown.dataset} has no class '{name}'")
    return cell._replace(runs=runs, view=view)


def pattern_of(cell: Cell) -> Fragment:
    """Return what the entries of a scale's `only` are compared with: the definition, and where it stands."""
    assert cell.definition is not None
    return {**cell.definition.model_dump(), "of": cell.place.item}
