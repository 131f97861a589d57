"""Lists for people: the runs of a scale, the cells of a table or figure."""

from retrace.plan.identity import run_name
from retrace.plan.items import Quoted
from retrace.plan.layout import run_folder
from retrace.plan.plan import Plan


def runs(plan: Plan) -> str:
    """Return one line per run of `plan`: its folder and how many cells share it."""
    shared = dict.fromkeys(plan.runs, 0)
    for cell in plan.all_cells():
        for run in cell.runs:
            shared[run_name(run)] += 1
    lines = [f"{run_folder(run)}  ({shared[name]} cells)" for name, run in plan.runs.items()]
    return "\n".join([*lines, f"{len(lines)} runs at scale {plan.scale}"])


def cells(plan: Plan, paper: str, key: str) -> str:
    """Return one line per cell of a table or figure: place, printed number, and what it rests on."""
    lines = []
    for cell in plan.cells(paper, key):
        rests = cell.not_run or ", ".join(run_name(run) for run in cell.runs) or "computed"
        printed = cell.published.value if isinstance(cell.published, Quoted) else cell.published
        lines.append(f"{cell.place}: printed {printed}; {rests}")
    return "\n".join(lines)
