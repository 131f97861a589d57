"""The real pages, copied so that a test can edit them; and a scale that is small enough to run."""

import os
import shutil
from pathlib import Path

from retrace.plan.identity import model_label, run_name
from retrace.plan.plan import Plan
from retrace.plan.spec import Run

ROOT = Path(__file__).parents[1]
RAC = "papers/rac.yaml"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
"""For programs of this source tree, whether or not it is installed."""

TINY = """\
title: Tiny
says: For tests.
comparable: false
papers:
  rac:
    seeds: 1
    only:
      - data: temporal-shape-2dot
        model: {family: cnn3d, hidden: 2}
      - data: temporal-shape-2dot
        model: {family: timesformer, heads: 1, hidden: 2}
    datasets:
      temporal-shape-*: {frames: 10, side: 16, splits: {train: 64, val: 20, test: 20}}
      temporal-shape-mnist*: {generator: {digits: scikit-learn}}
    protocols:
      temporal_shape*: {train: {epochs: 20, patience: 20, batch: 8}}
"""

# What the first paper trains: every source, model, size (hidden units) and seed.
SOURCES = ("temporal-shape-2dot", "temporal-shape-mnist-bg")
MODELS = ("cnn3d", "convlstm", "timesformer8", "timesformer1")
SIZES = (2, 4, 6, 8, 10, 12, 16, 24, 32, 48)
SEEDS = (42, 61, 47, 53, 57)


def copy_pages(root: Path) -> Path:
    """Copy one paper's page, datasets, segmenters and config.yaml to `root`; scales are tiny and paper."""
    for folder in ("papers", "scales"):
        (root / folder).mkdir(parents=True)
    for folder in ("datasets", "segmenters"):
        shutil.copytree(ROOT / folder, root / folder)
    for file in (RAC, "scales/paper.yaml", "config.yaml"):
        shutil.copy(ROOT / file, root / file)
    (root / "scales/tiny.yaml").write_text(TINY)
    return root


def edit(root: Path, file: str, old: str, new: str) -> None:
    """Replace the first `old` in a file by `new`; a test whose `old` is gone from the page fails here."""
    text = (root / file).read_text(encoding="utf-8")
    assert old in text, f"{file} no longer holds {old!r}: edit this test"
    (root / file).write_text(text.replace(old, new, 1), encoding="utf-8")


def line_of(root: Path, file: str, mark: str) -> int:
    """Return the number of the line where `mark` first begins, the first line being 1."""
    text = (root / file).read_text(encoding="utf-8")
    return text[: text.index(mark)].count("\n") + 1


def runs(plan: Plan, *items: str) -> dict[str, Run]:
    """Return the runs behind the given figures of the first paper, by name."""
    return {run_name(run): run for item in items for cell in plan.cells("rac", item) for run in cell.runs}


def position(run: Run) -> tuple[str, str, int, int]:
    """Return which of the paper's trainings `run` is: source, model, size, seed."""
    label, size = model_label(run.model).split("-n")
    return run.train.dataset, label, int(size), run.seed
