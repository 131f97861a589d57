"""A dataset learnt in seconds, a bright column that tells the class, and what tests of training share."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from retrace.models import registry
from retrace.plan.layout import split_folder
from retrace.plan.model import Cnn3d
from retrace.plan.spec import Protocol, Run, Sgd, Split, TemporalShape
from retrace.train.loop import Training, train

CLASSES = ("left", "middle", "right")
FRAMES, SIDE = 4, 8


def toy_split(split: str, clips: int, *, symbol_size: int = 2) -> Split:
    generator = TemporalShape(
        kind="temporal_shape",
        symbol="dot",
        size=symbol_size,
        digits=None,
        background=0,
        noise_seeds=15,
        jpeg_quality=75,
        seed=0,
    )
    return Split(
        dataset="toy",
        version=1,
        split=split,
        clips=clips,
        frames=FRAMES,
        side=SIDE,
        channels=1,
        classes=CLASSES,
        generator=generator,
    )


def toy_run(*, train_clips: int = 42, seed: int = 42, parent: str | None = None, **protocol) -> Run:
    """A run of 3 epochs of 5 steps; `protocol` replaces single values of the protocol."""
    standard = {
        "optimizer": Sgd(name="sgd", lr=0.05, momentum=0.9, weight_decay=1e-5),
        "schedule": "constant",
        "batch": 8,
        "drop_last": True,
        "epochs": 3,
        "patience": 3,
        "select": "best_val",
        "autocast": "none",
    }
    return Run(
        recipe=1,
        model=Cnn3d(family="cnn3d", hidden=2, layers=1),
        train=toy_split("train", train_clips),
        val=toy_split("val", 20),
        protocol=Protocol(**(standard | protocol)),
        seed=seed,
        parent=parent,
    )


def toy_arrays(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Return clips (N, T, H, W) uint8 and labels (N,): column 1, 3 or 5 is bright, one row per frame."""
    rng = np.random.default_rng([split.clips, len(split.split)])
    labels = rng.integers(len(split.classes), size=split.clips)
    clips = rng.integers(60, size=(split.clips, split.frames, split.side, split.side), dtype=np.uint8)
    for t in range(split.frames):
        clips[np.arange(split.clips), t, t, 1 + 2 * labels] = 255
    return clips, labels


def write_split(split: Split) -> Path:
    """Write the clips and the manifest of `split` where the layout wants them; return their folder."""
    folder = split_folder(split)
    folder.mkdir(parents=True, exist_ok=True)
    clips, labels = toy_arrays(split)
    np.save(folder / "clips.npy", clips)
    manifest = {
        "id": [f"{split.split}-{index:06d}" for index in range(split.clips)],
        "index": list(range(split.clips)),
        "label": labels,
        "class": [split.classes[label] for label in labels],
    }
    pq.write_table(pa.table(manifest), folder / "manifest.parquet")
    return folder


def write_data(run: Run) -> None:
    write_split(run.train)
    write_split(run.val)


def small_net(model: object, *, classes: int, channels: int, frames: int, side: int) -> nn.Module:
    """Stands in for the registry: it has what is easily forgotten, running statistics and dropout."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(frames * channels * side * side, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(8, classes),
    )


def linear_net(model: object, *, classes: int, channels: int, frames: int, side: int) -> nn.Module:
    """Stands in for the registry where the gradient is worked out by hand."""
    return nn.Sequential(nn.Flatten(), nn.Linear(frames * channels * side * side, classes))


@contextmanager
def workplace(folder: Path, build: Callable[..., nn.Module] = small_net) -> Iterator[Path]:
    """Work in `folder`, with `build` as the registry, on the CPU; put torch's settings back afterwards."""
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(registry, "build", build)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # equal bytes are a CPU's promise
        yield folder
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def results(folder: Path) -> dict[str, bytes]:
    """Return what has to be the same for the same run."""
    return {name: (folder / name).read_bytes() for name in ("weights.safetensors", "train.json")}


def log_of(folder: Path) -> list[dict]:
    """Return the log's records of epochs."""
    records = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [record for record in records if "epoch" in record]


def on_call(monkeypatch, place: object, name: str, number: int, action: Callable[[], None]) -> None:
    """Do `action` just before the given call of a function."""
    original, calls = getattr(place, name), [0]

    def counted(*args, **kwargs):
        calls[0] += 1
        if calls[0] == number:
            action()
        return original(*args, **kwargs)

    monkeypatch.setattr(place, name, counted)


def interrupt(run: Run, folder: Path, steps: int) -> None:
    """Train in this process and send it SIGTERM during the given step."""
    with pytest.MonkeyPatch.context() as monkeypatch, pytest.raises(SystemExit) as stopped:
        on_call(monkeypatch, Training, "step", steps, lambda: os.kill(os.getpid(), signal.SIGTERM))
        train(run, folder)
    assert stopped.value.code == 75
