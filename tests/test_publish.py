"""Numbers on record: only of runs that the papers ask for, in the unit of the tables."""

import csv
import json
from pathlib import Path

import pytest

from retrace.errors import UserError
from retrace.plan.identity import run_name
from retrace.plan.layout import run_folder, view_folder
from retrace.plan.plan import Plan
from retrace.plan.spec import Split
from retrace.report.publish import publish
from retrace.report.results import RECORD

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {"gpu": "a card", "wall_seconds": 5400.0, "commit": "abc"}


@pytest.fixture(scope="module")
def full():
    return Plan(ROOT, "paper")


@pytest.fixture
def plan(full, tmp_path, monkeypatch):
    monkeypatch.setattr(full, "root", tmp_path)
    return full


def answer(plan, run, top1):
    folder = plan.root / run_folder(run)
    folder.mkdir(parents=True)
    (folder / "env.json").write_text(json.dumps(ENVIRONMENT))
    for view in plan.views[run_name(run)].values():
        out = plan.root / view_folder(run, view)
        out.mkdir(parents=True)
        domains = {name: {"n": split.clips, "top1": top1} for name, split in view.domains.items()}
        (out / "metrics.json").write_text(json.dumps({"domains": domains}))


def temporal_shape(plan):
    """Return the runs of the first paper, whose splits tell their size."""
    clips = (run for run in plan.runs.values() if isinstance(run.train, Split))
    return [run for run in clips if run.train.dataset.startswith("temporal-shape")]


def read(path):
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_is_recorded_in_percent_and_hours_one_line_a_domain(plan):
    run = temporal_shape(plan)[0]
    answer(plan, run, 0.625)
    (path,) = publish(plan, run)
    rows = read(path)
    assert [row["domain"] for row in rows] == ["2Dot", "5Dot", "MNIST", "MNIST-bg"]
    assert {(row["top1"], row["hours"], row["hardware"]) for row in rows} == {("62.5", "1.5", "a card")}
    assert [row["n"] for row in rows] == ["1000", "500", "500", "500"]


def test_recording_again_replaces_and_other_runs_stay(plan):
    first, second = temporal_shape(plan)[:2]
    for run in (first, second):
        answer(plan, run, 0.5)
        publish(plan, run)
    (path,) = publish(plan, first)
    assert len(read(path)) == 8


def test_a_run_without_scores_or_of_another_scale_is_refused(plan):
    run = temporal_shape(plan)[0]
    with pytest.raises(UserError, match="not trained"):
        publish(plan, run)
    demo = next(iter(Plan(ROOT, "demo").runs.values()))
    with pytest.raises(UserError, match="no paper has this run"):
        publish(plan, demo)


@pytest.mark.parametrize("path", sorted((ROOT / "results/published").glob("*.csv")), ids=lambda p: p.stem)
def test_every_number_on_record_belongs_to_a_run_that_the_papers_ask_for(full, path):
    rows = read(path)
    assert rows
    known = {f"{run.train.dataset}/{name}": name for name, run in full.runs.items()}
    for row in rows:
        assert set(row) == set(RECORD)
        assert row["run"] in known, f"{row['run']} is no run of scale paper now: has a number moved?"
        views = {view.name: view for view in full.views[known[row["run"]]].values()}
        assert int(row["n"]) == views[row["view"]].domains[row["domain"]].clips
        assert 0 <= float(row["top1"]) <= 100
