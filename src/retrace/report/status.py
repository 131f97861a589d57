"""How far the work of a scale is: what is done, under way, failed and waiting."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from retrace.plan.expand import Cell
from retrace.plan.layout import TRAIN_LOG, answers_of, run_folder
from retrace.plan.plan import Plan
from retrace.plan.spec import Run
from retrace.report.outcome import outcome, run_label
from retrace.report.rests_on import active
from retrace.report.results import Results

State = Literal["done", "in progress", "failed", "waiting"]
_LOG_LINES = 3


class Progress(NamedTuple):
    """How far one run is. `record` is the last epoch in its log; `views` counts those with scores."""

    run: Run
    state: State
    reason: str
    record: dict[str, Any]
    views: tuple[int, int]


def report(plan: Plan) -> str:
    """Return the state of every run that is not simply done or waiting, and of every table and figure."""
    results = Results(plan.root)
    runs = [progress(plan, results, name) for name in plan.runs]
    return "\n".join([*_summary(plan, runs), *_details(plan, runs), "", *_items(plan, results)])


def progress(plan: Plan, results: Results, name: str) -> Progress:
    """Return how far the run `name` is."""
    run = plan.runs[name]
    folder = plan.root / run_folder(run)
    views = plan.views[name].values()
    scored = sum((plan.root / answers_of(run, view)).is_file() for view in views)
    failure = results.failure(run)
    records = _log(folder / "log.jsonl")
    state: State = "waiting"
    if failure is not None:
        state = "failed"
    elif (folder / "weights.safetensors").is_file():
        state = "done"
    elif records or (folder / "checkpoint").is_dir():
        state = "in progress"
    return Progress(run, state, failure or "", records[-1] if records else {}, (scored, len(views)))


def _summary(plan: Plan, runs: list[Progress]) -> Iterator[str]:
    states = [run.state for run in runs]
    counts = ", ".join(
        f"{states.count(state)} {state}" for state in ("done", "in progress", "failed", "waiting")
    )
    yield f"Scale {plan.scale}: {len(runs)} runs: {counts}"
    scored, asked = sum(run.views[0] for run in runs), sum(run.views[1] for run in runs)
    yield f"Views with scores: {scored} of {asked}"


def _details(plan: Plan, runs: list[Progress]) -> Iterator[str]:
    for run in runs:
        if run.state == "in progress":
            yield f"  in progress  {run_label(run.run)}  {_epoch(run)}"
    for run in runs:
        if run.state == "failed":
            yield f"  failed       {run_label(run.run)}  {run.reason}"
            folder = run_folder(run.run)
            log = plan.root / TRAIN_LOG.format(dataset=folder.parent.name, run=folder.name)
            yield from (f"               | {line}" for line in _tail(log))


def _epoch(run: Progress) -> str:
    record = run.record
    if "epoch" not in record:
        return "first epoch"
    parts = [f"epoch {record['epoch']} of at most {run.run.protocol.epochs}"]
    if "monitor/val_top1" in record:
        parts.append(f"validation {100 * record['monitor/val_top1']:.1f} %")
    if "data_wait" in record:
        parts.append(f"waiting for data {100 * record['data_wait']:.0f} % of the time")
    return ", ".join(parts)


def _tail(path: Path) -> list[str]:
    """Return the last lines of a log that say something; none if there is no log."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line for line in lines if line.strip()][-_LOG_LINES:]


def _log(path: Path) -> list[dict[str, Any]]:
    """Return the epochs in a run's log.jsonl. A line that is just being written is left out."""
    records = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if "epoch" in record:
            records.append(record)
    return records


def _items(plan: Plan, results: Results) -> Iterator[str]:
    idle = 0
    for paper in plan.papers:
        for key in plan.items(paper):
            planned = [cell for cell in plan.cells(paper, key) if active(cell)]
            done = sum(_is_done(cell, plan, results) for cell in planned)
            idle += not planned
            if planned:
                share = f"{100 * done / len(planned):.0f} %"
                yield f"  {f'{paper}/{key}':<24} {share:>5}  {done} of {len(planned)} cells"
    if idle:
        yield f"  {idle} tables and figures have nothing to do at this scale"


def _is_done(cell: Cell, plan: Plan, results: Results) -> bool:
    if not cell.runs:
        return outcome(cell, results).state == "measured"
    answers = [answers_of(run, one.asked) for one in cell.trained() for run in one.runs if one.asked]
    return all((plan.root / path).is_file() for path in answers)
