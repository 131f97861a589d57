"""The bill beforehand: against sums by hand, brute force, and what was executed."""

import json
import resource
import subprocess
import sys

import pytest
import torch
import yaml

from pages import ENVIRONMENT, ROOT
from retrace.cost.budget import Budget
from retrace.cost.count import multiply_adds
from retrace.cost.executed import ASSUMED_TFLOPS, executed, finished, speed
from retrace.cost.needs import needs, together
from retrace.cost.operations import Operations, asked
from retrace.cost.tasks import COUNTED, count
from retrace.errors import UserError
from retrace.models.registry import build
from retrace.plan import counted
from retrace.plan.identity import run_name
from retrace.plan.layout import SPEEDS, run_folder
from retrace.plan.plan import Plan
from retrace.plan.spec import Run
from retrace.report.bill import DOCUMENT, bill, documented
from small_plan import CLASSES, CLIPS, DATASET, first, plant, small_plan, write

FLOPS = 1e9
FRAMES, SIDE = 8, 16
FIGURE_1, FIGURE_2, TABLE_1 = ("mini", "figure-1"), ("mini", "figure-2"), ("mini", "table-1")


@pytest.fixture
def plan(tmp_path) -> Plan:
    """The small plan, with clips that its networks can halve three times."""
    small_plan(tmp_path)
    larger = DATASET | {"frames": FRAMES, "side": {"value": SIDE, "source": "assumed", "why": "small"}}
    for name in ("home", "away"):
        (tmp_path / f"datasets/{name}.yaml").write_text(yaml.safe_dump(larger))
    return Plan(tmp_path, "paper")


def budget(plan: Plan, *items: tuple[str, str], flops: float = FLOPS) -> Budget:
    found = needs(plan, items)
    return Budget(plan, found, Operations(plan, together(found.values()).runs), flops)


def forward(run: Run) -> int:
    """Return the multiply-adds of a forward pass on one clip of the small plan."""
    with torch.device("meta"):
        net = build(run.model, classes=len(CLASSES), channels=1, frames=FRAMES, side=SIDE)
    return multiply_adds(net, (1, FRAMES, 1, SIDE, SIDE))


def hours(run: Run) -> tuple[float, float]:
    """Return by hand the hours of training a run, and of asking it its view: two domains of 120 clips."""
    training = 2 * 30 * (3 * 240 + CLIPS) * forward(run)
    return training / FLOPS / 3600, 2 * 2 * CLIPS * forward(run) / FLOPS / 3600


def test_a_bill_is_the_sum_over_its_runs_and_views_by_hand(plan):
    prices = [hours(run) for run in plan.runs.values()]
    found = budget(plan, FIGURE_1).bill([FIGURE_1])
    assert (found.runs, found.jobs) == (12, 24)
    assert found.hours == pytest.approx(sum(map(sum, prices)))
    assert found.chain == pytest.approx(max(map(sum, prices)))
    clips, numbers = FRAMES * SIDE**2, 2 * CLIPS * len(CLASSES)
    weights = sum(Operations(plan, plan.runs).parameters(run) for run in plan.runs.values())
    assert found.bytes == (240 + 2 * CLIPS) * clips + 4 * (weights + 12 * numbers)


def test_what_is_shared_is_paid_once(plan):
    both = budget(plan, FIGURE_1, FIGURE_2, TABLE_1)
    assert both.bill([FIGURE_1, FIGURE_2]) == both.bill([FIGURE_1])
    assert both.bill([TABLE_1]).runs == 4


def test_what_is_done_is_out(plan):
    plant(plan, lambda run, domain: first(0.5))
    found = budget(plan, FIGURE_1).bill([FIGURE_1])
    assert (found.runs, found.jobs) == (12, 12)
    assert found.hours == pytest.approx(sum(hours(run)[0] for run in plan.runs.values()))
    for run in plan.runs.values():
        (plan.root / run_folder(run) / "weights.safetensors").touch()
    assert budget(plan, FIGURE_1).bill([FIGURE_1]) == (0, 0, 0, 0, 0)


@pytest.fixture(scope="module")
def everything() -> Plan:
    return Plan(ROOT, "paper")


@pytest.fixture
def full(everything, monkeypatch, tmp_path) -> Plan:
    """Full size, with nothing done yet."""
    monkeypatch.setattr(everything, "root", tmp_path)
    return everything


def test_the_longest_chain_is_a_run_with_all_that_it_starts_from_and_one_view(full):
    item = ("deep_analysis", "figure-2")
    found = needs(full, [item])[item]
    operations = Operations(full, found.runs)

    def training(run: Run) -> float:
        parent = full.parents.get(run_name(run))
        return operations.training(run) + (training(parent) if parent else 0.0)

    asks = [(found.runs[ask.run], ask.asked) for ask in found.asks.values()]
    longest = max(training(run) + operations.view(run, view) for run, view in asks)
    assert longest > 1.2 * max(map(operations.training, found.runs.values()))
    assert budget(full, item).bill([item]).chain * FLOPS * 3600 == pytest.approx(longest)


def test_the_cheapest_that_fit_are_named_with_what_each_adds(full):
    items = [("gta", key) for key in full.items("gta")]
    priced = budget(full, *items, flops=1e14)
    taken = priced.cheapest(60.0)
    chosen = [item for item, _ in taken]
    assert 5 < len(chosen) < len(items)
    for number, (item, added) in enumerate(taken):
        before = priced.bill(chosen[:number]).hours
        rest = [other for other in items if other not in chosen[:number] and priced.bill([other]).jobs]
        least = min(priced.bill([*chosen[:number], other]).hours - before for other in rest)
        assert priced.bill([*chosen[:number], item]).hours - before == pytest.approx(added, abs=1e-9)
        assert added == pytest.approx(least, abs=1e-9)
    assert priced.bill(chosen).hours <= 60.0
    rest = [item for item in items if item not in chosen and priced.bill([item]).jobs]
    assert all(priced.bill([*chosen, item]).hours > 60.0 for item in rest)


def train(plan: Plan, run: Run, hardware: str, seconds: float, epochs: int = 30, ranks: int = 1) -> None:
    environment = {"gpu": hardware, "cpu": "x", "wall_seconds": seconds, "ranks": ranks}
    write(plan, run, "env.json", environment)
    write(plan, run, "train.json", {"epochs": epochs})


def pace(plan: Plan, tflops: float | None = None):
    over = finished(plan)
    return speed(plan, tflops, executed(plan, over, Operations(plan, over)))


def test_without_anything_executed_the_speed_is_assumed_and_says_so(plan):
    assert pace(plan) == (1e13, "assumed; give yours with --tflops")
    assert pace(plan, 40.0) == (4e13, "given by --tflops")


def test_the_speed_is_that_of_the_trainings_on_the_hardware_that_worked_longest(plan):
    one, two, three = list(plan.runs.values())[:3]
    train(plan, one, "quick", 100.0)
    train(plan, two, "slow", 300.0, epochs=15)  # it stopped early
    train(plan, three, "slow", 200.0, ranks=2)
    operations = 2 * (3 * 240 + CLIPS) * (15 * forward(two) + 30 * forward(three))
    found = pace(plan)
    assert found.flops == pytest.approx(operations / (300 + 2 * 200))
    assert found.source == "measured in 2 trainings of this scale on slow"
    assert pace(plan, 40.0).source == "given by --tflops"


def test_the_speed_of_the_rule_speed_counts_where_nothing_was_trained(full):
    (key, cell), *_ = counted.speeds(full, "deep_analysis").items()
    entry = {"hardware": "a card", "batch": 8, "seconds": [3.0, 2.0, 4.0]}
    path = full.root / SPEEDS.format(scale="paper", paper="deep_analysis")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({key: entry, "other": {"reason": "none"}}))
    with torch.device("meta"):
        net = build(cell.model, classes=cell.classes, channels=3, frames=cell.frames, side=cell.side)
    forward_pass = multiply_adds(net, (1, cell.frames, 3, cell.side, cell.side))
    passes = {"training": 3, "inference": 1}[cell.step]
    found = pace(full)
    assert found.flops == pytest.approx(2 * passes * forward_pass * 8 / 3.0)
    assert "the rule `speed` on a card" in found.source


def test_what_was_trained_is_told_beside_what_was_predicted(plan):
    for seconds, run in enumerate(plan.runs.values(), start=1):
        train(plan, run, "card", float(seconds))
    text = bill(plan, [], 1e-3, None)
    lines = [line.split() for line in text.splitlines() if line.startswith(("cnn3d ", "convlstm "))]
    assert [(line[0], line[1]) for line in lines] == [("cnn3d", "6"), ("convlstm", "6")]
    of_cnn = [run for run in plan.runs.values() if run.model.family == "cnn3d"]
    predicted = sum(hours(run)[0] for run in of_cnn)
    took = sum(n for n, run in enumerate(plan.runs.values(), 1) if run in of_cnn) / 3600
    assert float(lines[0][2]) == pytest.approx(predicted, rel=0.01)
    assert float(lines[0][3]) == pytest.approx(took, rel=0.01)
    assert float(lines[0][4]) == pytest.approx(took / predicted, rel=0.01)


@pytest.mark.parametrize("number", [0.0, -1.0, float("nan"), float("inf")])
def test_a_number_that_makes_no_sense_is_refused(plan, number):
    with pytest.raises(UserError, match=r"^--tflops should be a number above 0 \(got"):
        bill(plan, [], number, None)
    with pytest.raises(UserError, match=r"^--max-gpu-hours should be a number above 0 \(got"):
        bill(plan, [], 1.0, number)


def test_an_unknown_name_is_refused_with_the_nearest(plan):
    with pytest.raises(
        UserError, match=r"there is no table, figure or paper 'mini_figur_1'; .*mini_figure_1"
    ):
        bill(plan, ["mini_figur_1"], 1.0, None)


# What comes with the code


def test_what_was_counted_beforehand_is_counted_the_same_now(full):
    kept = json.loads(COUNTED.read_text())
    by_family = {}
    for one in asked(full, full.runs):
        by_family.setdefault(one.model.family, {})[one.key] = one
    for family, found in by_family.items():
        known = [one for key, one in found.items() if key in kept]
        assert len(known) >= 0.8 * len(found), f"{family}: run `retrace recount`"
        some = sorted(known, key=lambda one: one.key)[0]
        assert kept[some.key] == list(count(some)), f"{family}: run `retrace recount`"


def test_the_figures_of_the_documentation_are_those_of_the_code(full):
    assert documented(full) in (ROOT / DOCUMENT).read_text(encoding="utf-8"), "run `retrace recount`"
    assert f"{ASSUMED_TFLOPS:g} TFLOP/s" in (ROOT / DOCUMENT).read_text(encoding="utf-8")


def test_all_of_full_size_is_priced_in_ten_seconds_of_a_clean_clone(tmp_path):
    for folder in ("papers", "datasets", "scales", "segmenters", "config.yaml"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    answer = subprocess.run(
        [sys.executable, "-m", "retrace", "budget", "--scale", "paper", "--max-gpu-hours", "1000"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 10
    together_lines = [line for line in answer.stdout.splitlines() if " together " in line]
    assert len(together_lines) == 6
