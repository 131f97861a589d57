"""One, two and four ranks: the same clips in every step, the same weights to rounding, every score once."""

import json
import os
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

import fleet
from retrace.evaluate.score import score
from retrace.models import registry
from retrace.plan.model import ConvLstm
from retrace.plan.spec import Run, VideoProtocol, View
from retrace.train.loop import Training, train
from store import prepare, write_page, write_videos
from test_loader import TEST, TRAIN
from test_video_runs import run_on, view_of
from toy import log_of, toy_run, toy_split, workplace, write_data, write_split

BUILD = registry.build
RANKS = (1, 2, 4)


def on_clips(name: str) -> Run:
    """43 clips in batches of 8, so that the last one of an epoch leaves one of four ranks with nothing."""
    run = toy_run(train_clips=43, drop_last=False, epochs=2, patience=2, select="last")
    if name == "convlstm":
        return run.model_copy(update={"model": ConvLstm(family="convlstm", hidden=2, layers=1)})
    if name.startswith("parts"):
        own = {"weights": "random", "norm_batch": int(name[-1]), "train_clip": TRAIN, "val_clip": TEST}
        sgd = {"name": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-5, "nesterov": False}
        protocol = VideoProtocol.model_validate(run.protocol.model_dump() | own | {"optimizer": sgd})
        return run.model_copy(update={"protocol": protocol})
    return run


def runs(collection) -> dict[str, tuple[Run, object]]:
    """Return runs, each with a view on a number of clips or videos that no number of ranks divides."""
    view = View(name="toy", order="forward", domains={"near": toy_split("test", 31)})
    on_videos = run_on(collection, norm_batch=2, epochs=2)
    names = ("cnn", "convlstm", "parts2", "parts4")
    return {name: (on_clips(name), view) for name in names} | {"videos": (on_videos, view_of(collection))}


def train_and_score(folder: Path, collection, ranks: int) -> None:
    """Do all runs, and write down what was seen in every step, a number for each clip."""
    with workplace(folder, BUILD), pytest.MonkeyPatch.context() as monkeypatch:
        for name, (run, view) in runs(collection).items():
            seen, out = [], Path(f"{name}-{ranks}")
            take = Training.step

            def step(self, x, labels, batch, seen=seen, take=take):
                places = torch.arange(1, x.shape[1:].numel() + 1)
                seen.append([float((clip.flatten() * places).sum(dtype=torch.float64)) for clip in x])
                return take(self, x, labels, batch)

            monkeypatch.setattr(Training, "step", step)
            train(run, out)
            fleet.meet_anew()
            score(run, out, view, out / "views/all")
            (out / f"seen-{os.environ.get('RANK', 0)}.json").write_text(json.dumps(seen))
            monkeypatch.setattr(Training, "step", take)
            fleet.meet_anew()


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The folder in which everything was done by one, two and four ranks."""
    fleet.prepare()
    folder = tmp_path_factory.mktemp("ranks")
    collection = prepare(write_page(folder), write_videos(tmp_path_factory.mktemp("user"))).collection
    with workplace(folder):
        write_data(on_clips("cnn"))
        write_split(toy_split("test", 31))
    for ranks in RANKS:
        assert fleet.on_ranks(ranks, train_and_score, folder, collection, ranks) == [0] * ranks
    return folder


NAMES = pytest.mark.parametrize("name", ["cnn", "convlstm", "parts2", "parts4", "videos"])


@NAMES
def test_every_step_has_the_same_clips_however_many_ranks_share_it(done, name):
    steps = {}
    for ranks in RANKS:
        seen = [json.loads((done / f"{name}-{ranks}/seen-{rank}.json").read_text()) for rank in range(ranks)]
        steps[ranks] = [sorted(chain(*shares)) for shares in zip(*seen, strict=True)]
    assert steps[1] == steps[2] == steps[4]
    sizes = [4, 4, 1] if name == "videos" else [8, 8, 8, 8, 8, 3]
    assert [len(step) for step in steps[1]] == 2 * sizes
    assert len(set(steps[1][0]) | set(steps[1][1])) == sum(sizes[:2])


@NAMES
def test_weights_are_the_same_to_rounding(done, name):
    alone = load_file(done / f"{name}-1/weights.safetensors")
    for ranks in RANKS[1:]:
        shared = load_file(done / f"{name}-{ranks}/weights.safetensors")
        assert shared.keys() == alone.keys()
        for key, value in alone.items():
            torch.testing.assert_close(shared[key], value, rtol=2e-4, atol=2e-5)
        for ours, theirs in zip(log_of(done / f"{name}-{ranks}"), log_of(done / f"{name}-1"), strict=True):
            assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
            assert ours["monitor/val_top1"] == theirs["monitor/val_top1"]


@NAMES
def test_every_clip_is_scored_once(done, name):
    tables = {ranks: pq.read_table(done / f"{name}-{ranks}/views/all/scores.parquet") for ranks in RANKS}
    alone = tables[1].to_pydict()
    assert len(set(alone["id"])) == len(alone["id"]) == (3 if name == "videos" else 31)
    for ranks in RANKS[1:]:
        shared = tables[ranks].to_pydict()
        assert shared["id"] == alone["id"] and shared["label"] == alone["label"]
        for k in range(3):
            np.testing.assert_allclose(shared[f"logit_{k}"], alone[f"logit_{k}"], rtol=1e-3, atol=1e-3)


def test_env_json_tells_how_the_batch_was_spread(done):
    def told(name: str, ranks: int) -> list:
        found = json.loads((done / f"{name}-{ranks}/env.json").read_text())
        assert found["warnings"] == []
        return [found[key] for key in ("ranks", "nodes", "micro_batch", "norm_batch")]

    assert told("cnn", 1) == [1, 1, 8, 8]
    assert told("cnn", 4) == [4, 1, 2, 8]  # one norm over all ranks
    assert told("parts2", 2) == [2, 1, 2, 2]  # two parts on each rank, one after the other
    assert told("parts4", 4) == [4, 1, 2, 4]  # two groups of two ranks


def test_only_the_first_rank_writes(done):
    written = {path.name for path in (done / "cnn-4").iterdir()} - {f"seen-{rank}.json" for rank in range(4)}
    assert written == {"weights.safetensors", "train.json", "env.json", "log.jsonl", "views"}
