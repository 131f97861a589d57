"""The workflow from end to end at a tiny scale: what it makes, what it makes anew, and what a kill does."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from pages import ENVIRONMENT, RAC, ROOT, copy_pages, edit
from retrace.plan import layout
from retrace.plan.merge import merge
from retrace.plan.plan import Plan

KEPT = {"tables": ("table-8",), "figures": ("figure-2", "figure-3", "figure-4")}
SAME = (
    "data/*/*/clips.npy",
    "runs/*/*/weights.safetensors",
    "runs/*/*/views/*/scores.parquet",
    "tiny/tables/rac/*",
    "tiny/figures/rac/*.csv",
    "tiny/claims.csv",
    "tiny/ledger.*",
)
"""What an interrupted run has to make byte for byte as an undisturbed one."""


def build(root: Path) -> Path:
    """Make a small repository: the real workflow and the first paper with a few of its tables and figures."""
    copy_pages(root)
    for folder in ("workflow", "envs"):
        shutil.copytree(ROOT / folder, root / folder)
    edit(root, "config.yaml", "scale: demo", "scale: tiny")
    change_page(root, keep)
    return root


def keep(page: dict) -> None:
    """Leave a few tables and figures on a page, and the claims about them."""
    page.update({section: {key: page[section][key] for key in keys} for section, keys in KEPT.items()})
    page["claims"] = {key: claim for key, claim in page["claims"].items() if "diving48" not in key}


def change_page(root: Path, change: Callable[[dict], None]) -> None:
    page = yaml.safe_load((root / RAC).read_text(encoding="utf-8"))
    change(page)
    (root / RAC).write_text(yaml.safe_dump(page, sort_keys=False), encoding="utf-8")


@pytest.fixture
def page(done) -> Iterator[Callable[[Callable[[dict], None]], None]]:
    """Return a function that changes the page of the finished workflow; the change is undone afterwards."""
    before = (done / RAC).read_bytes()
    yield lambda change: change_page(done, change)
    (done / RAC).write_bytes(before)


def program(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=root,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )


def snakemake(root: Path, *arguments: str) -> str:
    """Run Snakemake in `root` and return what it says; it must succeed."""
    answer = program(root, "snakemake", *arguments)
    assert answer.returncode == 0, answer.stdout[-5000:]
    return answer.stdout


def reproduce(root: Path) -> None:
    """Do what `make reproduce` does after the installation."""
    recipe = (ROOT / "Makefile").read_text().partition("\nreproduce:")[2].partition("\n\n")[0]
    steps = re.findall(r"^\t@?\$\(BIN\)/(.+)$", recipe, flags=re.MULTILINE)
    assert steps
    for step in steps:
        answer = program(root, *step.split())
        assert answer.returncode == 0, answer.stdout[-5000:]


def jobs(output: str) -> dict[str, int]:
    """Return how many jobs of each rule Snakemake announces, `all` left out."""
    if "Nothing to be done" in output:
        return {}
    table = output.partition("Job stats:\n")[2].partition("\n\n")[0]
    counts = {name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", table, flags=re.MULTILINE)}
    assert counts.pop("total") == sum(counts.values())
    counts.pop("all", None)
    return counts


def trained(output: str) -> set[str]:
    """Return the names of the runs that Snakemake announces to train."""
    return set(re.findall(r"^rule train:(?:\n .*)*?run=(\S+)", output, flags=re.MULTILINE))


def made(root: Path) -> dict[str, bytes]:
    results = root / "results"
    paths = [path for pattern in SAME for path in results.glob(pattern)]
    return {path.relative_to(results).as_posix(): path.read_bytes() for path in sorted(paths)}


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    """The workflow, run to its end without disturbance."""
    root = build(tmp_path_factory.mktemp("workflow") / "root")
    reproduce(root)
    return root


def test_it_ends_with_a_page_and_all_that_belongs_to_it(done):
    assert "<html" in (done / "results/tiny/index.html").read_text(encoding="utf-8")
    plan, files = Plan(done, "tiny"), made(done).keys()
    assert len(plan.runs) == 2
    assert sum(name.endswith("weights.safetensors") for name in files) == 2
    assert sum(name.endswith("clips.npy") for name in files) == len(plan.splits) == 5
    assert {f"tiny/tables/rac/{key}.{end}" for key in KEPT["tables"] for end in ("md", "csv", "tex")} <= files
    assert {f"tiny/figures/rac/{key}.csv" for key in KEPT["figures"]} <= files


def test_a_second_run_does_nothing(done):
    assert jobs(snakemake(done)) == {}


def test_digits_that_lie_elsewhere_make_nothing_anew(done):
    assert jobs(snakemake(done, "--dry-run", "--config", "mnist=else where/{mnist}")) == {}


def test_released_weights_beside_a_run_are_asked_for_its_tables_and_train_nothing(done, page):
    def of_figure_2(page: dict) -> None:
        figure = page["figures"]["figure-2"]
        axes = [figure[axis][0]["cell"] for axis in ("panels", "series", "x")]
        table = {key: figure[key] for key in ("number", "title", "place")} | {"header": "Model"}
        table["cell"] = merge(figure["cell"], *axes)
        table["columns"] = [{"key": "top1", "label": "Accuracy", "unit": "%"}]
        table["rows"] = [{"key": "cnn3d", "label": "3D CNN", "published": [None]}]
        page["tables"]["table-8"] = table

    page(of_figure_2)
    cell = Plan(done, "tiny").cells("rac", "table-8")[0]
    weights = done / layout.imported_folder(cell.runs[0]) / "weights.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"nobody looks before they are asked")
    output = snakemake(done, "--dry-run")
    shutil.rmtree(weights.parent)
    changed_page = {"ledger": 1}
    assert jobs(output) == {"score_imported": 1, "table": 1, "page": 1} | changed_page


def test_a_deleted_figure_is_the_only_one_drawn_again(done, tmp_path):
    figure = done / "results/tiny/figures/rac/figure-2.png"
    figure.rename(tmp_path / figure.name)
    output = snakemake(done, "--dry-run")
    (tmp_path / figure.name).rename(figure)
    assert jobs(output) == {"figure": 1, "page": 1}
    assert "figure=figure-2" in output


def test_a_published_number_renders_its_table_and_trains_nothing(done, page):
    def misprint(page: dict) -> None:
        page["tables"]["table-8"]["rows"][1]["published"][0] = 3574

    page(misprint)
    output = snakemake(done, "--dry-run")
    assert jobs(output) == {"table": 1, "page": 1}
    assert "table=table-8" in output


def test_a_learning_rate_trains_the_runs_of_its_protocol(done, page):
    before = Plan(done, "tiny").runs

    def faster(page: dict) -> None:
        page["protocols"]["temporal_shape_attention"]["train"]["optimizer"] = {"lr": 0.005}

    page(faster)
    output = snakemake(done, "--dry-run")
    assert (jobs(output)["train"], jobs(output)["score"]) == (1, 1)
    assert jobs(output).keys().isdisjoint({"generate", "cost"})
    assert trained(output) == Plan(done, "tiny").runs.keys() - before.keys()
    assert {name.partition("-")[0] for name in trained(output)} == {"timesformer1"}


def test_full_size_is_the_whole_grid(done):
    announced = jobs(snakemake(done, "--dry-run", "--quiet", "rules", "--config", "scale=paper"))
    assert (announced["train"], announced["score"]) == (400, 400)


def test_tables_and_figures_are_targets_by_name(done):
    listed = snakemake(done, "--list-target-rules")
    assert "\nrac_table_8 (Table 8: Trainable parameters of the Temporal Shape models)\n" in listed
    assert "\nrac_figure_2 (Figure 2: Accuracy by number of hidden units, trained" in listed


@pytest.mark.parametrize(
    ("old", "new", "arguments", "expected"),
    [
        ("batch:", "bach:", (), "temporal_shape.train.bach: unknown key 'bach'; did you mean 'batch'?"),
        ("", "", ("--config", "scale=tinny"), "there is no scale 'tinny'; did you mean 'tiny'?"),
        ("", "", ("--config", "scal=tiny"), "config.yaml: unknown key 'scal'; did you mean 'scale'?"),
    ],
    ids=["page", "scale", "configuration"],
)
def test_a_mistake_stops_it_with_one_message(done, page, old, new, arguments, expected):
    edit(done, RAC, old, new)
    answer = program(done, "snakemake", "--dry-run", *arguments)
    assert answer.returncode != 0
    assert answer.stdout.count(expected) == 1
    assert "Traceback" not in answer.stdout


def kill(root: Path, moment: str, delay: float) -> None:
    """Start the workflow; when a file fits `moment` wait `delay` seconds more, then kill all of it."""
    command = [sys.executable, "-m", "snakemake"]
    with (root / "output.txt").open("w") as output:
        running = subprocess.Popen(
            command, cwd=root, env=ENVIRONMENT, stdout=output, stderr=output, start_new_session=True
        )
    while not any(root.glob(moment)):
        assert running.poll() is None, (root / "output.txt").read_text()[-5000:]
        time.sleep(0.02)
    time.sleep(delay)
    assert running.poll() is None, "it ended before it could be killed"
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()


def test_killed_three_times_it_ends_with_the_same_bytes(done, tmp_path):
    root = build(tmp_path / "root")
    dice = random.Random(2023)
    for moment, longest in (
        ("results/data/*/*/clips.npy", 1.0),
        ("results/runs/*/*/log.jsonl", 0.1),
        ("results/runs/*/*/views/*/scores.parquet", 1.0),
    ):
        kill(root, moment, dice.uniform(0, longest))
        if "log.jsonl" in moment:
            assert not any(root.glob("results/runs/*/*/weights.safetensors")), (
                "training was over before the kill"
            )
        locked = program(root, "retrace", "unlock")
        assert locked.returncode == 0, locked.stdout
    reproduce(root)
    assert made(root) == made(done)
