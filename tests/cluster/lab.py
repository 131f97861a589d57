"""A small repository as a lab would have it: one paper, one table, a few trainings, a folder of videos."""

import os
import shutil
from copy import deepcopy
from pathlib import Path

import yaml

from pages import ROOT
from retrace.plan.plan import Plan
from retrace.plan.spec import Run
from small_plan import DATASET, PAPER
from store import write_page, write_videos

SHARDS = 4
PROFILE = "workflow/profiles/slurm/config.yaml"
FOLDER = Path(os.environ.get("RETRACE_CLUSTER_FOLDER", ROOT / "results/test-cluster"))
"""Where the tests work. Every machine of the cluster has to see it."""

GENERATED = {
    "classes": ["circle", "spiral", "line", "rectangle", "arc"],
    "frames": 10,
    "side": {"value": 16, "source": "assumed", "why": "small"},
    "splits": {"train": 96, "val": 20, "test": 20},
}
ROWS = {"steady": (30, 2, 0.1), "hasty": (30, 2, 1e30), "cancelled": (200, 4, 0.1), "late": (200, 4, 0.05)}
"""Epochs, hidden units and learning rate of each row's run. The last two take long enough to be disturbed."""


def build(root: Path) -> Path:
    """Write the repository to `root`, anew; its profile is the project's, as the site needs it."""
    shutil.rmtree(root, ignore_errors=True)
    for folder in ("workflow", "envs"):
        shutil.copytree(ROOT / folder, root / folder)
    _write(root / PROFILE, for_site(yaml.safe_load((ROOT / PROFILE).read_text(encoding="utf-8"))))
    _write(root / "papers/mini.yaml", _paper())
    for name in ("home", "away"):
        _write(root / f"datasets/{name}.yaml", DATASET | GENERATED)
    _write(root / "scales/small.yaml", {"title": "Small", "says": "For tests.", "comparable": True})
    write_page(root, shards=SHARDS)
    videos = write_videos(root / "disk")
    settings = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    _write(root / "config.yaml", settings | {"scale": "small", "data": {"tiny": str(videos)}})
    return root


def for_site(profile: dict) -> dict:
    """Put the site's partitions, account and GPU type, where the environment names them, into `profile`."""
    names = {"cpu": "RETRACE_CPU_PARTITION", "gpu": "RETRACE_GPU_PARTITION"}
    everywhere = {"slurm_account": os.environ.get("RETRACE_ACCOUNT")}
    of_gpu = {"gpu_model": os.environ.get("RETRACE_GPU_MODEL")}
    for rule in (profile["default-resources"], *profile["set-resources"].values()):
        if partition := rule.get("slurm_partition"):
            rule["slurm_partition"] = os.environ.get(names.get(partition, ""), partition)
        rule |= {key: value for key, value in (of_gpu if "gpu" in rule else everywhere).items() if value}
    return profile


def run_of(plan: Plan, row: str) -> Run:
    """Return the run behind a row of the table."""
    [run] = [run for cell in plan.all_cells() if ("row", row) in cell.place.axes for run in cell.runs]
    return run


def _paper() -> dict:
    paper = deepcopy(PAPER) | {"figures": {}, "claims": {}, "protocols": {}}
    table = paper["tables"]["table-1"] | {"rows": []}
    table["columns"] = table["columns"][:1]
    for key, (epochs, hidden, lr) in ROWS.items():
        protocol = deepcopy(PAPER["protocols"]["short"]) | {"seeds": [1]}
        protocol["train"] |= {"epochs": epochs, "patience": epochs}
        protocol["train"]["optimizer"]["lr"] = lr
        paper["protocols"][key] = protocol
        cell = {"protocol": key, "model": {"family": "cnn3d", "hidden": hidden}}
        table["rows"].append({"key": key, "label": key, "cell": cell, "published": [50.0]})
    both = {"table-1": table["rows"][:2], "table-2": table["rows"][2:]}
    return paper | {"tables": {key: table | {"rows": rows} for key, rows in both.items()}}


def _write(path: Path, page: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(page, sort_keys=False), encoding="utf-8")
