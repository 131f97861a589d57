"""Putting a full-size run on record: a few lines of csv in results/published/, kept in git."""

import csv
import datetime
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retrace.errors import UserError
from retrace.files import write_text
from retrace.plan.identity import run_name
from retrace.plan.layout import PUBLISHED, run_folder, view_folder
from retrace.plan.plan import Plan
from retrace.plan.spec import Run
from retrace.report.results import RECORD, read_json


def publish(plan: Plan, run: Run) -> list[str]:
    """Record every answered view of `run` with each paper that rests on it; return the files written.

    Raises UserError if no paper has this run at scale `paper`, or if it has not answered a view.
    """
    papers = {c.place.paper for c in plan.all_cells() if run in c.runs}
    if not papers:
        raise UserError(f"{run_name(run)}: no paper has this run at scale paper")
    rows = list(_rows(plan, run))
    files = []
    for paper in sorted(papers):
        path = plan.root / PUBLISHED.format(paper=paper)
        kept = [row for row in _read(path) if row["run"] != rows[0]["run"]]
        lines = sorted([*kept, *rows], key=lambda row: (row["run"], row["view"], row["domain"]))
        write_text(path, _text(lines))
        files.append(str(path))
    return files


def _rows(plan: Plan, run: Run) -> Iterator[dict[str, Any]]:
    environment = read_json(plan.root / run_folder(run) / "env.json")
    for view in plan.views[run_name(run)].values():
        metrics = read_json(plan.root / view_folder(run, view) / "metrics.json")
        if environment is None or metrics is None:
            raise UserError(f"{run_name(run)}: not trained, or view {view.name} is not scored yet")
        for domain, found in sorted(metrics["domains"].items()):
            yield {
                "run": f"{run.train.dataset}/{run_name(run)}",
                "view": view.name,
                "domain": domain,
                "top1": round(100 * found["top1"], 2),
                "n": found["n"],
                "hardware": hardware(environment),
                "hours": round(environment["wall_seconds"] / 3600, 2),
                "commit": _short(environment["commit"]),
                "date": datetime.date.today().isoformat(),
            }


def hardware(environment: dict[str, Any]) -> str:
    """Return what a run was computed on in a few words, e.g. ``NVIDIA H200`` or ``1 core x86_64 AVX512``."""
    ranks = environment.get("ranks", 1)
    if environment["gpu"]:
        return f"{ranks} x {environment['gpu']}" if ranks > 1 else str(environment["gpu"])
    return f"{ranks * environment['threads']} core {environment['cpu']} {environment['cpu_capability']}"


def _short(commit: str | None) -> str:
    """Return a commit as its first 12 digits, marked where the tree had changes of its own; or nothing."""
    name, _, dirty = (commit or "").partition("-")
    return name[:12] + ("-dirty" if dirty else "")


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


def _text(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, RECORD, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
