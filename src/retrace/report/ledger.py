"""The ledger: every value that no paper prints, the numbers that rest on it, and what the scale shrinks."""

from collections import Counter
from typing import Any, NamedTuple

import pandas as pd
from tabulate import tabulate

from retrace.files import write_text
from retrace.plan.layout import LEDGER
from retrace.plan.load import Assumption
from retrace.plan.plan import Plan
from retrace.report import rests_on
from retrace.report.wording import markdown

_NOWHERE = "nothing at this scale"


class Entry(NamedTuple):
    """An assumed value, what this scale makes of it ("" if it leaves it), and the items that rest on it."""

    assumption: Assumption
    here: str
    cells: dict[str, int]
    """How many cells of each table or figure (`<paper>/<key>`) rest on it at this scale."""

    def resting(self) -> str:
        """Return the items in words."""
        return ", ".join(f"{item} ({n})" for item, n in self.cells.items()) or _NOWHERE


def entries(plan: Plan) -> list[Entry]:
    """Return every assumed value behind any cell of any paper, in the order of the cells."""
    found: dict[tuple[str, tuple], Assumption] = {}
    cells: dict[tuple[str, tuple], Counter[str]] = {}
    for cell in plan.all_cells():
        for assumption in plan.assumptions(cell):
            key = assumption.file, assumption.key
            found.setdefault(key, assumption)
            count = cells.setdefault(key, Counter())
            if rests_on.active(cell):
                count[f"{cell.place.paper}/{cell.place.item}"] += 1
    return [Entry(a, rests_on.here(plan, a), dict(cells[key])) for key, a in found.items()]


def shrinks(plan: Plan) -> list[tuple[str, str, str, str]]:
    """Return what the scale makes smaller: paper, what, the paper's size and the size here."""
    found = [(c.paper, c.where, rests_on.plain(c.full), rests_on.plain(c.here)) for c in plan.changes()]
    stand_ins = plan.overlay.stand_ins.items()
    for paper, shrink in plan.overlay.papers.items():
        if shrink.seeds is not None:
            found.append((paper, "seeds of every protocol", "all", f"the first {shrink.seeds}"))
        if shrink.only is not None:
            only = " or ".join(rests_on.plain(pattern) for pattern in shrink.only)
            found.append((paper, "trained cells", "all", f"only {only}"))
        models = {"every trained model": shrink.model, "every cell of speed or memory": shrink.speed}
        models |= {f"trained models of {family}": change for family, change in shrink.families.items()}
        found += [(paper, of, "as its cell says", rests_on.plain(new)) for of, new in models.items() if new]
    return found + [
        ("all", real, "the publisher's videos", f"{generated}, generated") for real, generated in stand_ins
    ]


def render(plan: Plan) -> None:
    """Write ledger.md and ledger.csv."""
    ledger = entries(plan)
    stem = LEDGER.format(scale=plan.scale)
    table = pd.DataFrame([_line(entry) for entry in ledger], columns=_COLUMNS, dtype=object)
    write_text(plan.root / f"{stem}.csv", table.to_csv(index=False, lineterminator="\n"))
    write_text(plan.root / f"{stem}.md", _markdown(plan, ledger))


def _markdown(plan: Plan, ledger: list[Entry]) -> str:
    heads = ["value", "is", "source", "why", "stands at", "numbers that rest on it (cells)"]
    body = [[rests_on.name(e.assumption), *_described(e), e.resting()] for e in ledger]
    parts = [
        f"# What the numbers of scale {markdown(plan.scale)} rest on",
        "Values that the papers do not print. Source: where we have them from; `assumed` is our own choice.",
        _table(heads, body),
        f"## What scale {markdown(plan.scale)} changes",
        f"{markdown(plan.overlay.title)}. {markdown(plan.overlay.says)}",
        _table(["paper", "what", "at the paper's size", "here"], list(map(list, shrinks(plan)))),
    ]
    return "\n\n".join(parts) + "\n"


def _described(entry: Entry) -> list[str]:
    a = entry.assumption
    value = rests_on.plain(a.value) + (f" ({entry.here})" if entry.here else "")
    return [value, a.source.replace("_", " "), a.why, f"{a.file}:{a.line}"]


def _table(heads: list[str], body: list[list[str]]) -> str:
    if not body:
        return "Nothing."
    escaped = [[markdown(text) for text in line] for line in body]
    return tabulate(escaped, heads, tablefmt="pipe", disable_numparse=True)


_COLUMNS = ["value", "is", "here", "source", "why", "file", "line", "cells"]


def _line(entry: Entry) -> list[Any]:
    a = entry.assumption
    here = entry.here.removeprefix("here ") or None
    return [rests_on.name(a), rests_on.plain(a.value), here, a.source, a.why, a.file, a.line, entry.resting()]
