"""Recur, Attend or Convolve? on Diving48: tables from planted scores against numbers worked out by hand."""

import hashlib
import json
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from pages import RAC, copy_pages, edit
from retrace.cost.paper import write as write_costs
from retrace.errors import UserError
from retrace.evaluate.uncertainty import interval
from retrace.plan.expand import Cell
from retrace.plan.identity import run_name
from retrace.plan.layout import collection_folder, run_folder, view_folder
from retrace.plan.plan import Plan
from retrace.plan.spec import Run
from retrace.report import tables
from retrace.report.claims import decide
from retrace.report.measure import measure
from retrace.report.outcome import Outcome, outcome
from retrace.report.records import table_records
from retrace.report.results import Results
from retrace.train.matching import MONITOR

RATIOS = {"table-1": 0.3, "table-2": 0.35, "table-3": 0.4, "table-4": 0.45}
CLIPS = {"V": 200, "S1": 100, "S2": 100, "T": 100}
RIGHT = {"V": 60, "S1": 30, "S2": 24, "T": 12}
"""Of so many clips: 30 % on V, 30, 24 and 12 % on the others."""
CLASSES = 48


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> Plan:
    """The page at full size, of which nothing is run."""
    plan = Plan(copy_pages(tmp_path_factory.mktemp("root") / "pages"), "paper")
    write_costs(plan, "rac")
    return plan


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Plan:
    """The page with scores of every run and view on Diving48, each as RIGHT says; for reading."""
    plan = Plan(copy_pages(tmp_path_factory.mktemp("planted") / "pages"), "paper")
    for run in diving(plan):
        plant(plan, run)
    return plan


def diving(plan: Plan) -> list[Run]:
    return [run for run in plan.runs.values() if run.train.dataset == "diving48-v2"]


def plant(
    plan: Plan,
    run: Run,
    clips: Mapping[str, int] = CLIPS,
    right: Mapping[str, int] = RIGHT,
    validated: float | None = None,
) -> None:
    """Write scores for every view of `run` in which the first clips of each domain are right, and train.json.

    The latter has the run validated at every accuracy that it keeps weights for, or always at `validated`.
    """
    for view in plan.views[run_name(run)].values():
        folder = plan.root / view_folder(run, view)
        folder.mkdir(parents=True, exist_ok=True)
        tables = [scores(domain, clips[domain], right[domain]) for domain in view.domains]
        pd.concat(tables).to_parquet(folder / "scores.parquet")
        for domain, split in view.domains.items():
            report = plan.root / collection_folder(split.collection) / "audit.json"
            report.parent.mkdir(parents=True, exist_ok=True)
            known = json.loads(report.read_text())["splits"] if report.exists() else {}
            report.write_text(json.dumps({"splits": known | {split.split: {"expected": clips[domain]}}}))
    matched = [
        {"accuracy": at, "epoch": n, MONITOR: at if validated is None else validated}
        for n, at in enumerate(run.protocol.matched or (), start=11)
    ]
    report = {"epochs": 99, "kept_epoch": 85, "matched": matched}
    (plan.root / run_folder(run) / "train.json").write_text(json.dumps(report))


def scores(domain: str, n: int, right: int) -> pd.DataFrame:
    """Return logits of `n` clips: the label of the first `right` is first, of all others third."""
    labels = np.arange(n) % CLASSES
    logits = np.zeros((n, CLASSES), np.float32)
    logits[np.arange(n), labels] = 2
    for other in (1, 2):
        logits[np.arange(right, n), (labels[right:] + other) % CLASSES] = 2 + other
    columns = {f"logit_{k}": logits[:, k] for k in range(CLASSES)}
    video = "train" if domain == "V" else "test"
    return pd.DataFrame(
        {"domain": domain, "id": [f"{video}_{i:04d}" for i in range(n)], "label": labels, **columns}
    )


def cell_of(plan: Plan, table: str, row: str, column: str) -> Cell:
    return next(c for c in plan.cells("rac", table) if dict(c.place.axes) == {"row": row, "column": column})


def found(plan: Plan, table: str, row: str, column: str) -> Outcome:
    return outcome(cell_of(plan, table, row, column), Results(plan.root))


# Tables 1 to 4: ratios at equal validation accuracy


@pytest.mark.parametrize("table", RATIOS)
def test_ratios_are_those_worked_out_by_hand(planted, table):
    expected = {"s1-v": 0.3 / 0.3, "s2-v": 0.24 / 0.3, "t-v": 0.12 / 0.3, "t-s1": 0.12 / 0.3}
    for row in (row.key for row in planted.item("rac", table).rows):
        seen = {column: found(planted, table, row, column) for column in expected}
        assert {column: one.value for column, one in seen.items()} == pytest.approx(expected)
        assert seen["t-s1"].value == pytest.approx(seen["t-v"].value / seen["s1-v"].value)
        assert all(one.low < one.value < one.high for one in seen.values())


def test_domains_made_of_the_same_videos_are_resampled_together(planted):
    """Where T is right on a part of what S1 is right on, T/S1 is surer than of two sets of videos."""
    results = Results(planted.root)
    paired = measure(cell_of(planted, "table-1", "cnn3d", "t-s1"), results)
    of_v = measure(cell_of(planted, "table-1", "cnn3d", "t-v"), results)
    widths = [np.diff(interval(one.quantity)[1:])[0] for one in (paired, of_v)]
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(100, np.full(100, 0.01), size=4000)  # how often each test video is drawn
    expected = np.diff(np.quantile(drawn[:, :12].sum(1) / drawn[:, :30].sum(1), [0.025, 0.975]))[0]
    assert widths[0] == pytest.approx(expected, rel=0.1)
    assert widths[0] < widths[1]


@pytest.mark.parametrize("table", RATIOS)
def test_each_table_asks_the_weights_at_the_accuracy_of_its_caption(plan, table):
    for cell in plan.cells("rac", table):
        assert cell.view.at.accuracy == RATIOS[table]
        assert f"{100 * RATIOS[table]:g} % validation accuracy" in plan.item("rac", table).title
        (run,) = cell.runs
        assert cell.view.at.accuracy in run.protocol.matched
        asked = {domain: (split.dataset, split.split) for domain, split in cell.view.domains.items()}
        assert asked == {
            "V": ("diving48-v2", "val"),
            "S1": ("diving48-s1", "test"),
            "S2": ("diving48-s2", "test"),
            "T": ("diving48-t", "test"),
        }


def test_without_an_epoch_near_enough_the_cell_says_which_was_nearest(tmp_path):
    plan = Plan(copy_pages(tmp_path / "pages"), "paper")
    for run in diving(plan):
        plant(plan, run, validated=0.365)
    near, far = (found(plan, table, "timesformer", "t-s1") for table in ("table-2", "table-1"))
    assert (near.state, far.state) == ("not run", "not run")
    assert far.reason == ("no epoch validated within 1 points of 30 %; the nearest is epoch 11, at 36.5 %")
    edit(plan.root, RAC, "within: {value: 0.01,", "within: {value: 0.015,")
    wider = Plan(plan.root, "paper")
    for run in diving(wider):
        plant(wider, run, validated=0.365)
    assert found(wider, "table-2", "timesformer", "t-s1").state == "measured"
    assert found(wider, "table-1", "timesformer", "t-s1").state == "not run"


def test_scores_without_a_record_of_the_training_are_not_taken_for_matched(tmp_path):
    plan = Plan(copy_pages(tmp_path / "pages"), "paper")
    cell = cell_of(plan, "table-1", "cnn3d", "t-s1")
    plant(plan, cell.runs[0])
    (plan.root / run_folder(cell.runs[0]) / "train.json").unlink()
    failed = outcome(cell, Results(plan.root))
    assert failed.state == "failed" and "does not tell 'matched'" in failed.reason


def test_experiments_share_their_trainings(plan):
    """Two 3D CNNs, one ConvLSTM, two TimeSformers; and nine more variants of it in Table 10."""
    by_table = {
        key: {run_name(run) for cell in plan.cells("rac", key) for run in cell.runs}
        for key in (*RATIOS, "table-5", "table-6", "table-7", "table-10")
    }
    equal_size = by_table["table-1"]
    assert len(equal_size) == 3 and by_table["table-2"] == equal_size
    assert by_table["table-3"] == by_table["table-4"] and len(by_table["table-3"]) == 2
    assert by_table["table-3"] < equal_size
    assert by_table["table-5"] == by_table["table-6"] == by_table["table-7"]
    assert len(by_table["table-5"] | equal_size) == 5
    assert len(by_table["table-10"]) == 11 and len(set().union(*by_table.values())) == 14


# Tables 5 to 7: five videos of a class


MANY = {"V": 200, **dict.fromkeys(("S1", "S2", "T"), 7 * CLASSES)}
"""Seven test videos of every class."""
SHARES = {"V": 60, "S1": 168, "S2": 84, "T": 42}
"""How many of them are right: the first ones."""


@pytest.fixture(scope="module")
def examples(tmp_path_factory) -> Plan:
    """The page with scores of MANY videos; for reading."""
    plan = Plan(copy_pages(tmp_path_factory.mktemp("examples") / "pages"), "paper")
    for run in diving(plan):
        plant(plan, run, MANY, SHARES)
    return plan


def lowest(label: int, seed: int = 42) -> list[int]:
    """Return the numbers of the five test videos of a class whose hash with the seed is lowest."""
    numbers = range(label, MANY["S1"], CLASSES)
    return sorted(numbers, key=lambda i: hashlib.sha256(f"{seed} test_{i:04d}".encode()).digest())[:5]


@pytest.mark.parametrize(("table", "label"), [("table-5", 12), ("table-6", 22), ("table-7", 45)])
def test_five_videos_of_the_class_are_drawn_by_their_ids(examples, table, label):
    drawn = lowest(label)
    for domain in ("S1", "S2", "T"):
        share = sum(number < SHARES[domain] for number in drawn) / 5
        seen = found(examples, table, "cnn3d", f"{domain.lower()}-top1")
        assert (seen.value, seen.n_clips) == (pytest.approx(share), 5)
        assert (
            found(examples, table, "cnn3d", f"{domain.lower()}-top5").value == 1.0
        )  # all are third at worst


def test_a_class_with_too_few_scored_videos_gives_no_number(planted):
    seen = found(planted, "table-5", "cnn3d", "s1-top1")  # its videos are numbers 12 and 60 of 100
    assert seen.state == "failed"
    assert seen.reason == "2 videos of class 'Back_35som_NoTwis_TUCK' have scores; 5 are wanted"


def test_the_classes_are_those_that_the_paper_numbers(plan):
    classes = plan.library.collection("diving48-v2").classes
    for table, label in (("table-5", 12), ("table-6", 22), ("table-7", 45)):
        named = {cell.definition.of_class for cell in plan.cells("rac", table)}
        assert named == {classes[label]} and f"class {label}" in plan.item("rac", table).title


def test_a_class_that_is_none_is_a_mistake_with_the_nearest(tmp_path):
    root = copy_pages(tmp_path / "pages")
    edit(root, RAC, "of_class: {value: Back_35som_NoTwis_TUCK", "of_class: {value: Back_35som_NoTwis_TUC")
    with pytest.raises(
        UserError, match="class of diving48-s1 'Back_35som_NoTwis_TUC'; did you mean 'Back_35"
    ):
        Plan(root, "paper").check()


# Tables 9 and 10: settings, counts, the best epoch


def verdicts(plan: Plan, table: str) -> dict[tuple[str, str], str]:
    return {
        (record.row.key, record.column.key): record.verdict.word
        for row in table_records(plan, Results(plan.root), "rac", table)
        for record in row
    }


def test_table_9_is_as_printed_but_for_the_row_that_is_short_of_a_filter(plan):
    seen = verdicts(plan, "table-9")
    settings = {place: word for place, word in seen.items() if "parameters" not in place[1]}
    odd = {place: word for place, word in settings.items() if word != "match"}
    assert odd == {("d", "cnn3d"): "differs", **{(row, "timesformer"): "not run" for row in "dgh"}}
    counted = {place: word for place, word in seen.items() if "parameters" in place[1]}
    assert {counted[row, f"{model}-parameters"] for row in "efgh" for model in ("cnn3d", "convlstm")} == {
        "match"
    }
    assert {counted[row, "timesformer-parameters"] for row in "ef"} == {"match"}
    assert {word for (row, _), word in counted.items() if row in "abc"} == {"unprinted"}


def test_a_setting_is_written_so_that_markdown_and_latex_show_it_as_it_is(plan):
    tables.render(plan, "rac", "table-9")
    stem = plan.root / "results/paper/tables/rac/table-9"
    for suffix, shown in ((".md", r"depth 4, D 1024, D\_h 128"), (".tex", r"depth 4, D 1024, D\_h 128")):
        text = stem.with_suffix(suffix).read_text()
        assert text.count(shown) == 2 * 3 and "D_h" not in text  # ours and the paper's, in rows a to c


def test_all_settings_of_table_10_are_as_printed(plan):
    seen = verdicts(plan, "table-10")
    trained = ("best-val", "epoch")
    assert {word for (_, column), word in seen.items() if column not in trained} == {"match"}
    assert {word for (_, column), word in seen.items() if column in trained} == {"not run"}


def test_the_best_epoch_and_its_accuracy_are_those_of_the_weights_that_the_run_ends_with(planted):
    best, epoch = (found(planted, "table-10", "7", column) for column in ("best-val", "epoch"))
    assert best.value == pytest.approx(30.0)
    assert (epoch.value, epoch.low, epoch.n_clips) == (85, None, 0)
    assert verdicts(planted, "table-10")["7", "epoch"] == "match"  # the paper's was the 85th, too
    assert verdicts(planted, "table-10")["4", "epoch"] == "below"


def test_a_view_at_an_accuracy_that_no_protocol_keeps_is_a_mistake(tmp_path):
    root = copy_pages(tmp_path / "pages")
    edit(root, RAC, "at: {accuracy: 0.35}", "at: {accuracy: 0.36}")
    message = "asks at accuracy 0.36; the weights that protocol 'diving48' keeps: 0.3, 0.35, 0.383, 0.4, 0.45"
    with pytest.raises(UserError, match=message):
        Plan(root, "paper").check()


def test_a_protocol_of_a_setting_that_is_none_is_a_mistake(tmp_path):
    root = copy_pages(tmp_path / "pages")
    edit(root, RAC, 'label: "3", cell: {protocol: diving48,', 'label: "3", cell: {protocol: diving49,')
    with pytest.raises(UserError, match="unknown protocol 'diving49'; did you mean"):
        Plan(root, "paper").check()


# Claims


def decided(plan: Plan) -> dict[str, str]:
    results = Results(plan.root)
    claims = {key: claim for key, claim in plan.papers["rac"].claims.items() if "diving48" in key}
    return {key: decide(plan, results, "rac", key, claim).verdict for key, claim in claims.items()}


def test_claims_on_diving48_are_undecided_where_all_models_answer_alike(examples):
    assert set(decided(examples).values()) == {"undecided"} and len(decided(examples)) == 14


def test_claims_on_diving48_go_by_the_scores(tmp_path):
    plan = Plan(copy_pages(tmp_path / "pages"), "paper")
    for run in diving(plan):
        recurs = "convlstm" in run.model.family
        plant(plan, run, MANY, SHARES | ({"T": 4, "S1": 250} if recurs else {}))
    seen = decided(plan)
    assert seen["diving48-convlstm-less-texture"] == seen["diving48-h-texture"] == "holds"
    assert seen["diving48-e-texture"] == seen["diving48-g-texture"] == seen["diving48-e-shape"] == "fails"
