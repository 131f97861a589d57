"""Runs on videos: trained, stopped, resumed, scored with many views, and started from a parent."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from retrace.data import feed
from retrace.errors import UserError
from retrace.evaluate.score import score
from retrace.models import registry
from retrace.plan.identity import digest
from retrace.plan.model import Cnn3d
from retrace.plan.spec import Run, VideoProtocol, VideoView
from retrace.plan.specs import weights_of
from retrace.plan.video import VideoSplit
from retrace.train.loop import train
from retrace.train.weights import read_weights
from store import prepare, write_page, write_videos
from test_loader import TEST, TRAIN
from toy import interrupt, log_of, results

SIZE = {"classes": 3, "channels": 3, "frames": 4, "side": 24}


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    steps = prepare(write_page(root), write_videos(tmp_path_factory.mktemp("user")))
    return root, steps.collection


@pytest.fixture(autouse=True)
def place(collection, tmp_path, monkeypatch):
    """A folder of its own for every test, in which the prepared videos are."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results/data").symlink_to(collection[0] / "results/data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_on(collection, parent: str | None = None, **changes) -> Run:
    protocol = {
        "optimizer": {"name": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 0, "nesterov": False},
        "schedule": "constant",
        "batch": 4,
        "drop_last": False,
        "epochs": 3,
        "patience": 3,
        "select": "last",
        "autocast": "none",
        "weights": "random",
        "norm_batch": None,
        "train_clip": TRAIN,
        "val_clip": TEST,
    }
    return Run(
        recipe=1,
        model=Cnn3d(family="cnn3d", hidden=3, layers=2),
        train=VideoSplit(collection=collection, split="train"),
        val=VideoSplit(collection=collection, split="val"),
        protocol=VideoProtocol.model_validate(protocol | changes),
        seed=5,
        parent=parent,
    )


def view_of(collection, order: str = "forward", average: str = "logits") -> VideoView:
    domains = {"own": VideoSplit(collection=collection, split="val")}
    return VideoView(name="six", order=order, clip=TEST, average=average, domains=domains)


def test_a_run_read_back_from_its_spec_is_the_same_run(collection):
    run = run_on(collection[1])
    again = Run.model_validate_json(run.model_dump_json())
    assert again == run and digest(again) == digest(run)
    assert isinstance(again.protocol, VideoProtocol) and isinstance(again.train, VideoSplit)
    assert run.task == (3, 4, 24, collection[1].classes)


def test_stopped_after_each_step_it_ends_with_the_same_bytes(collection):
    run = run_on(collection[1])
    train(run, Path("whole"))
    for _ in range(9):  # three epochs of three steps
        interrupt(run, Path("stopped"), steps=1)
    train(run, Path("stopped"))
    assert results(Path("stopped")) == results(Path("whole"))
    records = log_of(Path("whole"))
    assert [record["epoch"] for record in records] == [1, 2, 3]


@pytest.mark.parametrize("average", ["logits", "softmax"])
def test_scores_are_the_mean_over_all_views(collection, average):
    run, out = run_on(collection[1]), Path("whole/views/six")
    train(run, Path("whole"))
    score(run, Path("whole"), view_of(collection[1], average=average), out)
    table = pq.read_table(out / "scores.parquet").to_pandas()
    assert len(table) == 3 and set(table["domain"]) == {"own"}
    model = registry.build(run.model, **SIZE).eval()
    model.load_state_dict(read_weights(Path("whole/weights.safetensors"))[0])
    shown = feed.testing(run.val, TEST, "forward", torch.device("cpu"), 0)
    with torch.inference_mode():
        for number, (x_BVTCHW, _) in enumerate(shown.batches([np.array([i]) for i in range(3)], 0)):
            assert x_BVTCHW.shape == (1, 6, 4, 3, 24, 24)
            logits = torch.stack([model(x_BVTCHW[:, view])[0] for view in range(6)])
            logits = logits.mean(0) if average == "logits" else logits.softmax(1).mean(0).log()
            row = table[table["id"] == shown.ids[number]].iloc[0]
            assert np.allclose(row[["logit_0", "logit_1", "logit_2"]].to_numpy(float), logits, atol=1e-5)


def test_a_run_starts_from_the_weights_of_its_parent(collection):
    parent = run_on(collection[1])
    runs = Path("runs/tiny")
    train(parent, runs / f"parent-{digest(parent)}")
    still = {"name": "sgd", "lr": 1e-30, "momentum": 0, "weight_decay": 0, "nesterov": False}
    child = run_on(collection[1], parent=digest(parent), epochs=1, optimizer=still)
    weights = weights_of(child.parent, Path("runs"))
    train(child, runs / "child", parent=weights)
    ours, _ = read_weights(runs / "child/weights.safetensors")
    theirs, _ = read_weights(weights)
    learnt = [name for name, _ in registry.build(child.model, **SIZE).named_parameters()]
    assert learnt and all(torch.equal(ours[name], theirs[name]) for name in learnt)
    with pytest.raises(UserError, match="not trained yet"):
        weights_of("00000000", Path("runs"))
    assert weights_of(None, Path("runs")) is None


def test_a_broken_stored_file_stops_the_run_and_is_named_in_its_failure(collection, place):
    Path("results/data").unlink()
    shutil.copytree(collection[0] / "results/data", "results/data")
    broken = next(Path("results/data/tiny").glob("frames-*/*/*.mp4"))
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(UserError, match=broken.name):
        train(run_on(collection[1]), Path("run"))
    assert broken.name in Path("run/failure.json").read_text()
