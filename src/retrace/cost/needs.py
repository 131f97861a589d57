"""What tables and figures rest on: trainings, and what is asked of them; less the answers there are."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from retrace.plan.identity import run_name
from retrace.plan.layout import answers_of
from retrace.plan.maps import Maps
from retrace.plan.plan import Plan
from retrace.plan.spec import Run, VideoView, View

Item = tuple[str, str]
"""A paper and the key of one of its tables or figures."""


class Ask(NamedTuple):
    """A view, or maps, that the run of this name is still to be asked."""

    run: str
    asked: View | VideoView | Maps


class Needs(NamedTuple):
    """The runs that something rests on by name, with their ancestors; and what is asked, by its file."""

    runs: dict[str, Run]
    asks: dict[str, Ask]


def needs(plan: Plan, items: Iterable[Item]) -> dict[Item, Needs]:
    """Return what each table or figure rests on."""
    return {item: _needs(plan, item) for item in items}


def together(several: Iterable[Needs]) -> Needs:
    """Return what several tables and figures rest on: what they share is in it once."""
    runs: dict[str, Run] = {}
    asks: dict[str, Ask] = {}
    for one in several:
        runs |= one.runs
        asks |= one.asks
    return Needs(runs, asks)


def line(plan: Plan, run: Run) -> Iterator[tuple[str, Run]]:
    """Yield a run with its name, then those that it starts from, the nearest first."""
    yield (name := run_name(run)), run
    while (parent := plan.parents.get(name)) is not None:
        yield (name := run_name(parent)), parent


def _needs(plan: Plan, item: Item) -> Needs:
    runs: dict[str, Run] = {}
    asks: dict[str, Ask] = {}
    for cell in plan.cells(*item):
        for one in cell.trained():
            for run in one.runs:
                above = dict(line(plan, run))
                runs |= above
                answers = answers_of(run, one.asked) if one.asked is not None else None
                if answers is not None and not (plan.root / answers).is_file():
                    asks[answers.as_posix()] = Ask(next(iter(above)), one.asked)
    return Needs(runs, asks)
