"""Cells of speed and memory: from what the machine at hand says to a number, a verdict and a claim."""

import json
from pathlib import Path

import pytest

from retrace.cost.speeds import write
from retrace.errors import UserError
from retrace.plan import counted
from retrace.plan.layout import SPEEDS
from retrace.plan.plan import Plan
from retrace.report import claims, tables
from retrace.report.results import Results
from retrace.report.why import explain
from small_plan import SCALES, small_plan

FASTER = {"of": "table-3", "row": "cnn3d", "column": "speed"}
SLOWER = {"of": "table-3", "row": "convlstm", "column": "speed"}


def timed(paper: dict) -> None:
    """Add a table of speeds, and a claim on it."""
    size = {"classes": 6, "frames": 8, "side": 16, "channels": 1, "model": {"layers": 3, "hidden": 4}}
    asked = {"step": "inference", "most": 64, "device": "gpu", "card": "Old Card"}
    units = {"speed": ("clips/s", "clips_per_second"), "batch": ("clips", "largest_batch")}
    units["memory"] = ("GiB", "peak_memory")
    paper["tables"]["table-3"] = {
        **{"number": "Table 3", "title": "Fast", "place": "page 6", "header": "Model"},
        "cell": size | asked,
        "columns": [
            {"key": key, "label": key, "unit": unit, "decimals": 1, "cell": {"measure": measure}}
            for key, (unit, measure) in units.items()
        ],
        "rows": [
            {"key": f, "label": f, "cell": {"model": {"family": f}}, "published": [20.0, 8, 3.0]}
            for f in ("cnn3d", "convlstm")
        ],
    }
    paper["claims"]["faster"] = {
        "says": "The 3D CNN is faster.",
        "place": "page 6",
        "comparisons": [{"more": FASTER, "less": SLOWER}],
    }


def planted(root: Path, scale: str = "paper", hardware: str = "New Card") -> Plan:
    """Return a plan whose machine did 8 clips of the 3D CNN in 0.4 s, of the ConvLSTM in 0.8 s."""
    plan = small_plan(root, scale, timed)
    told = {"hardware": hardware, "clock": "wall time", "torch": "9.9", "step": "inference", "most": 64}
    entries = {}
    for key, cell in counted.speeds(plan, "mini").items():
        slow = 1 + (cell.model.family == "convlstm")
        seconds = [slow * second for second in (0.38, 0.39, 0.40, 0.40, 0.41, 0.42, 0.9)]
        entries[key] = told | {"batch": 8, "peak_bytes": 3 * 2**30, "seconds": seconds}
        entries[key]["variants"] = {"channels-last": 25.0}
    path = root / SPEEDS.format(scale=scale, paper="mini")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(entries))
    return plan


def line(plan: Plan, row: str) -> str:
    tables.render(plan, "mini", "table-3")
    text = (plan.root / f"results/{plan.scale}/tables/mini/table-3.md").read_text()
    return next(line for line in text.splitlines() if line.startswith(f"| {row}"))


def test_a_speed_is_the_batch_over_the_median_time(tmp_path):
    plan = planted(tmp_path)
    assert "| 20.0 [" in line(plan, "cnn3d") and "| 10.0 [" in line(plan, "convlstm")
    assert "| 8.0 (8.0) other hardware" in line(plan, "cnn3d")
    assert "| 3.0 (3.0) other hardware" in line(plan, "cnn3d")


def test_only_the_papers_own_card_is_compared(tmp_path):
    assert "(20.0) match" in line(planted(tmp_path / "same", hardware="The OLD card 32G"), "cnn3d")
    assert "(20.0) other hardware" in line(planted(tmp_path / "other"), "cnn3d")
    assert "(20.0) demo" in line(planted(tmp_path / "demo", "demo", "old card"), "cnn3d")


def test_the_machine_stands_beside_the_number(tmp_path):
    plan = planted(tmp_path)
    tables.render(plan, "mini", "table-3")
    assert (
        "inference on New Card, wall time, torch 9.9"
        in (tmp_path / "results/paper/tables/mini/table-3.md").read_text()
    )
    text = explain(plan, "mini/table-3", ["cnn3d", "speed"])
    assert "results/speed/paper/mini.json" in text
    assert "batch 8" in text and "channels-last: 25.0 clips/s" in text


def test_claims_on_speeds_are_decided_with_the_spread_of_the_repeats(tmp_path):
    plan = planted(tmp_path)
    claim = plan.papers["mini"].claims["faster"]
    found = claims.decide(plan, Results(tmp_path), "mini", "faster", claim)
    assert found.verdict == "holds" and found.margin.value == pytest.approx(10)
    assert 0 < found.margin.low < 10 < found.margin.high


def test_what_is_not_measured_says_why(tmp_path):
    plan = small_plan(tmp_path, change=timed)
    assert "not run" in line(plan, "cnn3d")
    path = tmp_path / SPEEDS.format(scale="paper", paper="mini")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({key: {"reason": "no card"} for key in counted.speeds(plan, "mini")}))
    tables.render(plan, "mini", "table-3")
    assert "no card" in (tmp_path / "results/paper/tables/mini/table-3.md").read_text()


def test_a_machine_without_the_gpu_that_is_asked_for_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    write(small_plan(tmp_path, change=timed), "mini")
    found = json.loads((tmp_path / SPEEDS.format(scale="paper", paper="mini")).read_text())
    assert len(found) == 2 and all("no GPU" in entry["reason"] for entry in found.values())


def test_a_scale_makes_what_is_measured_smaller(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    smaller = SCALES["demo"]["papers"]["mini"] | {"speed": {"device": "any", "most": 3, "side": 8}}
    monkeypatch.setitem(SCALES["demo"], "papers", {"mini": smaller})
    plan = small_plan(tmp_path, "demo", timed)
    write(plan, "mini")
    found = json.loads((tmp_path / SPEEDS.format(scale="demo", paper="mini")).read_text())
    assert [entry["batch"] for entry in found.values()] == [3, 3]
    assert all(entry["seconds"] for entry in found.values())
    assert "demo" in line(plan, "cnn3d")
    monkeypatch.setitem(smaller, "speed", {"sides": 8})
    with pytest.raises(UserError, match=r"speed\.sides: unknown key 'sides'; did you mean 'side'"):
        small_plan(tmp_path / "wrong", "demo", timed).check()
