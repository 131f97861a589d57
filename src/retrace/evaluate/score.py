"""Scores: what a trained model answers to a view, one row of logits per clip, and metrics of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

from retrace.data.feed import ClipFeed, Feed, testing
from retrace.data.loader import of_rank
from retrace.errors import UserError
from retrace.evaluate.imported import mark
from retrace.evaluate.metrics import mean_class_accuracy, top_k
from retrace.files import atomic, write_text
from retrace.models import registry
from retrace.plan.identity import digest
from retrace.plan.layout import IMPORTED, weights_file
from retrace.plan.spec import Run, Split, VideoView, View
from retrace.plan.video import VideoSplit
from retrace.train.device import Answers, loader_workers, videos_at_once
from retrace.train.order import in_turn
from retrace.train.ranks import Ranks, together
from retrace.train.weights import load_into, read_weights


def score(run: Run, folder: Path, view: View | VideoView, out: Path) -> None:
    """Ask the model whose weights are in `folder` about every domain of `view`; write its answers into `out`.

    The weights are those of `run`, at its end or at the accuracy of the view, or they are imported in their
    place, in a folder so called.

    ``scores.parquet``: domain, id, label, logit_0 .. logit_{K-1} (float32), sorted by domain and id.
    ``metrics.json``: per domain n, top1, top5 (of at most K classes) and mean_class, as shares.
    Several ranks each answer some of the clips, and rank 0 writes.
    Raises UserError where weights, run and view do not belong together.
    """
    _check_shapes(run, view)
    with together() as ranks:
        model = load_trained(run, asked_weights(folder, view)).to(ranks.device)
        tables, metrics = [], {}
        for domain in sorted(view.domains):
            feed = _feed(view.domains[domain], view, ranks)
            logits_NK = _answers(model, feed, run, view, ranks)
            if not np.isfinite(logits_NK).all():
                raise UserError(f"the model in {folder} answers {domain} with logits that are not finite.")
            tables.append(_table(domain, feed, logits_NK))
            metrics[domain] = _metrics(logits_NK, feed.labels)
        if ranks.first:
            _write(out, tables, {"run": digest(run), "view": digest(view), "domains": metrics})


def _write(out: Path, tables: list[pa.Table], summary: dict[str, Any]) -> None:
    with atomic(out / "scores.parquet") as temporary:
        pq.write_table(pa.concat_tables(tables), temporary)
    write_text(out / "metrics.json", json.dumps(summary, indent=2) + "\n")


def asked_weights(folder: Path, view: View | VideoView) -> Path:
    """Return the weights in `folder` that `view` asks: of imported ones there are only those."""
    imported = folder.name == Path(IMPORTED).name
    at = view.at if isinstance(view, VideoView) and not imported else None
    return folder / weights_file(at.accuracy if at else None)


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


def _feed(split: Split | VideoSplit, view: View | VideoView, ranks: Ranks) -> Feed:
    device = ranks.device
    if isinstance(split, Split):
        return ClipFeed(split, device, view.order)
    assert isinstance(view, VideoView)
    return testing(split, view.clip, view.order, device, loader_workers(device, ranks.on_node))


@torch.inference_mode()
def _answers(model: nn.Module, feed: Feed, run: Run, view: View | VideoView, ranks: Ranks) -> np.ndarray:
    """Return logits_NK (float32) for the clips in the order of the feed, each asked once, by one rank."""
    n_clips, classes = len(feed.ids), len(run.task.classes)
    average = (isinstance(view, VideoView) and view.average) or "logits"  # of a single view, either
    answers = Answers(model, run.protocol, classes, average)
    global_batches = in_turn(n_clips, videos_at_once(run.protocol, view) * ranks.count)
    own = [batch for batch in of_rank(global_batches, ranks.rank, ranks.count) if len(batch)]
    asked_N1 = torch.zeros(n_clips, 1, device=ranks.device)
    logits_NK = torch.zeros(n_clips, classes, device=ranks.device)
    for indices, (x_BVTCHW, _) in zip(own, feed.batches(own, epoch=0), strict=True):
        asked_N1[indices] += 1
        logits_NK[indices] = answers(x_BVTCHW)
    found = ranks.add_up(torch.cat([logits_NK, asked_N1], dim=1)).cpu().numpy()
    assert (found[:, -1] == 1).all(), f"clips were not asked once each: {found[:, -1]}"
    return found[:, :-1]


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
