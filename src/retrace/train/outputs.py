"""The files that a training leaves behind."""

import datetime
import json
import sys
from pathlib import Path
from typing import Any

import torch

from retrace.errors import UserError
from retrace.files import write_text
from retrace.plan.identity import digest
from retrace.plan.spec import Run
from retrace.train.environment import environment
from retrace.train.progress import Progress
from retrace.train.weights import Origin, Weights, save_weights


def write_results(folder: Path, run: Run, last: Weights, progress: Progress, device: torch.device) -> None:
    """Write weights.safetensors, env.json and train.json; `last` are the weights of the last epoch.

    train.json holds what the spec determines, env.json what depends on the machine.
    """
    best = run.protocol.select == "best_val"
    kept = progress.best_epoch if best else progress.epochs
    history = progress.history()
    summary = {
        "run": digest(run),
        "stopped": progress.why_over(run.protocol),
        "epochs": progress.epochs,
        "steps": history[-1]["step"],
        "best_epoch": progress.best_epoch,
        "kept_epoch": kept,
        "monitor/val_top1": [record["monitor/val_top1"] for record in history],
    }
    wall = sum(record["seconds"] + record["val_seconds"] for record in history)
    origin = Origin(digest(run), run.task.classes, kept)
    save_weights(folder / "weights.safetensors", progress.best_weights if best else last, origin)
    _write_json(folder / "env.json", environment(device, wall))
    _write_json(folder / "train.json", summary)


def write_failure(folder: Path, error: Exception, progress: Progress) -> None:
    """Leave failure.json, so that a table can say why it has no number."""
    reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    failure = {"reason": reason, "epoch": progress.epochs + 1, "step": progress.step}
    _write_json(folder / "failure.json", failure)


def rewrite_log(folder: Path, progress: Progress) -> None:
    """Make log.jsonl what `progress` knows: a resumed run has each epoch once."""
    write_text(folder / "log.jsonl", "".join(json.dumps(record) + "\n" for record in progress.log))


def log_epoch(folder: Path, progress: Progress, epochs: int) -> None:
    """Append the last record to log.jsonl and tell it on stderr; `epochs` are the most there may be."""
    record = progress.log[-1]
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(record) + "\n")
    seconds = (epochs - record["epoch"]) * (record["seconds"] + record["val_seconds"])
    print(
        f"epoch {record['epoch']}/{epochs}  loss {record['loss']:.4f}  "
        f"val top-1 {100 * record['monitor/val_top1']:.1f} %  "
        f"{record['clips_per_second']} clips/s  "
        f"at most {datetime.timedelta(seconds=round(seconds))} left",
        file=sys.stderr,
    )


def _write_json(path: Path, value: dict[str, Any]) -> None:
    write_text(path, json.dumps(value, indent=2) + "\n")
