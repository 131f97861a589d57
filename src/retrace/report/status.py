"""How far the work of a scale is: what is done, under way, failed and waiting."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from retrace.plan.identity import run_name
from retrace.plan.layout import run_folder, view_folder
from retrace.plan.plan import Plan
from retrace.plan.spec import Run
from retrace.report.outcome import outcome, run_label
from retrace.report.results import Results
from retrace.report.rests_on import active

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
    scored = sum((plan.root / view_folder(run, view) / "scores.parquet").is_file() for view in views)
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
    counts = ", ".join(f"{states.count(state)} {state}" for state in ("done", "in progress", "failed", "waiting"))
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
            log = plan.root / run_folder(run.run) / "log.jsonl"
            yield from (f"               {line}" for line in _tail(log))


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


def _items(plan: Plan, results: Results) -> Iterator[str]:
    for paper in plan.papers:
        for key in plan.items(paper):
            planned = [cell for cell in plan.cells(paper, key) if active(cell)]
            done = sum(outcome(cell, results).state == "measured" for cell in planned)
            share = f"{done} of {len(planned)} cells" if planned else "nothing to do at this scale"
            yield f"  {paper}/{key:<10} {share}"
