"""`retrace budget`: what tables and figures will cost, as tables for the terminal."""

import math
import re
from collections.abc import Sequence
from itertools import accumulate, groupby
from operator import itemgetter
from pathlib import Path

from tabulate import tabulate

from retrace.cost.budget import Bill, Budget
from retrace.cost.executed import ASSUMED_TFLOPS, TERA, Executed, Speed, executed, finished, speed
from retrace.cost.needs import Item, needs, together
from retrace.cost.operations import Operations
from retrace.errors import UserError
from retrace.files import write_text
from retrace.plan.plan import Plan, target
from retrace.plan.strict import nearest

DOCUMENT = Path("docs/run-on-a-cluster.md")
_TABLE = re.compile(r"^\| paper .*\n(\|.*\n)+", re.MULTILINE)
HEADS = ["GPU-hours", "longest chain", "runs", "jobs", "disk (GB)"]
COLUMNS = ["left", *["right"] * len(HEADS)]


def bill(plan: Plan, wanted: Sequence[str], tflops: float | None, most_hours: float | None) -> str:
    """Return the bill of the tables and figures in `wanted`, of all of them if there are none.

    They are named as Snakemake's targets are, ``gta_table_3``, or ``gta/table-3``, or by a paper alone.
    `tflops` is what training reaches on one GPU, in 10^12 operations a second; without it what was measured
    here counts. With `most_hours` those that fit into so many GPU-hours are named, too.
    Raises UserError with the nearest name for an unknown one, and for a number that makes no sense.
    """
    for option, number in (("--tflops", tflops), ("--max-gpu-hours", most_hours)):
        if number is not None and not 0 < number < math.inf:
            raise UserError(f"{option} should be a number above 0 (got {number:g})")
    items = _items(plan, wanted)
    wanted_by, over = needs(plan, items), finished(plan)
    operations = Operations(plan, over | together(wanted_by.values()).runs)
    done = executed(plan, over, operations)
    pace = speed(plan, tflops, done)
    budget = Budget(plan, wanted_by, operations, pace.flops)
    parts = [*_bills(budget, items), *_notes(plan, pace)]
    if most_hours is not None:
        parts += ["", *_within(budget, most_hours)]
    if done:
        parts += ["", *_against(done, pace)]
    return "\n".join(parts)


def documented(plan: Plan) -> str:
    """Return the bill of each paper, and of all together, at the assumed speed, as it stands in DOCUMENT."""
    items = _items(plan, [])
    found = needs(plan, items)
    budget = Budget(plan, found, Operations(plan, together(found.values()).runs), ASSUMED_TFLOPS * TERA)
    lines = [_line(plan.papers[paper].short, budget.bill(mine)) for paper, mine in _papers(items).items()]
    lines.append(_line("all, what they share once", budget.bill(items)))
    return tabulate(lines, ["paper", *HEADS], tablefmt="pipe", colalign=COLUMNS, disable_numparse=True)


def document(plan: Plan) -> None:
    """Write what `documented` returns into DOCUMENT, in the place of the table that stands there."""
    path = plan.root / DOCUMENT
    text = path.read_text(encoding="utf-8")
    write_text(path, _TABLE.sub(lambda _: documented(plan) + "\n", text, count=1))


def _bills(budget: Budget, items: Sequence[Item]) -> list[str]:
    """Return a line for each table or figure, for each paper if they are several, and for all."""
    bills = {target(*item): budget.bill([item]) for item in items}
    lines = [_line(name, found) for name, found in bills.items() if found.jobs]
    idle = len(items) - len(lines)
    papers = _papers(items)
    if len(papers) > 1:
        lines += [_line(f"{paper} together", budget.bill(mine)) for paper, mine in papers.items()]
    lines.append(_line("all together", budget.bill(items)))
    table = tabulate(
        lines, ["table or figure", *HEADS], tablefmt="simple", colalign=COLUMNS, disable_numparse=True
    )
    return [table, ""] + ([f"{idle} tables and figures cost no more than a moment."] if idle else [])


def _papers(items: Sequence[Item]) -> dict[str, list[Item]]:
    return {paper: list(mine) for paper, mine in groupby(items, key=itemgetter(0))}


def _line(name: str, found: Bill) -> list[str]:
    counts = (f"{found.runs:,}", f"{found.jobs:,}")
    return [name, _short(found.hours), _short(found.chain), *counts, _short(found.bytes / 1e9)]


def _short(number: float) -> str:
    """Return `number` with as many digits as anybody wants to read."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}" if number >= 1 else f"{number:.2g}"


def _notes(plan: Plan, pace: Speed) -> list[str]:
    return [
        f"Scale {plan.scale}, at {pace.flops / TERA:.3g} TFLOP/s on one GPU: {pace.source}.",
        "What is done is out; what several share is in each of their lines and once in the last.",
        "Jobs: trainings and views. Disk: stored frames, clips, weights and scores.",
    ]


def _within(budget: Budget, hours: float) -> list[str]:
    """Return the tables and figures that fit into `hours`, with what each adds and the sum so far."""
    taken = budget.cheapest(hours)
    sums = accumulate(added for _, added in taken)
    lines = [
        (target(*item), _short(added), _short(total))
        for (item, added), total in zip(taken, sums, strict=True)
    ]
    heads = ["table or figure", "adds (h)", "sum (h)"]
    table = tabulate(lines, heads, tablefmt="simple", colalign=COLUMNS[:3], disable_numparse=True)
    return [f"Within {hours:,g} GPU-hours fit, the cheapest first, what they share paid once:", "", table]


def _against(done: Sequence[Executed], pace: Speed) -> list[str]:
    """Return what was trained, predicted from its operations at `pace`, beside what it took."""
    lines = []
    for family in sorted({one.run.model.family for one in done}):
        of_it = [one for one in done if one.run.model.family == family]
        predicted = sum(one.operations for one in of_it) / pace.flops / 3600
        took = sum(one.seconds for one in of_it) / 3600
        lines.append([family, len(of_it), predicted, took, took / predicted])
    heads = ["trained here", "runs", "predicted (h)", "took (h)", "took / predicted"]
    return [tabulate(lines, heads, tablefmt="simple", floatfmt=",.3g")]


def _items(plan: Plan, wanted: Sequence[str]) -> list[Item]:
    known = {target(paper, key): (paper, key) for paper in plan.papers for key in plan.items(paper)}
    found: list[Item] = []
    for word in wanted:
        name = word.replace("/", "_").replace("-", "_")
        of_paper = [item for item in known.values() if item[0] == word]
        if not of_paper and name not in known:
            hint = nearest(name, [*known, *plan.papers])
            raise UserError(f"there is no table, figure or paper '{word}'; {hint}")
        found += of_paper or [known[name]]
    return list(dict.fromkeys(found)) or list(known.values())
