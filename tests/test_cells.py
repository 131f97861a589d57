"""Cells that are not simply trained or counted: settings, sizes of datasets, differences, ensembles."""

import json

import numpy as np
import pytest
import yaml

from pages import ROOT
from retrace.errors import UserError
from retrace.plan.plan import Plan
from retrace.report.outcome import outcome
from retrace.report.results import Results
from retrace.report.verdict import verdict
from small_plan import CLASSES, first, plant, small_plan


def cell(plan, row, column, item="table-1"):
    axes = (("row", row), ("column", column))
    return next(cell for cell in plan.cells("mini", item) if cell.place.axes == axes)


def with_column(definition, rows=("cnn3d", "convlstm")):
    """Return a change of the small paper: a last column of that definition, of which nothing is printed."""

    def change(paper):
        table = paper["tables"]["table-1"]
        table["columns"].append({"key": "new", "label": "New", "unit": "text", "cell": definition})
        table["rows"] = [row | {"published": [*row["published"], None]} for row in table["rows"]]

    return change


def alone(definition):
    """Return a change of the small paper: a table of one cell so defined, printed as 'Thirty, SGD'."""
    column = {"key": "c", "label": "C", "unit": "text"}
    row = {"key": "r", "label": "R", "published": ["Thirty, SGD"], "cell": definition}
    table = {"number": "T", "title": "T", "place": "p", "header": "H", "columns": [column], "rows": [row]}

    def change(paper):
        paper["tables"]["one"] = table

    return change


# Settings


def test_a_setting_is_what_the_protocol_says_at_the_paper_s_own_size(tmp_path):
    says = {"measure": "setting", "says": "{short.train.epochs}, {short.train.optimizer.name}"}
    words = {"30": "thirty"}
    plan = small_plan(tmp_path, "demo", alone({**says, "words": words}))  # the scale trains 3 epochs
    found = outcome(cell(plan, "r", "c", "one"), Results(tmp_path))
    assert found.value == "thirty, sgd"
    assert verdict("Thirty, SGD", found, None, comparable=False).word == "match"
    assert verdict("Forty, SGD", found, None, comparable=False).word == "differs"


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("short.train.epoch", "leads nowhere at 'epoch'; did you mean 'epochs'?"),
        ("shorter.train", "leads nowhere at 'shorter'; did you mean 'short'?"),
        ("short.seeds.7", "leads nowhere at '7'"),
        ("short.train.batch.size", "leads nowhere at 'size'; it holds no more"),
    ],
)
def test_a_path_that_leads_nowhere_is_named_with_its_line(tmp_path, path, hint):
    plan = small_plan(tmp_path, change=alone({"measure": "setting", "says": f"{{{path}}}"}))
    with pytest.raises(UserError) as error:
        plan.cells("mini", "one")
    assert hint in str(error.value) and "papers/mini.yaml:" in str(error.value)


def test_parent_leads_on_into_the_protocol_that_a_run_starts_from():
    plan = Plan(ROOT, "demo")
    cells = {cell.place.axes: cell for cell in plan.cells("deep_analysis", "table-5")}
    assert [cells[("row", "weights"), ("column", n)].says for n in ("16", "32", "64")] == [
        "8-frame",
        "16-frame",
        "32-frame",
    ]


# Sizes of datasets


@pytest.fixture(scope="module")
def sizes(tmp_path_factory):
    """Table 4 of Deep Analysis at both scales, with manifests that tell of known numbers of videos."""
    plans = {}
    for scale in ("demo", "paper"):
        plan = Plan(ROOT, scale)
        plan.root = tmp_path_factory.mktemp(scale)
        for one in plan.cells("deep_analysis", "table-4"):
            if one.collection is not None:
                splits = plan.library.videos[one.collection.dataset].splits
                counts = {
                    name: {"annotated": split.videos + 5, "missing": 5, "expected": split.videos}
                    for name, split in splits.items()
                }
                plant_counts(plan, one.collection, counts)
        plans[scale] = plan
    return plans


def plant_counts(plan, collection, splits):
    from retrace.plan.layout import collection_folder

    path = plan.root / collection_folder(collection) / "annotations.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"splits": splits}))


def judged(plan, row, column):
    table = plan.item("deep_analysis", "table-4")
    cells = {one.place.axes: one for one in plan.cells("deep_analysis", "table-4")}
    one = cells[("row", row), ("column", column)]
    found = outcome(one, Results(plan.root))
    chosen = next(c for c in table.columns if c.key == column)
    return found.value, verdict(one.published, found, chosen, comparable=plan.overlay.comparable).word


def test_videos_are_those_of_the_manifest_in_thousands(sizes):
    assert judged(sizes["paper"], "ssv2", "train") == (168.913, "match")
    assert judged(sizes["paper"], "ssv2", "val") == (24.777, "match")
    assert judged(sizes["paper"], "mit", "train") == (802.244, "match")


def test_a_stand_in_is_counted_and_marked_but_classes_are_those_of_the_real_set(sizes):
    assert judged(sizes["demo"], "ssv2", "train") == (0.24, "demo")
    printed = {
        "ssv2": 174,
        "mini-ssv2": 87,
        "kinetics": 400,
        "mini-kinetics": 200,
        "mit": 339,
        "mini-mit": 200,
    }
    assert {row: judged(sizes["demo"], row, "classes") for row in printed} == {
        row: (n, "match") for row, n in printed.items()
    }


# Computed from other cells


def test_a_difference_is_that_of_the_two_numbers_with_the_clips_paired(tmp_path):
    change = with_column({"measure": "difference", "of": "top1", "domain": "home", "less": {"row": "cnn3d"}})
    plan = small_plan(tmp_path, change=change)
    shares = {"cnn3d": 0.5, "convlstm": 0.75}
    plant(plan, lambda run, domain: first(shares[run.model.family]))
    results = Results(tmp_path)
    found = outcome(cell(plan, "convlstm", "new"), results)
    assert found.value == pytest.approx(25)
    assert [value for _, value in found.per_seed] == pytest.approx([25, 25])
    same = outcome(cell(plan, "cnn3d", "new"), results)
    assert (same.value, same.low, same.high) == (0, 0, 0)  # the clips are resampled alike


def test_a_difference_needs_both_and_says_what_is_missing(tmp_path):
    change = with_column({"measure": "difference", "of": "top1", "domain": "home", "less": {"row": "cnn3d"}})
    plan = small_plan(tmp_path, change=change)
    assert outcome(cell(plan, "convlstm", "new"), Results(tmp_path)).state == "not run"
    bad = {"measure": "difference", "of": "top1", "domain": "home", "less": {"row": "cnn"}}
    with pytest.raises(UserError, match="there is no row 'cnn' here; did you mean 'cnn3d'"):
        small_plan(tmp_path / "bad", change=with_column(bad)).cells("mini", "table-1")


def test_an_ensemble_answers_with_the_mean_of_the_members_probabilities(tmp_path):
    """Each member alone is right on half of the clips; sure and right outvotes unsure and wrong."""
    members = [{"model": {"family": f, "layers": 3, "hidden": 4}} for f in ("cnn3d", "convlstm")]
    definition = {"measure": "ensemble", "of": "top1", "domain": "home", "members": members}
    plan = small_plan(tmp_path, change=with_column(definition))
    plant(plan, lambda run, domain: first(0.5) if run.model.family == "cnn3d" else ~first(0.5))
    scale_logits(plan, "cnn3d", 9.0)
    found = outcome(cell(plan, "cnn3d", "new"), Results(tmp_path))
    assert found.value == pytest.approx(brute_force(plan))
    assert 49 < found.value < 51  # the surer one decides


def scale_logits(plan, family, factor):
    import pandas as pd

    for path in plan.root.glob(f"results/runs/*/{family}-*/views/*/scores.parquet"):
        scores = pd.read_parquet(path)
        columns = [f"logit_{k}" for k in range(len(CLASSES))]
        scores[columns] *= factor
        scores.to_parquet(path, index=False)


def brute_force(plan):
    import pandas as pd

    hits = []
    for seed in (1, 2):
        probabilities = 0
        for family in ("cnn3d", "convlstm"):
            (path,) = plan.root.glob(f"results/runs/*/{family}-n4-f4-s{seed}-*/views/*/scores.parquet")
            scores = pd.read_parquet(path).query("domain == 'home'").sort_values("id")
            exp = np.exp(scores[[f"logit_{k}" for k in range(len(CLASSES))]].to_numpy(float))
            probabilities = probabilities + exp / exp.sum(1, keepdims=True)
        hits.append((probabilities.argmax(1) == scores["label"]).mean())
    return 100 * np.mean(hits)


# Figures with published values


def test_published_values_stand_at_their_points():
    plan, oracle = Plan(ROOT, "paper"), {("tsn-resnet50", "mini-ssv2", "8"): 33.94}
    cells = {
        tuple(dict(c.place.axes)[a] for a in ("series", "panel", "x")): c
        for c in plan.cells("deep_analysis", "figure-2")
    }
    assert len(cells) == 288
    for place, value in oracle.items():
        assert cells[place].published.value == value and cells[place].published.source == "code"


def test_values_for_a_series_that_is_not_there_are_a_mistake(tmp_path):
    def change(paper):
        values = {"source": "code", "why": "w", "by_series": {"cnn3": {"home": [1, 2, 3], "away": [1, 2, 3]}}}
        paper["figures"]["figure-1"]["published"] = values

    with pytest.raises(UserError, match="there is no series 'cnn3'; did you mean 'cnn3d'"):
        small_plan(tmp_path, change=change)


def test_a_key_in_braces_is_that_of_the_axis(tmp_path):
    page = yaml.safe_load((ROOT / "papers/deep_analysis.yaml").read_text())
    assert page["figures"]["figure-2"]["cell"]["view"] == "clip_{x}"
    plan = Plan(ROOT, "paper")
    views = {dict(c.place.axes)["x"]: c.view.name for c in plan.cells("deep_analysis", "figure-2")}
    assert views == {n: f"clip_{n}" for n in ("8", "16", "32", "64")}
