"""`retrace budget`: what tables and figures will cost, as a table for the terminal."""

from collections.abc import Sequence

from tabulate import tabulate

from retrace.cost.budget import Bill, Budget
from retrace.errors import UserError
from retrace.plan.plan import Plan, target
from retrace.plan.strict import nearest

TERA = 1e12


def bill(plan: Plan, wanted: Sequence[str], tflops: float) -> str:
    """Return the bill of the tables and figures in `wanted`, of all of them if there are none.

    They are named as Snakemake's targets are, ``gta_table_3``, or ``gta/table-3``, or by a paper alone.
    `tflops` is what training reaches on one GPU, in 10^12 operations a second.
    Raises UserError with the nearest name for an unknown one, and for a speed that is none.
    """
    if not tflops > 0:
        raise UserError(f"--tflops should be a speed above 0 (got {tflops:g})")
    items = _items(plan, wanted)
    budget = Budget(plan, items, tflops * TERA)
    bills = {target(*item): budget.item(*item) for item in items}
    lines = [_line(name, found) for name, found in bills.items() if found.jobs]
    idle = len(bills) - len(lines)
    lines.append(_line("all together", budget.together(items)))
    heads = ["table or figure", "GPU-hours", "longest chain", "runs", "jobs", "disk (GB)"]
    table = tabulate(lines, heads, tablefmt="simple", floatfmt=",.1f", intfmt=",")
    return "\n".join([table, "", *_notes(plan, tflops, idle)])


def _line(name: str, found: Bill) -> list[object]:
    return [name, found.hours, found.chain, found.runs, found.jobs, found.bytes / 1e9]


def _notes(plan: Plan, tflops: float, idle: int) -> list[str]:
    notes = [
        f"Scale {plan.scale}, at {tflops:g} TFLOP/s on one GPU. What is done is out; what several share",
        "is in each of their lines and once in the last. Disk: stored frames, clips, weights and scores.",
    ]
    return notes + ([f"{idle} tables and figures cost no more than a moment."] if idle else [])


def _items(plan: Plan, wanted: Sequence[str]) -> list[tuple[str, str]]:
    known = {target(paper, key): (paper, key) for paper in plan.papers for key in plan.items(paper)}
    found: list[tuple[str, str]] = []
    for word in wanted:
        name = word.replace("/", "_").replace("-", "_")
        of_paper = [item for item in known.values() if item[0] == word]
        if not of_paper and name not in known:
            hint = nearest(name, [*known, *plan.papers])
            raise UserError(f"there is no table, figure or paper '{word}'; {hint}")
        found += of_paper or [known[name]]
    return list(dict.fromkeys(found)) or list(known.values())
