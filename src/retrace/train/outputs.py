"""The files that a training leaves behind."""

import datetime
import json
import sys
from pathlib import Path
from typing import Any

from retrace.errors import UserError
from retrace.files import room_for, write_text
from retrace.plan.identity import digest
from retrace.plan.layout import weights_file
from retrace.plan.spec import Run, matched
from retrace.train.matching import MONITOR, nearest_epochs
from retrace.train.progress import Progress
from retrace.train.weights import Origin, Weights, save_weights


def write_results(
    folder: Path, run: Run, last: Weights, progress: Progress, hardware: dict[str, Any]
) -> None:
    """Write weights.safetensors, env.json and train.json; `last` are the weights of the last epoch.

    Weights matched by their validation accuracy come first: whoever sees weights.safetensors has these, too.
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
        MONITOR: [record[MONITOR] for record in history],
    }
    nearest = nearest_epochs(history, matched(run.protocol))
    if nearest:
        summary["matched"] = [
            {"accuracy": accuracy, "epoch": epoch, MONITOR: history[epoch - 1][MONITOR]}
            for accuracy, epoch in nearest.items()
        ]
    for accuracy, epoch in nearest.items():
        origin = Origin(digest(run), run.task.classes, epoch)
        save_weights(folder / weights_file(accuracy), progress.matched_weights[epoch], origin)
    origin = Origin(digest(run), run.task.classes, kept)
    save_weights(folder / weights_file(), progress.best_weights if best else last, origin)
    _write_json(folder / "env.json", hardware)
    _write_json(folder / "train.json", summary)


def write_failure(folder: Path, error: Exception, progress: Progress) -> None:
    """Leave failure.json, so that a table can say why it has no number.

    Of several ranks the first to fail says why; the others only miss it. A disk that is too full for it
    must not hide the reason.
    """
    path = folder / "failure.json"
    if path.exists():
        return
    reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    failure = {"reason": reason, "epoch": progress.epochs + 1, "step": progress.step}
    try:
        _write_json(path, failure)
    except (UserError, OSError) as problem:
        print(f"{path} could not be written: {problem}", file=sys.stderr)


def rewrite_log(folder: Path, progress: Progress) -> None:
    """Make log.jsonl what `progress` knows: a resumed run has each epoch once."""
    write_text(folder / "log.jsonl", "".join(json.dumps(record) + "\n" for record in progress.log))


def append_log(folder: Path, record: dict[str, Any]) -> None:
    """Add a record to log.jsonl."""
    path = folder / "log.jsonl"
    with room_for(path), path.open("a", encoding="utf-8") as log:
        log.write(json.dumps(record) + "\n")


def log_epoch(folder: Path, progress: Progress, epochs: int) -> None:
    """Append the last record to log.jsonl and tell it on stderr; `epochs` are the most there may be."""
    record = progress.log[-1]
    append_log(folder, record)
    seconds = (epochs - record["epoch"]) * (record["seconds"] + record["val_seconds"])
    print(
        f"epoch {record['epoch']}/{epochs}  loss {record['loss']:.4f}  "
        f"val top-1 {100 * record[MONITOR]:.1f} %  "
        f"{record['clips_per_second']} clips/s  "
        f"at most {datetime.timedelta(seconds=round(seconds))} left",
        file=sys.stderr,
    )


def _write_json(path: Path, value: dict[str, Any]) -> None:
    write_text(path, json.dumps(value, indent=2) + "\n")
