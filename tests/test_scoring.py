"""Scores: every clip of every domain once, in the order the view says, by the right weights."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from retrace.data.frame_order import frame_order
from retrace.errors import UserError
from retrace.evaluate.score import score
from retrace.models import registry
from retrace.plan.identity import digest
from retrace.plan.spec import View
from retrace.train.loop import train
from toy import linear_net, toy_arrays, toy_run, toy_split, workplace, write_data, write_split

BUILD = registry.build
RUN = toy_run(epochs=2, patience=2)
DOMAINS = {"near": toy_split("test", 30), "far": toy_split("test", 45, symbol_size=5)}


@pytest.fixture
def trained(tmp_path) -> Iterator[Path]:
    """The folder of a trained linear model, in a working folder that has the data of two domains."""
    with workplace(tmp_path, linear_net):
        write_data(RUN)
        for split in DOMAINS.values():
            write_split(split)
        train(RUN, Path("run"))
        yield Path("run")


def view(order: str = "forward", **domains) -> View:
    return View(name="toy", order=order, domains=domains or DOMAINS)


def logits_by_hand(folder: Path, clips: np.ndarray) -> np.ndarray:
    weights = load_file(folder / "weights.safetensors")
    return clips.reshape(len(clips), -1) / 255 @ weights["1.weight"].numpy().T + weights["1.bias"].numpy()


def logits_in(table: dict[str, list]) -> np.ndarray:
    return np.array([table[f"logit_{k}"] for k in range(3)]).T


def test_each_clip_of_each_domain_is_answered_once_in_order(trained):
    score(RUN, trained, view(), Path("out"))
    stored = pq.read_table("out/scores.parquet")
    assert stored.column_names == ["domain", "id", "label", "logit_0", "logit_1", "logit_2"]
    assert str(stored.schema.field("logit_0").type) == "float"
    table = stored.to_pydict()
    assert table["domain"] == ["far"] * 45 + ["near"] * 30
    ids = [f"test-{index:06d}" for index in range(45)]
    assert table["id"] == ids + ids[:30]
    expected, labels = zip(toy_arrays(DOMAINS["far"]), toy_arrays(DOMAINS["near"]), strict=True)
    assert table["label"] == np.concatenate(labels).tolist()
    by_hand = logits_by_hand(trained, np.concatenate(expected))
    np.testing.assert_allclose(logits_in(table), by_hand, rtol=1e-4, atol=1e-4)


def test_metrics_are_those_of_the_stored_scores(trained):
    score(RUN, trained, view(), Path("out"))
    metrics = json.loads(Path("out/metrics.json").read_text())
    assert metrics["run"] == digest(RUN) and metrics["view"] == digest(view())
    table = pq.read_table("out/scores.parquet").to_pydict()
    for domain, of_domain in metrics["domains"].items():
        rows = [row for row, name in enumerate(table["domain"]) if name == domain]
        answers, labels = logits_in(table)[rows].argmax(1), np.array(table["label"])[rows]
        assert of_domain["n"] == len(rows)
        assert of_domain["top1"] == pytest.approx((answers == labels).mean())
        assert of_domain["top5"] == 1
        recalls = [(answers[labels == label] == label).mean() for label in range(3)]
        assert of_domain["mean_class"] == pytest.approx(np.mean(recalls))


def test_rows_are_sorted_by_id_whatever_the_order_of_the_manifest(trained):
    split = toy_split("test", 30)
    path = write_split(split) / "manifest.parquet"
    manifest = pq.read_table(path)
    backwards = manifest["id"].to_pylist()[::-1]
    pq.write_table(manifest.set_column(0, "id", [backwards]), path)
    score(RUN, trained, view(near=split), Path("out"))
    table = pq.read_table("out/scores.parquet").to_pydict()
    assert table["id"] == sorted(backwards)
    clips, labels = toy_arrays(split)
    assert table["label"] == labels[::-1].tolist()
    np.testing.assert_allclose(logits_in(table), logits_by_hand(trained, clips[::-1]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("order", ["forward", "reversed", "single", "shuffled"])
def test_the_model_sees_the_frames_in_the_order_of_the_view(trained, order):
    score(RUN, trained, view(order), Path("out"))
    table = pq.read_table("out/scores.parquet").to_pydict()
    clips, _ = toy_arrays(DOMAINS["far"])
    shown = np.stack([clip[frame_order(order, 4, f"test-{i:06d}")] for i, clip in enumerate(clips)])
    np.testing.assert_allclose(logits_in(table)[:45], logits_by_hand(trained, shown), rtol=1e-4, atol=1e-4)


def test_frame_orders():
    assert frame_order("forward", 5, "a").tolist() == [0, 1, 2, 3, 4]
    assert frame_order("reversed", 5, "a").tolist() == [4, 3, 2, 1, 0]
    assert frame_order("single", 5, "a").tolist() == [2] * 5
    shuffles = [frame_order("shuffled", 20, f"test-{index:06d}") for index in range(200)]
    assert all(sorted(order) == list(range(20)) for order in shuffles)
    assert len({tuple(order) for order in shuffles}) == 200
    assert np.abs(np.mean(shuffles, axis=0) - 9.5).max() < 4 * np.sqrt((20**2 - 1) / 12 / 200)
    assert frame_order("shuffled", 20, "test-000007").tolist() == shuffles[7].tolist()


def test_the_same_spec_gives_the_same_bytes_with_a_model_of_the_registry(trained, monkeypatch):
    monkeypatch.setattr(registry, "build", BUILD)
    train(RUN, Path("real"))
    for out, threads in ((Path("one"), 1), (Path("two"), 2)):
        torch.set_num_threads(threads)
        score(RUN, Path("real"), view("shuffled"), out)
    for name in ("scores.parquet", "metrics.json"):
        assert (Path("one") / name).read_bytes() == (Path("two") / name).read_bytes()


def rewrite(folder: Path, **metadata) -> None:
    path = folder / "weights.safetensors"
    note = {"run": digest(RUN), "classes": RUN.train.classes, "epoch": 2} | metadata
    save_file(load_file(path), path, metadata={"retrace": json.dumps(note)})


def test_weights_that_are_not_the_runs_own_are_refused(trained):
    other = toy_run(seed=1)
    with pytest.raises(UserError, match=f"weights of run {digest(RUN)}, expected {digest(other)}"):
        score(other, trained, view(), Path("out"))
    rewrite(trained, classes=["right", "middle", "left"])
    with pytest.raises(UserError, match="was trained on the classes"):
        score(RUN, trained, view(), Path("out"))
    save_file(load_file(trained / "weights.safetensors"), trained / "weights.safetensors")
    with pytest.raises(UserError, match="does not say which run made it"):
        score(RUN, trained, view(), Path("out"))
    (trained / "weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match="not a readable safetensors file"):
        score(RUN, trained, view(), Path("out"))
    with pytest.raises(UserError, match="is missing: train the run first"):
        score(RUN, Path("nowhere"), view(), Path("out"))
    assert not Path("out").exists()


@pytest.mark.parametrize("change", [{"classes": ("right", "middle", "left")}, {"frames": 5}, {"side": 16}])
def test_a_domain_unlike_the_training_data_is_refused(trained, change: dict):
    domain = toy_split("test", 30).model_copy(update=change)
    with pytest.raises(UserError, match=f"domain other has {next(iter(change))}"):
        score(RUN, trained, view(other=domain), Path("out"))


def test_logits_that_are_not_finite_are_refused(trained):
    weights = load_file(trained / "weights.safetensors")
    weights["1.bias"][1] = torch.nan
    save_file(weights, trained / "weights.safetensors")
    rewrite(trained)
    with pytest.raises(UserError, match="not finite"):
        score(RUN, trained, view(), Path("out"))
