"""The ledger: every assumed value with what rests on it, and what the scale changes."""

import csv
from pathlib import Path

from retrace.plan.layout import LEDGER
from retrace.plan.plan import Plan
from retrace.report import ledger
from small_plan import HOSTILE, small_plan

REPOSITORY = Path(__file__).parents[1]


def lines(plan: Plan) -> dict[str, dict[str, str]]:
    ledger.render(plan)
    path = plan.root / f"{LEDGER.format(scale=plan.scale)}.csv"
    return {line["value"]: line for line in csv.DictReader(path.read_text().splitlines())}


def test_an_assumed_value_names_the_tables_and_figures_that_rest_on_it_with_their_cells(tmp_path):
    found = lines(small_plan(tmp_path))
    assert found["mini: protocols.short.train.epochs"]["source"] == "code"
    assert found["mini: protocols.short.train.epochs"]["why"] == "not printed"
    resting = set(found["home: side"]["cells"].split(", "))
    assert resting == {"mini/figure-1 (12)", "mini/figure-2 (6)", "mini/table-1 (4)"}


def test_at_a_smaller_scale_the_value_used_stands_beside_the_papers(tmp_path):
    found = lines(small_plan(tmp_path, "demo"))
    epochs = found["mini: protocols.short.train.epochs"]
    assert (epochs["is"], epochs["here"]) == ("30", "3")
    assert "figure-1 (6)" in epochs["cells"]  # 3 of 6 curves' points in 2 panels


def test_what_the_scale_makes_smaller_is_listed(tmp_path):
    plan = small_plan(tmp_path, "demo")
    shrunk = ledger.shrinks(plan)
    assert ("mini", "protocols.short.train.epochs", "30", "3") in shrunk
    assert any(what == "trained cells" for _, what, _, _ in shrunk)
    assert ledger.shrinks(small_plan(tmp_path, "paper")) == []


def test_every_key_with_which_a_scale_changes_a_paper_has_its_line():
    plan = Plan(REPOSITORY, "demo")
    listed = ledger.shrinks(plan)
    for paper, shrink in plan.overlay.papers.items():
        told = " ".join(f"{what} {here}" for name, what, _, here in listed if name == paper)
        for change in (shrink.model, shrink.speed, *shrink.families.values()):
            assert all(key in told for key in change)
    assert {what for name, what, _, _ in listed if name == "all"} == set(plan.overlay.stand_ins)


def test_every_assumption_behind_a_cell_of_the_papers_is_listed(tmp_path):
    plan = Plan(REPOSITORY, "demo")
    behind = {(a.file, a.key) for cell in plan.all_cells() for a in plan.assumptions(cell)}
    listed = {(e.assumption.file, e.assumption.key) for e in ledger.entries(plan)}
    assert listed == behind and listed


def test_markdown_escapes_and_is_the_same_when_made_again(tmp_path):
    def change(paper):
        paper["protocols"]["short"]["seeds"]["why"] = HOSTILE

    path = tmp_path / f"{LEDGER.format(scale='demo')}.md"
    ledger.render(small_plan(tmp_path, "demo", change))
    text = path.read_text()
    assert "<script>" not in text
    rows = [line for line in text.splitlines() if line.startswith("| mini: protocols.short.seeds")]
    assert rows and all(row.replace("\\|", "").count("|") == 7 for row in rows)
    ledger.render(small_plan(tmp_path, "demo", change))
    assert path.read_text() == text
