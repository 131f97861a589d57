"""What order is worth: a figure of planted accuracies in order and shuffled, and what a scale keeps of it."""

import pandas as pd
import pytest

from retrace.errors import UserError
from retrace.plan.layout import FIGURE, view_folder
from retrace.plan.plan import Plan
from retrace.report import figures
from small_plan import FAMILIES, SCALES, SERIES, TRAINED, domain_scores, first, plant, small_plan

TOP1 = {"measure": "top1"}
ORDER = {
    "number": "Ours",
    "title": "Order",
    "place": "nowhere",
    "draw": "order",
    "y_label": "accuracy (%)",
    "cell": {**TRAINED, "domain": "home"},
    "series": SERIES,
    "x": [
        {"key": "forward", "label": "in order", "cell": TOP1},
        {"key": "shuffled", "label": "shuffled", "cell": {**TOP1, "view": "mixed"}},
        {
            "key": "worth",
            "label": "difference",
            "cell": {"measure": "difference", "of": "top1", "less": {"x": "shuffled"}},
        },
    ],
}
SHARES = {"cnn3d": (0.9, 0.3), "convlstm": (0.5, 0.5)}


def asked(paper: dict, **changes) -> None:
    paper["views"]["mixed"] = {**paper["views"]["both"], "order": "shuffled"}
    paper["figures"]["order"] = {**ORDER, **changes}
    paper["tables"]["table-1"]["columns"] = paper["tables"]["table-1"]["columns"][:1]
    for row in paper["tables"]["table-1"]["rows"]:
        row["published"] = row["published"][:1]


def scored(plan: Plan) -> Plan:
    plant(plan, lambda run, domain: first(SHARES[run.model.family][0]))
    for name, run in plan.runs.items():
        for view in plan.views[name].values():
            if view.order == "shuffled":
                hits = first(SHARES[run.model.family][1])
                tables = [domain_scores(domain, hits) for domain in view.domains]
                pd.concat(tables).to_parquet(
                    plan.root / view_folder(run, view) / "scores.parquet", index=False
                )
    return plan


def test_the_drawn_numbers_are_the_planted_ones(tmp_path):
    plan = scored(small_plan(tmp_path, change=asked))
    figures.render(plan, "mini", "order")
    stem = FIGURE.format(scale=plan.scale, paper="mini", figure="order")
    found = pd.read_csv(tmp_path / f"{stem}.csv").set_index(["series", "x"])
    for family in FAMILIES:
        forward, shuffled = SHARES[family]
        values = [found.loc[(family, x), "value"] for x in ("forward", "shuffled", "worth")]
        assert values == pytest.approx([100 * forward, 100 * shuffled, 100 * (forward - shuffled)])
    assert found.loc[("convlstm", "worth"), ["ci_low", "ci_high"]].tolist() == [0, 0]
    assert found.loc[("cnn3d", "worth"), "ci_low"] > 50
    assert (tmp_path / f"{stem}.png").read_bytes()[:4] == b"\x89PNG"


def test_without_scores_there_is_a_card(tmp_path):
    plan = small_plan(tmp_path, change=asked)
    figures.render(plan, "mini", "order")
    stem = FIGURE.format(scale=plan.scale, paper="mini", figure="order")
    assert pd.read_csv(tmp_path / f"{stem}.csv").empty


def test_another_x_is_a_mistake(tmp_path):
    backwards = [{"key": "backwards", "label": "backwards", "cell": TOP1}]
    plan = small_plan(tmp_path, change=lambda paper: asked(paper, x=backwards))
    with pytest.raises(UserError, match="'backwards' is none of forward, shuffled, worth"):
        figures.render(plan, "mini", "order")


def test_a_scale_may_keep_the_cells_of_one_figure(tmp_path, monkeypatch):
    only = [{"of": "order", "model": {"family": "cnn3d"}}]
    demo = {**SCALES["demo"], "papers": {"mini": {"only": only}}}
    monkeypatch.setitem(SCALES, "demo", demo)
    plan = small_plan(tmp_path, "demo", asked)
    plan.check()
    kept = {cell.place.item for cell in plan.all_cells() if cell.runs}
    assert kept == {"order"}
    assert {run.model.family for run in plan.runs.values()} == {"cnn3d"}


def test_keeping_the_cells_of_no_figure_is_a_mistake(tmp_path, monkeypatch):
    demo = {**SCALES["demo"], "papers": {"mini": {"only": [{"of": "ordre"}]}}}
    monkeypatch.setitem(SCALES, "demo", demo)
    with pytest.raises(UserError, match="no cell of mini has of ordre"):
        small_plan(tmp_path, "demo", asked).check()
