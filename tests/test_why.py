"""Where a number comes from, told in words."""

from pathlib import Path

import pytest

from retrace.errors import UserError
from retrace.plan.layout import run_folder
from retrace.plan.plan import Plan
from retrace.report.why import explain
from retrace.report.wording import MINUS
from small_plan import count, first, plant, small_plan, write

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    plan = small_plan(tmp_path)
    plant(plan, lambda run, domain: first(0.5 if domain == "home" else 0.25))
    count(plan, 1000, 2_500_000_000)
    return plan


def test_a_trained_cell_tells_all_that_made_it(plan):
    text = explain(plan, "mini/table-1", ["ConvLSTM", "Away/Home"])
    assert "row ConvLSTM, column Away/Home" in text
    assert "0.250  (page 3)" in text and "0.500 [" in text and "above +0.250" in text
    assert "2 seeds" in text and "120 clips, 100 % of those planned" in text
    assert '"over": "home"' in text and '"view": "both"' in text
    cells = {tuple(key for _, key in cell.place.axes): cell for cell in plan.cells("mini", "table-1")}
    for run in cells["convlstm", "ratio"].runs:
        assert f"{run_folder(run)}/spec.json" in text
        assert f"results/logs/train/home/{run_folder(run).name}.log" in text
    assert "a GPU, 4 CPUs, torch 9.9, commit c0ffee" in text
    assert "snakemake mini_table_1 --config scale=paper" in text
    assert "mini: protocols.short.train.epochs = 30 (code: not printed)" in text


def test_a_counted_cell_tells_its_misprint_and_where_it_is_counted(plan):
    text = explain(plan, "mini/table-2", ["convlstm", "p"])
    assert "1,001" in text and "note: a misprint" in text and f"below {MINUS}1" in text
    assert "results/costs/mini.json" in text


def test_keys_and_labels_name_a_cell_in_any_order_and_case(plan):
    told = {
        explain(plan, "mini/figure-1", words)
        for words in (["away", "cnn3d", "4"], ["4", "CNN3D", "Away"], ["cnn3d", "4", "away"])
    }
    assert len(told) == 1 and "25.0 [" in told.pop()


def test_a_near_miss_names_the_nearest(plan):
    for item, words, said in (
        ("mini/table-1", ["convlstn", "home"], "did you mean 'convlstm'"),
        ("mini/tabel-1", [], "did you mean 'table-1'"),
        ("mani/table-1", [], "did you mean 'mini'"),
        ("mini/table-1", ["cnn3d"], "which column\\? Name one of home, ratio, speed"),
        ("mini/table-1", ["cnn3d", "home", "away"], "no 'away' left to choose"),
    ):
        with pytest.raises(UserError, match=said):
            explain(plan, item, words)


def test_failures_and_what_is_missing_are_told(tmp_path):
    plan = small_plan(tmp_path)
    assert "not run: no scores yet" in explain(plan, "mini/figure-1", ["away", "cnn3d", "4"])
    cell = next(c for c in plan.cells("mini", "figure-1") if c.runs)
    write(plan, cell.runs[0], "failure.json", {"reason": "out of memory"})
    text = explain(plan, "mini/figure-1", [key for _, key in cell.place.axes])
    assert "verdict    failed: out of memory (1 of 2 seeds)" in text
    assert explain(plan, "mini/figure-3", []).endswith("not run: a schematic")
    assert "cited" in explain(plan, "mini/table-1", ["Other work", "Home"])


def test_a_claim_tells_its_comparisons(plan):
    text = explain(plan, "mini/convlstm-ahead", [])
    assert "undecided" in text and "figure-1 away convlstm > figure-1 away cnn3d" in text
    assert "home/convlstm-n8" in text


def test_every_cell_of_every_paper_can_be_explained(tmp_path):
    plan = Plan(REPOSITORY, "demo")
    plan.root = tmp_path
    for cell in list(plan.all_cells())[::7]:
        words = [key for _, key in cell.place.axes]
        assert "verdict" in explain(plan, f"{cell.place.paper}/{cell.place.item}", words)
