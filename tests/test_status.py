"""How far the work is, from planted folders."""

import json
import os
import time
from pathlib import Path

import pytest

from retrace.plan.layout import SCORE_LOG, TRAIN_LOG, answers_of, run_folder
from retrace.plan.plan import Plan
from retrace.report.status import report
from small_plan import count, first, plant, small_plan, write


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    plan = small_plan(tmp_path)
    plant(plan, lambda run, domain: first(0.5))
    for run in plan.runs.values():
        (plan.root / run_folder(run) / "weights.safetensors").touch()
    return plan


def line(text: str, word: str) -> str:
    return next(line for line in text.splitlines() if word in line)


def test_with_nothing_done_all_waits(tmp_path):
    text = report(small_plan(tmp_path))
    assert "12 runs: 0 done, 0 in progress, 0 failed, 12 waiting" in text
    assert "Views with scores: 0 of 12" in text
    assert "0 of 12 cells" in line(text, "mini/figure-1")


def test_with_all_done_every_share_is_full(plan):
    count(plan, 1, 1)
    text = report(plan)
    assert "12 runs: 12 done" in text
    assert "4 tables and figures have all that they need, 1 have nothing to do at this scale" in text
    assert "mini/" not in text


def test_a_part_of_a_table_is_told_as_its_share(plan):
    first_run = next(iter(plan.runs.values()))
    for path in (plan.root / run_folder(first_run) / "views").rglob("scores.parquet"):
        path.unlink()
    text = report(plan)
    assert "50 %  2 of 4 cells" in line(text, "mini/table-1")
    assert "Views with scores: 11 of 12" in text


def under_way(plan: Plan, *records: dict) -> str:
    """Return what is said of a run that has written `records` to its log, an hour and a half ago."""
    folder = plan.root / run_folder(next(iter(plan.runs.values())))
    (folder / "weights.safetensors").unlink()
    log = folder / "log.jsonl"
    log.write_text("".join(json.dumps(record) + "\n" for record in records) + '{"epo')
    os.utime(log, (time.time() - 5400,) * 2)
    text = report(plan)
    assert "11 done, 1 in progress" in text
    return line(text, folder.name)


def test_a_run_under_way_tells_its_epoch_what_is_left_and_when_it_was_heard(plan):
    records = [
        {"epoch": e, "monitor/val_top1": 0.1 * e, "data_wait": 0.25, "seconds": 900 + e, "val_seconds": 100}
        for e in (1, 2, 3)
    ]
    said = under_way(plan, *records, {"warning": "w"})
    assert said.split()[:7] == ["3/30", "30.0", "%", "25", "%", "7:30", "h"]  # 27 epochs of 1002 seconds
    assert "1:30 h ago" in said


def test_what_is_left_is_told_from_the_last_epochs(plan):
    slow, quick = ({"seconds": seconds, "val_seconds": 0.0} for seconds in (3600.0, 2.0))
    records = [{"epoch": e} | (slow if e == 1 else quick) for e in range(1, 11)]
    assert "10/30" in (said := under_way(plan, *records)) and "00:40" in said.split()


def test_a_checkpoint_alone_is_progress(tmp_path):
    plan = small_plan(tmp_path)
    folder = run_folder(next(iter(plan.runs.values())))
    (plan.root / folder / "checkpoint").mkdir(parents=True)
    (plan.root / folder / "checkpoint/latest.pt").touch()
    assert line(report(plan), folder.name).split()[:3] == ["0/30", "00:00", "ago"]


def test_every_line_fits_into_a_narrow_terminal(plan):
    run = next(iter(plan.runs.values()))
    write(plan, run, "failure.json", {"reason": "because " * 40})
    assert max(map(len, report(plan).splitlines())) == 100


def test_a_view_whose_log_ends_in_an_error_tells_it(plan):
    run = next(iter(plan.runs.values()))
    [key] = plan.views[run_folder(run).name]
    log = plan.root / SCORE_LOG.format(dataset=run.train.dataset, run=run_folder(run).name, view=key)
    log.parent.mkdir(parents=True)
    log.write_text("retrace score: the weights do not fit\n")
    assert "the weights do not fit" not in report(plan)  # there are scores: that was before
    (plan.root / answers_of(run, plan.views[run_folder(run).name][key])).unlink()
    assert f"failed  {run.train.dataset}/{run_folder(run).name}, view {key}" in report(plan)
    log.write_text("Traceback (most recent call last):\ntorch.OutOfMemoryError: of 80 GiB\n")
    assert "| torch.OutOfMemoryError: of 80 GiB" in report(plan)
    log.write_text("scores: 40 of 120 clips\n")
    assert "40 of 120" not in report(plan)


def test_a_failed_run_tells_its_reason_and_the_end_of_its_log(plan):
    run = next(iter(plan.runs.values()))
    folder = run_folder(run)
    write(plan, run, "failure.json", {"reason": "the loss is nan"})
    log = plan.root / TRAIN_LOG.format(dataset=folder.parent.name, run=folder.name)
    log.parent.mkdir(parents=True)
    log.write_text("one\ntwo\nthree\nfour\n\n")
    text = report(plan)
    assert "11 done, 0 in progress, 1 failed" in text
    assert f"failed  {folder.parent.name}/{folder.name}\n        the loss is nan\n" in text
    assert "| four" in text and "| one" not in text
