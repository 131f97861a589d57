"""A plan of one small paper, and scores planted as if its runs had been trained."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from retrace.plan import counted
from retrace.plan.layout import COSTS, run_folder, view_folder
from retrace.plan.plan import Plan
from retrace.plan.spec import Run

CLASSES = ["left", "middle", "right", "up", "down", "round"]
CLIPS = 120
HOSTILE = "<script>alert('x')</script> & $\\frac$ | `b` _c_ 100 %"

DATASET = {
    "kind": "clips",
    "title": "Home",
    "version": 1,
    "origin": "made up",
    "access": "generated",
    "licence": "none",
    "flip": "forbid",
    "classes": CLASSES,
    "frames": 4,
    "side": {"value": 8, "source": "assumed", "why": "small"},
    "channels": 1,
    "splits": {"train": 240, "val": CLIPS, "test": CLIPS},
    "generator": {
        "kind": "temporal_shape",
        "symbol": "dot",
        "size": 2,
        "digits": None,
        "background": 0,
        "noise_seeds": 15,
        "jpeg_quality": 75,
        "seed": 1,
    },
}
TRAINED = {"data": "home", "protocol": "short", "view": "both", "model": {"layers": 3, "hidden": 4}}
FAMILIES = ("cnn3d", "convlstm")
ROWS = [
    {
        "key": "cnn3d",
        "label": "3D CNN",
        "cell": {"model": {"family": "cnn3d"}},
        "published": [50.0, 0.5, None],
    },
    {
        "key": "convlstm",
        "label": "ConvLSTM",
        "note": "a note on a row",
        "cell": {"model": {"family": "convlstm"}},
        "published": [{"value": 75.0, "source": "main_paper", "why": "recalled"}, 0.25, 10.0],
    },
    {"key": "other", "label": "Other work", "kind": "cited", "published": [90.0, None, None]},
]
SIZES = [{"key": str(n), "label": str(n), "cell": {"model": {"hidden": n}}} for n in (2, 4, 8)]
SERIES = [{"key": f, "label": f.upper(), "cell": {"model": {"family": f}}} for f in FAMILIES]
CURVES = {
    "number": "Figure 1",
    "title": "Accuracy by size",
    "place": "page 4",
    "draw": "accuracy_by_size",
    "x_label": "size",
    "y_label": "accuracy (%)",
    "cell": {"measure": "top1", **TRAINED},
    "panels": [{"key": d, "label": d, "cell": {"domain": d}} for d in ("home", "away")],
    "series": SERIES,
    "x": SIZES,
}
PAPER = {
    "title": "A small paper",
    "short": "Small",
    "authors": "A. Uthor",
    "venue": "Nowhere",
    "year": 2020,
    "text": "all of it",
    "protocols": {
        "short": {
            "recipe": 1,
            "seeds": {"value": [1, 2], "source": "assumed", "why": "two will do"},
            "train": {
                "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.001},
                "schedule": "constant",
                "batch": 8,
                "drop_last": False,
                "epochs": {"value": 30, "source": "code", "why": "not printed"},
                "patience": 5,
                "select": "last",
                "autocast": "none",
            },
        }
    },
    "views": {
        "both": {
            "order": "forward",
            "domains": {
                "home": {"dataset": "home", "split": "val"},
                "away": {"dataset": "away", "split": "test"},
            },
        }
    },
    "tables": {
        "table-1": {
            "number": "Table 1",
            "title": "Trained",
            "place": "page 3",
            "header": "Model",
            "cell": TRAINED,
            "columns": [
                {
                    "key": "home",
                    "label": "Home",
                    "unit": "%",
                    "decimals": 1,
                    "cell": {"measure": "top1", "domain": "home"},
                },
                {
                    "key": "ratio",
                    "label": "Away/Home",
                    "unit": "ratio",
                    "decimals": 3,
                    "better": "higher",
                    "cell": {"measure": "ratio", "domain": "away", "over": "home"},
                },
                {"key": "speed", "label": "Speed", "unit": "clips/s", "not_run": "speed is not measured"},
            ],
            "rows": ROWS,
        },
        "table-2": {
            "number": "Table 2",
            "title": "Counted",
            "place": "page 5",
            "header": "Model",
            "cell": {
                "classes": 6,
                "frames": 4,
                "side": 8,
                "channels": 1,
                "model": {"layers": 3, "hidden": 4},
            },
            "columns": [
                {"key": "p", "label": "Parameters", "unit": "parameters", "cell": {"measure": "parameters"}},
                {"key": "g", "label": "Cost", "unit": "GMAC", "decimals": 1, "cell": {"measure": "gmacs"}},
            ],
            "rows": [
                {**ROWS[0], "published": [1000, 2.5]},
                {**ROWS[1], "published": [{"value": 1001, "source": "paper", "why": "a misprint"}, 2.6]},
            ],
        },
    },
    "figures": {
        "figure-1": CURVES,
        "figure-2": {
            **CURVES,
            "number": "Figure 2",
            "title": "Ratio by size",
            "draw": "ratio_by_size",
            "panels": [],
            "cell": {"measure": "ratio", "domain": "away", "over": "home", **TRAINED},
        },
        "figure-3": {"number": "Figure 3", "title": "A drawing", "place": "page 1", "not_run": "a schematic"},
    },
    "claims": {
        "convlstm-ahead": {
            "says": "The ConvLSTM is better away from home.",
            "place": "page 6",
            "comparisons": [
                {
                    "more": {"of": "figure-1", "panel": "away", "series": "convlstm"},
                    "less": {"of": "figure-1", "panel": "away", "series": "cnn3d"},
                }
            ],
        },
        "untested": {"says": "It is fast.", "place": "page 7", "not_run": "speed is not measured"},
    },
}
SCALES = {
    "paper": {"title": "Full size", "says": "As printed.", "comparable": True},
    "demo": {
        "title": "Demonstration",
        "says": "Smaller.",
        "comparable": False,
        "papers": {
            "mini": {
                "only": [
                    {"model": {"family": "cnn3d", "hidden": [2, 4]}},
                    {"model": {"family": "convlstm", "hidden": 4}},
                ],
                "protocols": {"*": {"train": {"epochs": 3}}},
            }
        },
    },
}


def small_plan(root: Path, scale: str = "paper", change: Callable[[dict], None] = lambda paper: None) -> Plan:
    """Write the pages below `root`, the paper's after `change`, and return their plan."""
    paper = deepcopy(PAPER)
    change(paper)
    pages = {"papers/mini": paper, "datasets/home": DATASET, "datasets/away": {**DATASET, "title": "Away"}}
    pages |= {f"scales/{name}": page for name, page in SCALES.items()}
    for name, page in pages.items():
        path = root / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(deepcopy(page)), encoding="utf-8")
    return Plan(root, scale)


def first(share: float, clips: int = CLIPS) -> np.ndarray:
    """Return hits (N,): the first `share` of the clips."""
    return np.arange(clips) < round(share * clips)


def plant(plan: Plan, hits: Callable[[Run, str], np.ndarray]) -> None:
    """Write scores for every run and view of `plan`: hits(run, domain) says which clips are right."""
    for name, run in plan.runs.items():
        for view in plan.views[name].values():
            tables = [domain_scores(domain, hits(run, domain)) for domain in view.domains]
            folder = plan.root / view_folder(run, view)
            folder.mkdir(parents=True, exist_ok=True)
            pd.concat(tables).to_parquet(folder / "scores.parquet", index=False)
        write(
            plan,
            run,
            "env.json",
            {"gpu": "a GPU", "cpus": 4, "packages": {"torch": "9.9"}, "commit": "c0ffee"},
        )
        write(plan, run, "train.json", {"epochs": 30, "kept_epoch": 29})


def domain_scores(domain: str, hits: np.ndarray) -> pd.DataFrame:
    """Return the scores of one domain, where a wrong clip gets the class after its own."""
    labels = np.arange(len(hits)) % len(CLASSES)
    answers = (labels + ~hits) % len(CLASSES)
    logits = np.eye(len(CLASSES), dtype=np.float32)[answers]
    columns = {f"logit_{k}": logits[:, k] for k in range(len(CLASSES))}
    ids = [f"{domain}-{i:05d}" for i in range(len(hits))]
    return pd.DataFrame({"domain": domain, "id": ids, "label": labels, **columns})


def write(plan: Plan, run: Run, name: str, content: dict) -> Path:
    """Write a JSON file into the folder of `run` and return its path."""
    path = plan.root / run_folder(run) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def count(plan: Plan, parameters: int, multiply_adds: int) -> None:
    """Write the same costs for every model."""
    path = plan.root / COSTS.format(paper="mini")
    path.parent.mkdir(parents=True, exist_ok=True)
    entry = {"parameters": parameters, "multiply_adds": multiply_adds}
    path.write_text(json.dumps(dict.fromkeys(counted.costs(plan, "mini"), entry)))
