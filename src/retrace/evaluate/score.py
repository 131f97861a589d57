"""Scores: what a trained model answers to a view, one row of logits per clip, and metrics of them."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

from retrace.data.clips import Clips
from retrace.data.frame_order import frame_order
from retrace.errors import UserError
from retrace.evaluate.metrics import mean_class_accuracy, top_k
from retrace.files import atomic, write_text
from retrace.models import registry
from retrace.plan.identity import digest
from retrace.plan.spec import Run, View
from retrace.train.device import forward, prepare_device
from retrace.train.weights import load_into, read_weights


def score(run: Run, folder: Path, view: View, out: Path) -> None:
    """Ask the model trained in `folder` about every domain of `view`; write its answers into `out`.

    ``scores.parquet``: domain, id, label, logit_0 .. logit_{K-1} (float32), sorted by domain and id.
    ``metrics.json``: per domain n, top1, top5 (of at most K classes) and mean_class, as shares.
    Raises UserError where weights, run and view do not belong together.
    """
    _check_shapes(run, view)
    device = prepare_device()
    model = _load_model(run, folder / "weights.safetensors").to(device)
    tables, metrics = [], {}
    for domain in sorted(view.domains):
        clips = Clips(view.domains[domain])
        logits_NK = _answers(model, clips, run, view, device)
        assert len(logits_NK) == len(clips), f"{domain}: {len(logits_NK)} scores for {len(clips)} clips"
        if not np.isfinite(logits_NK).all():
            raise UserError(f"the model in {folder} answers {domain} with logits that are not finite.")
        tables.append(_table(domain, clips, logits_NK))
        metrics[domain] = _metrics(logits_NK, clips.labels)
    with atomic(out / "scores.parquet") as temporary:
        pq.write_table(pa.concat_tables(tables), temporary)
    summary = {"run": digest(run), "view": digest(view), "domains": metrics}
    write_text(out / "metrics.json", json.dumps(summary, indent=2) + "\n")


def _check_shapes(run: Run, view: View) -> None:
    for domain, split in view.domains.items():
        for name in ("classes", "frames", "side", "channels"):
            trained, asked = getattr(run.train, name), getattr(split, name)
            if trained != asked:
                raise UserError(
                    f"view {view.name}: domain {domain} has {name} {asked}, the run was trained on {trained}."
                )


def _load_model(run: Run, path: Path) -> nn.Module:
    """Build the model of `run` with the weights in `path`, having checked that they are its own."""
    weights, origin = read_weights(path)
    if origin.run != digest(run):
        raise UserError(f"{path} holds the weights of run {origin.run}, expected {digest(run)}.")
    task = run.train
    if origin.classes != task.classes:
        raise UserError(f"{path} was trained on the classes {origin.classes}, the view has {task.classes}.")
    model = registry.build(
        run.model, classes=len(task.classes), channels=task.channels, frames=task.frames, side=task.side
    )
    load_into(model, weights, path)
    return model.eval()


@torch.inference_mode()
def _answers(model: nn.Module, clips: Clips, run: Run, view: View, device: torch.device) -> np.ndarray:
    """Return logits_NK (float32) for the clips in the order of the manifest, each asked once."""
    answers = []
    for start in range(0, len(clips), run.protocol.batch):
        indices = np.arange(start, min(start + run.protocol.batch, len(clips)))
        x_BTCHW, _ = clips.batch(indices, device)
        order_BT = np.stack([frame_order(view.order, x_BTCHW.shape[1], clips.ids[i]) for i in indices])
        rows_B1 = torch.arange(len(indices), device=device)[:, None]
        x_BTCHW = x_BTCHW[rows_B1, torch.from_numpy(order_BT).to(device)]
        answers.append(forward(model, x_BTCHW, run.protocol, len(run.train.classes)).cpu().numpy())
    return np.concatenate(answers)


def _table(domain: str, clips: Clips, logits_NK: np.ndarray) -> pa.Table:
    order = sorted(range(len(clips)), key=clips.ids.__getitem__)
    columns = {
        "domain": _strings([domain] * len(clips)),
        "id": _strings([clips.ids[index] for index in order]),
        "label": _numbers(clips.labels[order], pa.int64()),
    }
    for k, logits_N in enumerate(logits_NK[order].T):
        columns[f"logit_{k}"] = _numbers(logits_N, pa.float32())
    return pa.Table.from_arrays(list(columns.values()), list(columns))


# pa.array would import pandas, a second or two in each of many short processes; buffers do not.


def _numbers(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def _strings(values: list[str]) -> pa.Array:
    encoded = [value.encode() for value in values]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))


def _metrics(logits_NK: np.ndarray, labels_N: np.ndarray) -> dict[str, float]:
    return {
        "n": len(labels_N),
        "top1": top_k(logits_NK, labels_N, 1),
        "top5": top_k(logits_NK, labels_N, 5),
        "mean_class": mean_class_accuracy(logits_NK, labels_N),
    }
