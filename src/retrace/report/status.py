"""How far the work of a scale is: what is done, under way, failed and waiting. Lines fit into 100 columns."""

import json
import re
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tabulate import tabulate

from retrace.plan.expand import Cell
from retrace.plan.layout import SCORE_LOG, TRAIN_LOG, answers_of, run_folder
from retrace.plan.plan import Plan
from retrace.plan.spec import Run
from retrace.report.outcome import outcome, run_label
from retrace.report.rests_on import active
from retrace.report.results import Results

State = Literal["done", "in progress", "failed", "waiting"]
_STATES: tuple[State, ...] = ("done", "in progress", "failed", "waiting")
_LOG_LINES, _WIDTH = 3, 100
_RECENT = 5
"""Epochs whose mean time foretells that of those to come."""
_ERROR = re.compile(r"^(retrace \w+: |\w+(\.\w+)*(Error|Exception)\b)")
"""The last line of a log whose step has failed."""


class Progress(NamedTuple):
    """How far one run is. `records` are the epochs in its log, `heard` is when it last gave a sign."""

    run: Run
    state: State
    reason: str
    records: list[dict[str, Any]]
    heard: float
    scored: int
    asked: int


def report(plan: Plan) -> str:
    """Return the state of every run that is not simply done or waiting, and of every table and figure."""
    results = Results(plan.root)
    runs = [progress(plan, results, name) for name in plan.runs]
    failed = [*_failed_runs(plan, runs), *_failed_views(plan)]
    parts = [_summary(plan, runs), _under_way(runs), failed, list(_items(plan, results))]
    return "\n\n".join("\n".join(line[:_WIDTH] for line in part) for part in parts if part)


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
    elif records or (folder / "log.jsonl").is_file() or (folder / "checkpoint").is_dir():
        state = "in progress"
    heard = max((_time(folder / file) for file in ("log.jsonl", "checkpoint/latest.pt")), default=0.0)
    return Progress(run, state, failure or "", records, heard, scored, len(views))


def _summary(plan: Plan, runs: Sequence[Progress]) -> list[str]:
    states = [run.state for run in runs]
    counts = ", ".join(f"{states.count(state)} {state}" for state in _STATES)
    scored, asked = sum(run.scored for run in runs), sum(run.asked for run in runs)
    return [f"Scale {plan.scale}: {len(runs)} runs: {counts}", f"Views with scores: {scored} of {asked}"]


def _under_way(runs: Sequence[Progress]) -> list[str]:
    """Return a line for each run in progress: one that has not been heard of for long is not at work."""
    lines = [_line(run) for run in runs if run.state == "in progress"]
    heads = ["epoch", "validation", "waits for data", "left", "heard", "in progress"]
    align = [*["right"] * 5, "left"]
    table = tabulate(lines, heads, tablefmt="simple", colalign=align, disable_numparse=True) if lines else ""
    return table.splitlines()


def _line(run: Progress) -> list[str]:
    last = run.records[-1] if run.records else {}
    most = run.run.protocol.epochs
    return [
        f"{last.get('epoch', 0)}/{most}",
        _percent(last.get("monitor/val_top1"), 1),
        _percent(last.get("data_wait"), 0),
        _left(run.records, most),
        f"{_duration(time.time() - run.heard)} ago",
        run_label(run.run),
    ]


def _percent(share: float | None, digits: int) -> str:
    return "" if share is None else f"{100 * share:.{digits}f} %"


def _left(records: Sequence[dict[str, Any]], epochs: int) -> str:
    """Return how long the epochs to come take, at most, if they take as long as the last ones."""
    recent = [record["seconds"] + record["val_seconds"] for record in records[-_RECENT:]]
    return _duration((epochs - len(records)) * sum(recent) / len(recent)) if recent else ""


def _duration(seconds: float) -> str:
    """Return a time to the second, from an hour on to the minute, from two days on to the hour."""
    if seconds >= 2 * 86400:
        return f"{seconds / 86400:.0f} d {seconds % 86400 / 3600:.0f} h"
    text = str(timedelta(seconds=round(max(seconds, 0))))
    return f"{text.rpartition(':')[0]} h" if seconds >= 3600 else text.removeprefix("0:")


def _failed_runs(plan: Plan, runs: Sequence[Progress]) -> list[str]:
    lines: list[str] = []
    for run in runs:
        if run.state == "failed":
            folder = run_folder(run.run)
            log = TRAIN_LOG.format(dataset=folder.parent.name, run=folder.name)
            lines += [f"failed  {run_label(run.run)}", f"        {run.reason}", *_tail(plan.root / log)]
    return lines


def _failed_views(plan: Plan) -> list[str]:
    """Return what is told of views whose log ends in an error. (Tables say `no scores yet` of them.)"""
    lines: list[str] = []
    for name, views in plan.views.items():
        run = plan.runs[name]
        for key, view in views.items():
            log = plan.root / SCORE_LOG.format(dataset=run.train.dataset, run=name, view=key)
            last = _lines(log)[-1:] if not (plan.root / answers_of(run, view)).is_file() else []
            if last and _ERROR.match(last[0]):
                lines += [f"failed  {run_label(run)}, view {key}", *_tail(log)]
    return lines


def _tail(path: Path) -> list[str]:
    return [f"        | {line}" for line in _lines(path)[-_LOG_LINES:]]


def _lines(path: Path) -> list[str]:
    """Return the lines of a log that say something; none if there is no log."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line for line in lines if line.strip()]


def _time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # not there, or just being replaced
        return 0.0


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
    done, idle = 0, 0
    for paper in plan.papers:
        for key in plan.items(paper):
            planned = [cell for cell in plan.cells(paper, key) if active(cell)]
            ready = sum(_is_done(cell, plan, results) for cell in planned)
            idle += not planned
            done += bool(planned) and ready == len(planned)
            if ready < len(planned):
                share = f"{100 * ready / len(planned):.0f} %"
                yield f"{f'{paper}/{key}':<30} {share:>5}  {ready} of {len(planned)} cells"
    yield f"{done} tables and figures have all that they need, {idle} have nothing to do at this scale"


def _is_done(cell: Cell, plan: Plan, results: Results) -> bool:
    if not cell.runs:
        return outcome(cell, results).state == "measured"
    answers = [answers_of(run, one.asked) for one in cell.trained() for run in one.runs if one.asked]
    return all((plan.root / path).is_file() for path in answers)
