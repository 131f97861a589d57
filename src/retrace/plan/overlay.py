"""A scale laid over a paper: the paper's protocols and all datasets as this scale has them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, TypeVar

from retrace.errors import UserError
from retrace.plan.cell import Fragment, TrainedCell
from retrace.plan.datasets import Dataset
from retrace.plan.expand import Cell, pattern_of
from retrace.plan.load import Document, Key
from retrace.plan.merge import agrees, merge
from retrace.plan.mistakes import checked
from retrace.plan.page import TrainingPlan, ViewPlan
from retrace.plan.shelf import Shelf
from retrace.plan.strict import nearest

T = TypeVar("T")


class Change(NamedTuple):
    """A value that the scale changes: where it stands, the page's value and the scale's."""

    where: str
    paper: str
    full: object
    here: object


def shrunk(shelf: Shelf, overlay: Document) -> Shelf:
    """Return `shelf`, which is at the paper's own size, as its scale changes it.

    `overlay` is the scale's page. Raises UserError where a change fits no name or gives no valid value.
    """
    shrink = shelf.shrink
    datasets = _changed(
        shelf.datasets, Dataset.model_validate, shrink.datasets, overlay, ("papers", shelf.key, "datasets")
    )
    protocols = _changed(
        shelf.page.protocols,
        TrainingPlan.model_validate,
        shrink.protocols,
        overlay,
        ("papers", shelf.key, "protocols"),
    )
    views = _changed(
        shelf.page.views, ViewPlan.model_validate, shrink.views, overlay, ("papers", shelf.key, "views")
    )
    page = shelf.page.model_copy(update={"protocols": protocols, "views": views})
    return shelf._replace(page=page, datasets=datasets)


def _changed(
    full: Mapping[str, Any],
    check: Callable[[Any], T],
    changes: Mapping[str, Fragment],
    overlay: Document,
    where: Key,
) -> dict[str, T]:
    """Return what is in `full`, each by all changes whose pattern fits its name, in the order of the file."""
    for pattern in changes:
        if not any(fnmatchcase(name, pattern) for name in full):
            raise UserError(overlay.problem((*where, pattern), f"fits no name; {nearest(pattern, full)}"))
    found = {}
    for name, value in full.items():
        patterns = [pattern for pattern in changes if fnmatchcase(name, pattern)]
        data = merge(value.model_dump(mode="json"), *(changes[pattern] for pattern in patterns))
        roots = [(*where, pattern) for pattern in reversed(patterns)]
        found[name] = checked(check, data, overlay, roots or [where])
    return found


def check_only(shelf: Shelf, cells: Sequence[Cell], overlay: Document) -> None:
    """Raise UserError if `only`, one entry of it or one value there keeps no cell, or a family none."""
    all_cells = [one for cell in cells for one in (cell, *cell.parts)]
    definitions = [pattern_of(cell) for cell in all_cells if cell.definition is not None]
    for index, pattern in enumerate(shelf.shrink.only or ()):
        for narrow in (pattern, *_narrowed(pattern)):
            if not any(agrees(narrow, definition) for definition in definitions):
                where = ("papers", shelf.key, "only", index)
                raise UserError(overlay.problem(where, f"no cell of {shelf.key} has {_in_words(narrow)}"))
    families = {one.model.family for cell in all_cells if isinstance(one := cell.definition, TrainedCell)}
    for family in shelf.shrink.families:
        if family not in families:
            hint = nearest(family, families)
            message = f"no trained cell of {shelf.key} has the family '{family}'; {hint}"
            raise UserError(overlay.problem(("papers", shelf.key, "families", family), message))


def changes(full: Shelf, here: Shelf, used: set[str]) -> Iterator[Change]:
    """Yield every value of a protocol, a view, and a dataset in which two shelves differ.

    The datasets are those that a view asks by name, and those `used`.
    """
    asks = [ask for view in here.page.views.values() for ask in view.domains.values()]
    sections: dict[str, set[str]] = {
        "protocols": set(here.page.protocols),
        "views": set(here.page.views),
        "datasets": used | {ask.dataset for ask in asks if ask.dataset and ask.dataset in here.datasets},
    }
    for section, names in sections.items():
        for name in sorted(set(names)):
            before, after = (_values(shelf, section)[name].model_dump(mode="json") for shelf in (full, here))
            for where, *values in _differences(before, after, f"{section}.{name}"):
                yield Change(where, here.key, *values)


def _values(shelf: Shelf, section: str) -> Mapping[str, Dataset | TrainingPlan | ViewPlan]:
    match section:
        case "protocols":
            return shelf.page.protocols
        case "views":
            return shelf.page.views
        case _:
            return shelf.datasets


def _differences(full: object, here: object, where: str) -> Iterator[tuple[str, object, object]]:
    if isinstance(full, dict) and isinstance(here, dict):
        for key in sorted(full.keys() | here.keys()):
            yield from _differences(full.get(key), here.get(key), f"{where}.{key}")
    elif full != here:
        yield where, full, here


def _narrowed(pattern: Any) -> Iterator[Any]:
    """Yield `pattern` with one of its lists replaced by one entry, for each list and entry."""
    if isinstance(pattern, dict):
        for key, value in pattern.items():
            yield from ({**pattern, key: narrow} for narrow in _narrowed(value))
    elif isinstance(pattern, list | tuple):
        yield from pattern


def _in_words(pattern: Any) -> str:
    if isinstance(pattern, dict):
        return ", ".join(f"{key} {_in_words(value)}" for key, value in pattern.items())
    if isinstance(pattern, list | tuple):
        return "/".join(map(_in_words, pattern))
    return str(pattern)
