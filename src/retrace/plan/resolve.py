"""From a trained cell to the runs that it rests on and what they are asked, fully resolved."""

from collections.abc import Iterator
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter

from retrace.plan.cell import Fragment, MapCell, TrainedCell
from retrace.plan.datasets import Dataset
from retrace.plan.identity import digest
from retrace.plan.load import Document, Key
from retrace.plan.maps import Maps
from retrace.plan.merge import merge
from retrace.plan.mistakes import checked
from retrace.plan.model import Model
from retrace.plan.page import TrainingPlan
from retrace.plan.shelf import Shelf
from retrace.plan.spec import Run, Split, VideoView, View
from retrace.plan.video import SplitName, VideoSplit

T = TypeVar("T", bound=BaseModel)

_MODEL: TypeAdapter[Model] = TypeAdapter(Model)


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


def run_of(shelf: Shelf, cell: TrainedCell, seed: int) -> Run:
    """Return the run that a cell rests on, for one of its seeds."""
    plan = shelf.page.protocols[cell.protocol]
    parent = _parent_cell(shelf, cell)
    return Run(
        recipe=plan.recipe,
        model=_small(shelf, cell.model),
        train=_split(shelf, cell.data, "train"),
        val=_split(shelf, cell.data, "val"),
        protocol=_normalised(plan.train, plan, cell, "train_clip", "val_clip"),
        seed=seed,
        parent=None if parent is None else digest(run_of(shelf, parent, seed)),
    )


def ancestors(shelf: Shelf, cell: TrainedCell, seed: int) -> Iterator[Run]:
    """Yield the runs that the run of a cell starts from: its parent, the parent of that, and so on."""
    parent = _parent_cell(shelf, cell)
    if parent is not None:
        yield run_of(shelf, parent, seed)
        yield from ancestors(shelf, parent, seed)


def _parent_cell(shelf: Shelf, cell: TrainedCell) -> TrainedCell | None:
    """Return the cell of the parent: as this one, but for what the protocol says of its data and model."""
    parent = shelf.page.protocols[cell.protocol].parent
    if parent is None:
        return None
    where = ("protocols", cell.protocol, "parent", "model")
    change = {
        "protocol": parent.protocol,
        "data": parent.data or cell.data,
        "model": _changed(cell.model, parent.model, shelf.document, where),
    }
    return cell.model_copy(update=change)


def view_of(shelf: Shelf, cell: TrainedCell) -> View | VideoView:
    """Return the view of a cell with its domains resolved to splits."""
    plan = shelf.page.views[cell.view]
    domains = {
        domain: _split(shelf, ask.dataset or cell.data, ask.split) for domain, ask in plan.domains.items()
    }
    if plan.clip is None:
        return View.model_validate({"name": cell.view, "order": plan.order, "domains": domains})
    clip = _normalised(plan, shelf.page.protocols[cell.protocol], cell, "clip").clip
    whole = {"name": cell.view, "order": plan.order, "clip": clip, "average": plan.average, "at": plan.at}
    return VideoView.model_validate({**whole, "domains": domains})


def maps_of(shelf: Shelf, cell: MapCell) -> Maps:
    """Return the maps of a cell."""
    view = view_of(shelf, cell)
    assert isinstance(view, VideoView)
    return Maps(map=cell.map, videos=cell.videos, domain=cell.domain, view=view)


def _small(shelf: Shelf, model: Model) -> Model:
    """Return what the scale makes of a model."""
    shrink, where = shelf.shrink, ("papers", shelf.key)
    small = _changed(model, shrink.model, shelf.overlay, (*where, "model"))
    own = shrink.families.get(model.family, {})
    return _changed(small, own, shelf.overlay, (*where, "families", model.family))


def _changed(model: Model, change: Fragment, document: Document, where: Key) -> Model:
    if not change:
        return model
    changed = merge(model.model_dump(mode="json"), change)
    return checked(_MODEL.validate_python, changed, document, (where,))


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
