"""What numbers rest on: assumed values, what the scale changes of them, and whose digits they show."""

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

from retrace.plan.expand import Cell
from retrace.plan.load import Assumption
from retrace.plan.plan import Plan
from retrace.plan.spec import Split


def active(cell: Cell) -> bool:
    """Tell whether this scale works on `cell`: it has runs, or is counted or read off the page."""
    return bool(cell.runs) or (cell.not_run is None and cell.definition is not None)


def assumptions(plan: Plan, cells: Iterable[Cell]) -> tuple[Assumption, ...]:
    """Return each assumed value behind the `cells` that this scale works on, once."""
    found: dict[tuple, Assumption] = {}
    for cell in filter(active, cells):
        for assumption in plan.assumptions(cell):
            found.setdefault((assumption.file, assumption.key), assumption)
    return tuple(found.values())


def name(assumption: Assumption) -> str:
    """Return the name of an assumed value: its page and its key, e.g. ``rac: protocols.x.train.batch``."""
    return f"{PurePosixPath(assumption.file).stem}: {'.'.join(map(str, assumption.key))}"


def here(plan: Plan, assumption: Assumption) -> str:
    """Return what the scale makes of an assumed value, e.g. ``here 20``; nothing if it leaves it."""
    path = PurePosixPath(assumption.file)
    where = ".".join(map(str, assumption.key))
    if path.parent.name == "datasets":
        where = f"datasets.{path.stem}.{where}"
    return next((f"here {change.here}" for change in plan.changes() if change.where == where), "")


def in_words(plan: Plan, assumption: Assumption) -> str:
    """Return an assumed value with its source and reason, and with what this scale makes of it."""
    value = ", ".join(filter(None, [plain(assumption.value), here(plan, assumption)]))
    return f"{name(assumption)} = {value} ({assumption.source}: {assumption.why})"


def plain(value: Any) -> str:
    """Return a value as a page would spell it."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {plain(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return "/".join(map(plain, value))
    return "none" if value is None else str(value)


def digits_line(plan: Plan, cells: Iterable[Cell]) -> str | None:
    """Return a sentence on whose handwritten digits the cells show, or None if they show none."""
    used = {s.dataset: s.generator.digits for cell in cells for s in _splits(cell) if s.generator.digits}
    if not used:
        return None
    full = {c.where: c.full for c in plan.changes() if c.where.endswith(".generator.digits")}
    line = f"Digits: {', '.join(sorted(map(str, set(used.values()))))}"
    replaced = {str(full[w]) for dataset in used if (w := f"datasets.{dataset}.generator.digits") in full}
    return f"{line} (at full size: {', '.join(sorted(replaced))})." if replaced else f"{line}."


def _splits(cell: Cell) -> Iterator[Split]:
    """Yield the splits of generated clips behind a cell."""
    found = [split for run in cell.runs for split in (run.train, run.val)]
    found += [cell.walks] if cell.walks is not None else []
    for one in cell.trained():
        if one.view is not None:  # maps are of videos
            found += one.view.domains.values()
    yield from (split for split in found if isinstance(split, Split))
