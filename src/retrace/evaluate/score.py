"""Scores: what a trained model answers to a view, one row of logits per clip, and metrics of them."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

from retrace.data.feed import ClipFeed, Feed, testing
from retrace.errors import UserError
from retrace.evaluate.imported import mark
from retrace.evaluate.metrics import mean_class_accuracy, top_k
from retrace.files import atomic, write_text
from retrace.models import registry
from retrace.plan.identity import digest
from retrace.plan.layout import IMPORTED
from retrace.plan.spec import Run, Split, VideoView, View
from retrace.plan.video import VideoSplit
from retrace.train.device import answer, loader_workers, prepare_device, videos_at_once
from retrace.train.order import in_turn
from retrace.train.weights import load_into, read_weights


def score(run: Run, folder: Path, view: View | VideoView, out: Path) -> None:
    """Ask the model whose weights are in `folder` about every domain of `view`; write its answers into `out`.

    The weights are those of `run`, or imported in their place, in a folder so called.

    ``scores.parquet``: domain, id, label, logit_0 .. logit_{K-1} (float32), sorted by domain and id.
    ``metrics.json``: per domain n, top1, top5 (of at most K classes) and mean_class, as shares.
    Raises UserError where weights, run and view do not belong together.
    """
    _check_shapes(run, view)
    device = prepare_device()
    model = load_trained(run, folder / "weights.safetensors").to(device)
    tables, metrics = [], {}
    for domain in sorted(view.domains):
        feed = _feed(view.domains[domain], view, device)
        logits_NK, n_clips = _answers(model, feed, run, view), len(feed.ids)
        assert len(logits_NK) == n_clips, f"{domain}: {len(logits_NK)} scores for {n_clips} clips"
        if not np.isfinite(logits_NK).all():
            raise UserError(f"the model in {folder} answers {domain} with logits that are not finite.")
        tables.append(_table(domain, feed, logits_NK))
        metrics[domain] = _metrics(logits_NK, feed.labels)
    with atomic(out / "scores.parquet") as temporary:
        pq.write_table(pa.concat_tables(tables), temporary)
    summary = {"run": digest(run), "view": digest(view), "domains": metrics}
    write_text(out / "metrics.json", json.dumps(summary, indent=2) + "\n")


def _check_shapes(run: Run, view: View | VideoView) -> None:
    for domain, split in view.domains.items():
        asked = {"classes": split.classes}
        if isinstance(split, Split):
            asked |= {"frames": split.frames, "side": split.side, "channels": split.channels}
        for name, value in asked.items():
            trained = getattr(run.task, name)
            if trained != value:
                raise UserError(
                    f"view {view.name}: domain {domain} has {name} {value}, the run was trained on {trained}."
                )


def load_trained(run: Run, path: Path) -> nn.Module:
    """Return the model of `run` with the weights in `path`, in evaluation mode.

    Raises UserError where they are not its own.
    """
    weights, origin = read_weights(path)
    owner = mark(run) if path.parent.name == Path(IMPORTED).name else digest(run)
    if origin.run != owner:
        raise UserError(f"{path} holds the weights of run {origin.run}, expected {owner}.")
    task = run.task
    if origin.classes != task.classes:
        raise UserError(f"{path} was trained on the classes {origin.classes}, the view has {task.classes}.")
    model = registry.build(
        run.model, classes=len(task.classes), channels=task.channels, frames=task.frames, side=task.side
    )
    load_into(model, weights, path)
    return model.eval()


def _feed(split: Split | VideoSplit, view: View | VideoView, device: torch.device) -> Feed:
    if isinstance(split, Split):
        return ClipFeed(split, device, view.order)
    assert isinstance(view, VideoView)
    return testing(split, view.clip, view.order, device, loader_workers(device))


@torch.inference_mode()
def _answers(model: nn.Module, feed: Feed, run: Run, view: View | VideoView) -> np.ndarray:
    """Return logits_NK (float32) for the clips in the order of the feed, each asked once."""
    wanted = in_turn(len(feed.ids), videos_at_once(run.protocol, view))
    average = (isinstance(view, VideoView) and view.average) or "logits"  # of a single view, either
    classes = len(run.task.classes)
    answers = [
        answer(model, x, run.protocol, classes, average).cpu().numpy()
        for x, _ in feed.batches(wanted, epoch=0)
    ]
    return np.concatenate(answers)


def _table(domain: str, feed: Feed, logits_NK: np.ndarray) -> pa.Table:
    order = sorted(range(len(feed.ids)), key=feed.ids.__getitem__)
    columns = {
        "domain": _strings([domain] * len(feed.ids)),
        "id": _strings([feed.ids[index] for index in order]),
        "label": _numbers(feed.labels[order], pa.int64()),
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
