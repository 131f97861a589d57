"""Numbers from planted scores, checked by counting and against scikit-learn."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, top_k_accuracy_score

from retrace.plan.expand import Cell
from retrace.plan.layout import run_folder, view_folder
from retrace.plan.plan import Plan
from retrace.report.outcome import Outcome, outcome
from retrace.report.results import Results
from small_plan import CLASSES, CLIPS, count, first, plant, small_plan, write

SHARES = {("home", 1): 0.8, ("home", 2): 0.6, ("away", 1): 0.4, ("away", 2): 0.45}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    plan = small_plan(tmp_path)
    plant(plan, lambda run, domain: first(SHARES[domain, run.seed]))
    count(plan, 1000, 2_500_000_000)
    return plan


def cell_of(plan: Plan, key: str, **axes: str) -> Cell:
    return next(cell for cell in plan.cells("mini", key) if dict(cell.place.axes) == axes)


def found(plan: Plan, key: str = "table-1", row: str = "cnn3d", column: str = "home") -> Outcome:
    return outcome(cell_of(plan, key, row=row, column=column), Results(plan.root))


def scores_file(plan: Plan, cell: Cell, seed: int) -> Path:
    assert cell.view is not None
    run = next(run for run in cell.runs if run.seed == seed)
    return plan.root / view_folder(run, cell.view) / "scores.parquet"


def test_accuracy_is_the_mean_share_of_right_clips_in_percent(plan):
    seen = found(plan)
    assert seen.state == "measured" and seen.n_seeds == 2 and seen.n_clips == CLIPS and seen.coverage == 1
    assert seen.value == pytest.approx(70.0)
    assert seen.sd == pytest.approx(np.std([80, 60], ddof=1))
    assert seen.low < seen.value < seen.high
    assert [value for _, value in seen.per_seed] == pytest.approx([80.0, 60.0])


def test_a_ratio_is_accuracy_over_accuracy_for_every_seed(plan):
    seen = found(plan, column="ratio")
    assert [value for _, value in seen.per_seed] == pytest.approx([0.4 / 0.8, 0.45 / 0.6])
    assert seen.value == pytest.approx((0.4 / 0.8 + 0.45 / 0.6) / 2)


def test_the_interval_of_a_ratio_is_that_of_a_delta_method(tmp_path):
    """Two domains with other clips, two equal seeds: var(log ratio) = var(a)/a^2 + var(b)/b^2."""
    plan = small_plan(tmp_path)
    plant(plan, lambda run, domain: first(0.8 if domain == "home" else 0.4))
    seen = found(plan, column="ratio")
    error = 0.5 * np.sqrt(0.2 / (0.8 * CLIPS) + 0.6 / (0.4 * CLIPS))
    assert (seen.high - seen.low) / 2 == pytest.approx(1.96 * error, rel=0.1)


@pytest.mark.parametrize("measure", ["top5", "mean_class"])
def test_other_metrics_agree_with_scikit_learn(tmp_path, measure):
    def change(paper):
        paper["tables"]["table-1"]["columns"][0]["cell"]["measure"] = measure

    plan = small_plan(tmp_path, change=change)
    plant(plan, lambda run, domain: first(0.5))
    cell = cell_of(plan, "table-1", row="cnn3d", column="home")
    rng = np.random.default_rng(0)
    expected = []
    for seed in (1, 2):
        path = scores_file(plan, cell, seed)
        table = pd.read_parquet(path)
        logits = rng.normal(size=(len(table), len(CLASSES))).astype(np.float32)
        labels = np.minimum(rng.integers(0, 9, len(table)), len(CLASSES) - 1)
        table[[f"logit_{k}" for k in range(len(CLASSES))]] = logits
        table = table.assign(label=labels)
        table.to_parquet(path, index=False)
        home = (table["domain"] == "home").to_numpy()
        if measure == "top5":
            expected.append(top_k_accuracy_score(labels[home], logits[home], k=5, labels=range(len(CLASSES))))
        else:
            expected.append(balanced_accuracy_score(labels[home], logits[home].argmax(1)))
    assert outcome(cell, Results(plan.root)).value == pytest.approx(100 * np.mean(expected))


def test_costs_are_read_as_counted(plan):
    assert found(plan, "table-2", column="p").value == 1000
    assert found(plan, "table-2", column="g").value == pytest.approx(2.5)


@pytest.mark.parametrize(("measure", "value"), [("parameters", 1000), ("mparams", 0.001), ("gmacs", 2.5)])
def test_costs_come_in_the_unit_of_their_measure(plan, measure, value):
    assert with_measure(plan, measure).value == value


def test_what_an_older_count_did_not_count_is_not_run(plan):
    assert with_measure(plan, "conv_gmacs").state == "not run"


def with_measure(plan: Plan, measure: str) -> Outcome:
    cell = cell_of(plan, "table-2", row="cnn3d", column="p")
    definition = cell.definition.model_copy(update={"measure": measure})
    return outcome(cell._replace(definition=definition), Results(plan.root))


def test_missing_scores_and_counts_are_not_run(tmp_path):
    plan = small_plan(tmp_path)
    assert found(plan) == Outcome("not run", "no scores yet")
    assert found(plan, "table-2", column="p") == Outcome("not run", "not counted yet")


def test_some_seeds_so_far_are_a_number_that_says_so(plan):
    cell = cell_of(plan, "table-1", row="cnn3d", column="home")
    scores_file(plan, cell, 2).unlink()
    seen = outcome(cell, Results(plan.root))
    assert (seen.value, seen.n_seeds, seen.sd) == (pytest.approx(80.0), 1, None)
    assert seen.reason == "1 of 2 seeds so far"


def test_one_failed_seed_fails_the_cell(plan):
    cell = cell_of(plan, "table-1", row="cnn3d", column="home")
    write(plan, cell.runs[0], "failure.json", {"reason": "out of memory"})
    assert outcome(cell, Results(plan.root)) == Outcome("failed", "out of memory (1 of 2 seeds)")


def test_missing_clips_show_as_coverage(plan):
    cell = cell_of(plan, "table-1", row="cnn3d", column="home")
    path = scores_file(plan, cell, 2)
    table = pd.read_parquet(path)
    table[~table["id"].isin([f"home-{i:05d}" for i in range(6)])].to_parquet(path, index=False)
    seen = outcome(cell, Results(plan.root))
    assert seen.coverage == pytest.approx(1 - 6 / CLIPS)
    assert seen.n_clips == CLIPS - 6  # what all seeds have answered


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"not parquet"),
        lambda path: pd.DataFrame({"domain": ["home"]}).to_parquet(path),
        lambda path: (t := pd.read_parquet(path))[t["domain"] == "away"].to_parquet(path),
        lambda path: pd.concat([t := pd.read_parquet(path), t.tail(1)]).to_parquet(path),
    ],
    ids=["garbage", "no columns", "no domain", "a clip twice"],
)
def test_scores_that_cannot_be_used_fail_the_cell_and_nothing_else(plan, spoil):
    cell = cell_of(plan, "table-1", row="cnn3d", column="home")
    spoil(scores_file(plan, cell, 1))
    seen = outcome(cell, Results(plan.root))
    assert seen.state == "failed" and "scores.parquet" in seen.reason
    assert found(plan, row="convlstm").state == "measured"


def test_a_broken_note_of_a_failure_is_a_failure(plan):
    cell = cell_of(plan, "table-1", row="cnn3d", column="home")
    (plan.root / run_folder(cell.runs[0]) / "failure.json").write_text("{")
    assert outcome(cell, Results(plan.root)).state == "failed"


def test_a_ratio_to_nothing_is_a_failure(tmp_path):
    plan = small_plan(tmp_path)
    plant(plan, lambda run, domain: first(0.0 if domain == "home" else 0.4))
    assert found(plan, column="ratio").state == "failed"
