"""Figures: what is plotted is what was planted; a card where there is nothing to plot."""

import io
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from retrace.errors import UserError
from retrace.evaluate import uncertainty
from retrace.plan.layout import FIGURE, FIGURE_SUFFIXES
from retrace.plan.plan import Plan
from retrace.report import figures
from retrace.report.outcome import run_label
from retrace.report.results import RECORD
from small_plan import HOSTILE, first, plant, small_plan, write

REPOSITORY = Path(__file__).parents[1]


def away(seed, size):
    """The share of clips that a run gets right away from home."""
    return 0.1 * seed + 0.025 * size


def full(root: Path, **changes) -> Plan:
    plan = small_plan(root, **changes)
    plant(plan, lambda run, domain: first(0.8 if domain == "home" else away(run.seed, run.model.hidden)))
    return plan


def rendered(plan: Plan, key: str, paper: str = "mini") -> dict[str, bytes]:
    figures.render(plan, paper, key)
    stem = FIGURE.format(scale=plan.scale, paper=paper, figure=key)
    return {suffix: (plan.root / f"{stem}{suffix}").read_bytes() for suffix in FIGURE_SUFFIXES}


def points(plan: Plan, key: str) -> pd.DataFrame:
    rendered(plan, key)
    return pd.read_csv(plan.root / f"{FIGURE.format(scale=plan.scale, paper='mini', figure=key)}.csv")


def test_there_is_one_point_for_every_run_and_panel_with_its_value(tmp_path):
    plan = full(tmp_path)
    found = points(plan, "figure-1")
    assert len(found) == 2 * 2 * 3 * 2  # panels, series, sizes, seeds
    there = found[found["panel"] == "away"]
    assert there["value"].to_numpy() == pytest.approx(100 * away(there["seed"], there["x"]))
    assert set(found["run"]) == {run_label(run) for run in plan.runs.values()}


def test_a_ratio_is_accuracy_over_accuracy_in_every_point(tmp_path):
    found = points(full(tmp_path), "figure-2")
    assert found["value"].to_numpy() == pytest.approx(away(found["seed"], found["x"]) / 0.8)


def test_the_files_are_what_their_names_say_and_the_same_when_made_again(tmp_path):
    plan = full(tmp_path)
    for key in plan.papers["mini"].figures:
        made = rendered(plan, key)
        assert made[".png"].startswith(b"\x89PNG") and made[".pdf"].startswith(b"%PDF")
        assert made == rendered(small_plan(tmp_path), key)


def test_a_figure_without_data_or_results_is_a_card_with_no_points(tmp_path):
    plan = small_plan(tmp_path)
    for key in plan.papers["mini"].figures:
        assert points(plan, key).empty
    cells = figures.figure_outcomes(plan, figures.Results(plan.root), "mini", "figure-1")
    why = figures.why_not_drawn(plan.papers["mini"].figures["figure-1"], cells)
    assert why == "not run: no scores yet"


def test_cards_do_without_the_drawing_library_and_nothing_needs_torch():
    """All figures of a paper that is not built yet are cards: they should cost little."""
    modules = ", ".join(f"retrace.report.{name}" for name in ("figures", "index", "status", "why"))
    program = f"import sys, {modules}; sys.exit(not {{'seaborn', 'torch'}}.isdisjoint(sys.modules))"
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": str(REPOSITORY / "src")})


def test_failed_runs_are_left_out_and_said(tmp_path):
    plan = full(tmp_path)
    run = next(iter(plan.runs.values()))
    write(plan, run, "failure.json", {"reason": "out of memory"})
    assert run_label(run) not in set(points(plan, "figure-1")["run"])
    outcomes = figures.figure_outcomes(plan, figures.Results(plan.root), "mini", "figure-1")
    said = " ".join(figures.captions(plan, plan.papers["mini"].figures["figure-1"], outcomes))
    assert "Failed: 2 points" in said and "out of memory" in said


def test_the_caption_tells_the_scale(tmp_path):
    for scale, said in (
        ("demo", "Scale demo: not comparable with the paper's curves."),
        ("paper", "Scale paper."),
    ):
        plan = full(tmp_path / scale, scale=scale)
        outcomes = figures.figure_outcomes(plan, figures.Results(plan.root), "mini", "figure-1")
        assert next(figures.captions(plan, plan.papers["mini"].figures["figure-1"], outcomes)) == said


def record(root: Path) -> None:
    runs = small_plan(root, "paper").runs.values()
    lines = [
        [run_label(run), "both", domain, top1, 1000, "one GPU", 1.0, "c0ffee", "2030-01-01"]
        for run in runs
        for domain, top1 in (("home", 80.0), ("away", 20.0))
    ]
    path = root / "results/published/mini.csv"
    path.parent.mkdir(parents=True)
    pd.DataFrame(lines, columns=list(RECORD)).to_csv(path, index=False)


def test_numbers_on_record_stand_beside_those_of_a_smaller_scale(tmp_path):
    record(tmp_path)
    found = points(full(tmp_path, scale="demo"), "figure-2")
    stars = found[found["scale"] == "paper, on record"]
    assert len(stars) == 2 * 3 * 2 and set(stars["value"]) == {0.25}
    assert len(found) - len(stars) == 3 * 2  # the demonstration trains three of six
    assert set(points(full(tmp_path), "figure-2")["scale"]) == {"paper"}


def test_numbers_on_record_are_drawn_where_nothing_else_is(tmp_path):
    record(tmp_path)
    assert set(points(small_plan(tmp_path, "demo"), "figure-1")["scale"]) == {"paper, on record"}


def test_labels_are_text_and_never_formulas(tmp_path):
    def change(paper):
        figure = paper["figures"]["figure-1"]
        figure.update(title=HOSTILE, note=HOSTILE, x_label=HOSTILE, y_label=HOSTILE)
        figure["panels"][0]["label"] = figure["series"][0]["label"] = HOSTILE
        paper["figures"]["figure-3"].update(title=HOSTILE, not_run=HOSTILE)

    plan = full(tmp_path, change=change)
    assert rendered(plan, "figure-1") and rendered(plan, "figure-3")


def test_sizes_have_to_be_numbers(tmp_path):
    def change(paper):
        paper["figures"]["figure-1"]["x"][0]["key"] = "small"

    with pytest.raises(UserError, match="'small' is not a number"):
        rendered(full(tmp_path, change=change), "figure-1")


def test_the_band_is_the_standard_deviation_that_the_uncertainty_module_gives(tmp_path):
    plan = full(tmp_path)
    found = points(plan, "figure-1")
    of_one = found[(found["panel"] == "away") & (found["series"] == "cnn3d") & (found["x"] == 4)]
    hits = [first(value / 100) for value in of_one["value"]]
    outcomes = figures.figure_outcomes(plan, figures.Results(plan.root), "mini", "figure-1")
    sd = {tuple(key for _, key in cell.place.axes): seen.sd for cell, seen in outcomes}
    assert sd["away", "cnn3d", "4"] == pytest.approx(100 * uncertainty.over_seeds(hits).sd)


def test_the_figures_of_the_papers_render_without_any_result(tmp_path):
    plan = Plan(REPOSITORY, "demo")
    plan.root = tmp_path
    drawn = [(p, key) for p, page in plan.papers.items() for key, f in page.figures.items() if f.draw]
    assert drawn
    for paper, key in drawn:
        points = pd.read_csv(io.BytesIO(rendered(plan, key, paper)[".csv"]))
        ours = points[points["scale"] != "published"] if "scale" in points else points
        assert ours.empty or ours["value"].isna().all()
