"""Tables: every cell has a verdict, whatever the results; the formats say the same."""

import csv
import json
from pathlib import Path

import pytest

from retrace.plan.cell import ClassesCell, SettingCell
from retrace.plan.identity import digest
from retrace.plan.layout import COSTS, TABLE, TABLE_SUFFIXES
from retrace.plan.plan import Plan
from retrace.report import tables
from retrace.report.verdict import WORDS
from small_plan import HOSTILE, count, first, plant, small_plan, write

REPOSITORY = Path(__file__).parents[1]


def rendered(plan: Plan, key: str, paper: str = "mini") -> dict[str, str]:
    tables.render(plan, paper, key)
    stem = TABLE.format(scale=plan.scale, paper=paper, table=key)
    return {suffix: (plan.root / f"{stem}{suffix}").read_text() for suffix in TABLE_SUFFIXES}


def lines(plan: Plan, key: str, paper: str = "mini") -> dict[tuple[str, str], dict[str, str]]:
    found = csv.DictReader(rendered(plan, key, paper)[".csv"].splitlines())
    return {(line["row"], line["column"]): line for line in found}


def full(root: Path, **changes) -> Plan:
    plan = small_plan(root, **changes)
    plant(plan, lambda run, domain: first(0.5 if domain == "home" else 0.25))
    count(plan, 1000, 2_540_000_000)
    return plan


def test_the_csv_has_one_line_a_cell_with_all_that_is_known(tmp_path):
    found = lines(full(tmp_path), "table-1")
    assert len(found) == 9
    line = found["cnn3d", "home"]
    assert (line["ours"], line["published"], line["verdict"], line["n_seeds"]) == (
        "50.0",
        "50.0",
        "match",
        "2",
    )
    assert (line["coverage"], line["sd"], line["difference"]) == ("1.0", "0.0", "0.0")
    assert float(line["ci_low"]) < 50 < float(line["ci_high"])
    assert len(line["runs"].split()) == 2 and line["runs"].startswith("home/cnn3d-n4")
    assert float(found["cnn3d", "ratio"]["ours"]) == 0.5


def test_every_cell_has_a_verdict_with_and_without_results(tmp_path):
    for plan in (
        small_plan(tmp_path / "bare"),
        full(tmp_path / "full"),
        full(tmp_path / "demo", scale="demo"),
    ):
        for key in plan.papers["mini"].tables:
            words = [line["verdict"].partition(" (")[0] for line in lines(plan, key).values()]
            assert words and set(words) <= set(WORDS)


def test_kinds_of_cells_get_their_verdicts(tmp_path):
    found = lines(full(tmp_path), "table-1")
    assert found["convlstm", "home"]["verdict"] == "below (main paper)"
    assert found["convlstm", "home"]["published_source"] == "main_paper"
    assert (found["other", "home"]["verdict"], found["other", "home"]["reason"]) == ("cited", "")
    assert found["cnn3d", "speed"]["verdict"] == "not run"
    assert found["cnn3d", "speed"]["reason"] == "speed is not measured"


def test_counts_are_compared_at_every_scale_and_trained_numbers_at_full_size_only(tmp_path):
    plan = full(tmp_path, scale="demo")
    assert lines(plan, "table-1")["cnn3d", "home"]["verdict"] == "demo"
    counted = lines(plan, "table-2")
    assert counted["cnn3d", "p"]["verdict"] == "match"
    assert counted["cnn3d", "g"]["verdict"] == "match"  # 2.54 is 2.5 to one decimal
    assert (counted["convlstm", "p"]["verdict"], counted["convlstm", "p"]["difference"]) == ("below", "-1")


def test_a_failure_is_a_value_in_its_cells_and_stops_no_other(tmp_path):
    plan = full(tmp_path)
    run = next(run for run in plan.runs.values() if run.model.family == "cnn3d" and run.model.hidden == 4)
    write(plan, run, "failure.json", {"reason": "out of memory"})
    found = lines(plan, "table-1")
    assert found["cnn3d", "home"]["verdict"] == "failed"
    assert found["cnn3d", "home"]["reason"] == "out of memory (1 of 2 seeds)"
    assert found["convlstm", "ratio"]["verdict"] != "failed"


def test_markdown_shows_ours_the_papers_and_the_verdict_and_each_reason_once(tmp_path):
    text = rendered(full(tmp_path), "table-1")[".md"]
    assert "(0.500) match" in text and "(75.0, main paper) **below (main paper)" in text
    assert text.count("speed is not measured") == 1 and text.count("not run¹") == 2
    assert text.count("recalled") == 1 and text.count("a note on a row") == 1
    assert "Scale paper: Full size. As printed." in text
    assert "protocols.short.train.epochs" in text.replace("\\", "")  # what it rests on


def test_text_from_pages_does_not_act_as_markup(tmp_path):
    def change(paper):
        paper["tables"]["table-1"].update(title=HOSTILE, note=HOSTILE, header=HOSTILE)
        paper["tables"]["table-1"]["rows"][0].update(label=HOSTILE, note=HOSTILE)

    found = rendered(full(tmp_path, change=change), "table-1")
    table = [line for line in found[".md"].splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1
    assert "<script>" not in found[".md"]
    body = [line for line in found[".tex"].splitlines() if line.endswith(r"\\")]
    assert {line.replace(r"\&", "").count("&") for line in body} == {3}
    assert "$\\frac$" not in found[".tex"] and "100 %" not in found[".tex"]


def test_rendering_twice_gives_the_same_bytes(tmp_path):
    plan = full(tmp_path)
    for key in plan.papers["mini"].tables:
        assert rendered(plan, key) == rendered(small_plan(tmp_path), key)


def test_parameters_of_temporal_shape_match_the_paper_but_for_its_misprint(tmp_path):
    """Closed forms of the specification: 54 N^2 + 676 N + 5 and its like; 35 of 36 are printed so."""
    plan = Plan(REPOSITORY, "demo")
    plan.root = tmp_path

    def parameters(model) -> int:
        n, d = model.hidden, model.hidden * getattr(model, "heads", 1)
        square, linear = {"cnn3d": (54, 676), "convlstm": (180, 386)}.get(model.family, (60, 316))
        return (
            square * d * d + linear * d + 5
            if model.family == "timesformer"
            else square * n * n + linear * n + 5
        )

    networks = (cell.definition for cell in plan.cells("rac", "table-8"))
    costs = {
        digest(cell.network()): {"parameters": parameters(cell.model), "multiply_adds": 0}
        for cell in networks
    }
    path = tmp_path / COSTS.format(paper="rac")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(costs))
    found = lines(plan, "table-8", "rac")
    verdicts = [line["verdict"] for line in found.values()]
    assert [verdicts.count(word) for word in ("match", "below", "unprinted")] == [35, 1, 4]
    assert found["2", "timesformer-8"]["difference"] == "-30"


@pytest.mark.parametrize("scale", ["demo", "paper"])
def test_without_any_result_all_tables_render_with_what_stands_on_the_pages(tmp_path, scale):
    """Settings, and classes of datasets, need no result; every other cell says why it has no number."""
    plan = Plan(REPOSITORY, scale)
    plan.root = tmp_path
    for paper, page in plan.papers.items():
        for key in page.tables:
            found = lines(plan, key, paper)
            for cell in plan.cells(paper, key):
                line = found[dict(cell.place.axes)["row"], dict(cell.place.axes)["column"]]
                of_page = isinstance(cell.definition, SettingCell | ClassesCell)
                judged = {"match", "differs", "unprinted"} if of_page else {"not run", "cited"}
                assert line["verdict"].partition(" (")[0] in judged, cell.place
                assert of_page or line["verdict"] == "cited" or line["reason"], cell.place
