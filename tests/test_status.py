"""How far the work is, from planted folders."""

import json
from pathlib import Path

import pytest

from retrace.plan.layout import TRAIN_LOG, run_folder
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
    for item, cells in (("table-1", 4), ("table-2", 4), ("figure-1", 12), ("figure-2", 6)):
        assert f"100 %  {cells} of {cells} cells" in line(text, f"mini/{item}")
    assert "1 tables and figures have nothing to do" in text  # the schematic


def test_a_run_under_way_tells_its_last_epoch(plan):
    run = next(iter(plan.runs.values()))
    folder = plan.root / run_folder(run)
    (folder / "weights.safetensors").unlink()
    records = [{"epoch": e, "monitor/val_top1": 0.1 * e, "data_wait": 0.25} for e in (1, 2, 3)]
    (folder / "log.jsonl").write_text("\n".join(map(json.dumps, [*records, {"warning": "w"}])) + '\n{"epo')
    text = report(plan)
    assert "11 done, 1 in progress" in text
    said = line(text, "in progress  ")
    assert "epoch 3 of at most 30, validation 30.0 %, waiting for data 25 % of the time" in said


def test_a_checkpoint_alone_is_progress(tmp_path):
    plan = small_plan(tmp_path)
    (plan.root / run_folder(next(iter(plan.runs.values()))) / "checkpoint").mkdir(parents=True)
    assert "first epoch" in report(plan)


def test_a_failed_run_tells_its_reason_and_the_end_of_its_log(plan):
    run = next(iter(plan.runs.values()))
    folder = run_folder(run)
    write(plan, run, "failure.json", {"reason": "the loss is nan"})
    log = plan.root / TRAIN_LOG.format(dataset=folder.parent.name, run=folder.name)
    log.parent.mkdir(parents=True)
    log.write_text("one\ntwo\nthree\nfour\n\n")
    text = report(plan)
    assert "11 done, 0 in progress, 1 failed" in text and "the loss is nan" in line(text, "  failed ")
    assert "| four" in text and "| one" not in text
