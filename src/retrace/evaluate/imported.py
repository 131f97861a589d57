"""Weights of others in the place of trained ones: "their weights, our evaluation".

They lie in a folder of their own below the run whose model, data and views they are asked with, under a mark
that a training never has: whoever takes the file for the run's own weights is refused.
"""

import json
from pathlib import Path

from retrace.files import write_text
from retrace.models import registry
from retrace.models.imports.checkpoint import read_checkpoint, sha256
from retrace.models.imports.registry import release_of, translated
from retrace.plan.identity import digest
from retrace.plan.layout import IMPORT, IMPORTED
from retrace.plan.spec import Run
from retrace.train.weights import Origin, save_weights


def mark(run: Run) -> str:
    """Return what stands as the owner in a file of imported weights for `run`."""
    return f"imported for {digest(run)}"


def import_weights(run: Run, folder: Path, release: str, file: Path) -> list[str]:
    """Put the weights of `file`, of the release so called, beside `run`, whose folder is `folder`.

    Writes ``imported/weights.safetensors`` and ``imported/import.json`` there; scores of earlier imports
    are removed. Returns lines that tell what was done. Raises UserError if the file cannot be read safely
    or does not fit the run's model.
    """
    source, task = release_of(release).source, run.task
    model = registry.build(
        run.model, classes=len(task.classes), channels=task.channels, frames=task.frames, side=task.side
    )
    theirs = read_checkpoint(file)
    weights, left_out = translated(release, run.model.family, theirs.weights, model.state_dict())
    into = folder / Path(IMPORTED).name
    for answer in (*into.glob("views/*/scores.parquet"), *into.glob("views/*/metrics.json")):
        answer.unlink()
    save_weights(into / "weights.safetensors", weights, Origin(mark(run), task.classes, 0))
    told = {
        "run": digest(run),
        "release": release,
        "source": source,
        "file": file.name,
        "sha256": sha256(file),
        "said": theirs.said,
        "tensors": len(theirs.weights),
        "left_out": left_out,
    }
    write_text(into / IMPORT, json.dumps(told, indent=1) + "\n")
    return [
        f"{len(theirs.weights)} tensors of {file.name} ({source}) are now {into}/weights.safetensors",
        *(f"the file says {key}: {value}" for key, value in theirs.said.items()),
        *(f"left out: {key} ({why})" for key, why in left_out.items()),
        f"The {len(task.classes)} classes are taken to be in the order of {run.train.dataset}. Whether the "
        "network pools time, how it samples frames and how it normalises them stand in no tensor: they are "
        "the run's.",
        "To ask them and print their numbers beside ours: snakemake tables_now",
    ]
