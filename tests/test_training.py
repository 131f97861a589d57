"""Training: the right arithmetic, the right order, and clear ends."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from retrace.errors import UserError
from retrace.models import registry
from retrace.plan.identity import digest
from retrace.plan.spec import Adam, Sgd
from retrace.train.loop import Training, train
from retrace.train.order import epoch_batches
from retrace.train.weights import read_weights
from toy import linear_net, log_of, small_net, toy_arrays, toy_run, workplace, write_data, write_split


@pytest.fixture(autouse=True)
def place(tmp_path):
    with workplace(tmp_path):
        yield


# --- Arithmetic -----------------------------------------------------------------------------------


def test_one_full_batch_step_is_the_gradient_worked_out_by_hand(monkeypatch):
    """Softmax regression: dL/dW = (p - y)^T x / N; SGD with weight decay subtracts lr (dL/dW + wd W)."""
    monkeypatch.setattr(registry, "build", linear_net)
    lr, decay = 0.3, 0.01
    sgd = Sgd(name="sgd", lr=lr, momentum=0.9, weight_decay=decay)
    run = toy_run(optimizer=sgd, batch=42, epochs=1, patience=1, select="last")
    write_data(run)
    train(run, Path("run"))
    trained = load_file("run/weights.safetensors")

    torch.manual_seed(run.seed)
    fresh = linear_net(None, classes=3, channels=1, frames=4, side=8)[1]
    weight, bias = fresh.weight.detach().double().numpy(), fresh.bias.detach().double().numpy()
    clips, labels = toy_arrays(run.train)
    x = clips.reshape(42, -1) / 255
    exponentials = np.exp(x @ weight.T + bias)
    error = exponentials / exponentials.sum(1, keepdims=True) - np.eye(3)[labels]
    np.testing.assert_allclose(
        trained["1.weight"], weight - lr * (error.T @ x / 42 + decay * weight), rtol=1e-5, atol=1e-7
    )
    np.testing.assert_allclose(
        trained["1.bias"], bias - lr * (error.mean(0) + decay * bias), rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize(
    "optimizer",
    [Sgd(name="sgd", lr=0.05, momentum=0.9, weight_decay=0), Adam(name="adam", lr=0.01, weight_decay=0)],
)
def test_a_learnable_toy_is_learnt(optimizer):
    run = toy_run(optimizer=optimizer, epochs=12, patience=12)
    write_data(run)
    train(run, Path("run"))
    records = log_of(Path("run"))
    assert records[-1]["loss"] < 0.4 * records[0]["loss"]
    assert max(record["monitor/val_top1"] for record in records) > 0.9


def test_cosine_falls_from_lr_to_nothing_over_all_epochs():
    run = toy_run(schedule="cosine", epochs=4, patience=4)
    write_data(run)
    train(run, Path("run"))
    records = log_of(Path("run"))
    expected = [0.05 * (1 + np.cos(np.pi * epoch / 4)) / 2 for epoch in (1, 2, 3, 4)]
    assert [record["lr"] for record in records] == pytest.approx(expected, abs=1e-12)


# --- Order ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("drop_last", "sizes"), [(True, [8, 8]), (False, [8, 8, 4])])
def test_an_epoch_shows_each_clip_at_most_once_in_its_own_order(drop_last, sizes):
    def order(seed: int, epoch: int) -> list[int]:
        batches = epoch_batches(20, 8, drop_last=drop_last, seed=seed, epoch=epoch)
        assert [len(batch) for batch in batches] == sizes
        return np.concatenate(batches).tolist()

    orders = [order(42, 1), order(42, 2), order(43, 1)]
    assert order(42, 1) == orders[0]
    assert len({tuple(indices) for indices in orders}) == 3
    assert all(len(set(indices)) == sum(sizes) and set(indices) <= set(range(20)) for indices in orders)


def test_too_few_clips_for_one_batch_stop_the_run():
    run = toy_run(train_clips=7)
    write_data(run)
    with pytest.raises(UserError, match="7 training clips are too few for one batch of 8"):
        train(run, Path("run"))


# --- Ends -----------------------------------------------------------------------------------------


def script_validation(monkeypatch, values: list[float]) -> None:
    answers = iter(values)
    monkeypatch.setattr(Training, "val_top1", lambda self: next(answers))


def test_patience_counts_epochs_that_are_not_strictly_better(monkeypatch):
    script_validation(monkeypatch, [0.2, 0.4, 0.4, 0.3, 0.9])
    run = toy_run(epochs=5, patience=2)
    write_data(run)
    train(run, Path("run"))
    report = json.loads(Path("run/train.json").read_text())
    assert report["monitor/val_top1"] == [0.2, 0.4, 0.4, 0.3]
    assert (report["stopped"], report["epochs"], report["steps"]) == ("patience", 4, 20)
    assert (report["best_epoch"], report["kept_epoch"]) == (2, 2)
    two_epochs = toy_run(epochs=2, patience=2, select="last")
    script_validation(monkeypatch, [0.0, 0.0])
    train(two_epochs, Path("two"))
    kept, expected = load_file("run/weights.safetensors"), load_file("two/weights.safetensors")
    assert all(torch.equal(kept[name], expected[name]) for name in expected)


def test_select_last_keeps_the_last_epoch(monkeypatch):
    script_validation(monkeypatch, [0.9, 0.1, 0.1])
    run = toy_run(select="last")
    write_data(run)
    train(run, Path("run"))
    report = json.loads(Path("run/train.json").read_text())
    assert (report["stopped"], report["best_epoch"], report["kept_epoch"]) == ("epochs", 1, 3)
    assert read_weights(Path("run/weights.safetensors"))[1] == (digest(run), run.train.classes, 3)


def test_a_loss_that_is_not_finite_stops_with_the_reason(monkeypatch):
    monkeypatch.setattr(registry, "build", linear_net)
    run = toy_run(optimizer=Sgd(name="sgd", lr=1e38, momentum=0.9, weight_decay=0))
    write_data(run)
    with pytest.raises(UserError, match=r"the loss is (nan|inf) at epoch 1, step"):
        train(run, Path("run"))
    failure = json.loads(Path("run/failure.json").read_text())
    assert "the loss is" in failure["reason"]
    assert failure["epoch"] == 1 and failure["step"] >= 1
    assert not Path("run/weights.safetensors").exists()


def test_failure_json_goes_with_the_failure():
    run = toy_run()
    write_split(run.train)
    with pytest.raises(UserError, match=r"manifest.parquet is missing|clips.npy is missing"):
        train(run, Path("run"))
    assert "is missing" in json.loads(Path("run/failure.json").read_text())["reason"]
    write_split(run.val)
    train(run, Path("run"))
    assert not Path("run/failure.json").exists()


def test_env_json_tells_the_machine():
    write_data(toy_run())
    train(toy_run(), Path("run"))
    environment = json.loads(Path("run/env.json").read_text())
    assert (environment["device"], environment["threads"]) == ("cpu", 1)
    assert environment["packages"]["torch"] == torch.__version__.split("+")[0]
    assert environment["wall_seconds"] > 0


def test_splits_of_different_classes_are_refused():
    run = toy_run()
    other = run.val.model_copy(update={"classes": ("left", "right", "middle")})
    with pytest.raises(UserError, match="the training split has classes"):
        train(run.model_copy(update={"val": other}), Path("run"))


def test_logits_of_a_wrong_shape_are_refused(monkeypatch):
    monkeypatch.setattr(registry, "build", lambda model, **task: linear_net(model, **(task | {"classes": 4})))
    run = toy_run()
    write_data(run)
    with pytest.raises(UserError, match=r"logits of shape \(8, 4\), expected \(8, 3\)"):
        train(run, Path("run"))


# --- A parent's weights ---------------------------------------------------------------------------


def test_a_run_starts_from_its_parent_and_from_no_other(monkeypatch):
    monkeypatch.setattr(registry, "build", linear_net)
    parent = toy_run(select="last")
    still = Sgd(name="sgd", lr=1e-30, momentum=0, weight_decay=0)
    run = toy_run(optimizer=still, epochs=1, patience=1, seed=7, parent=digest(parent))
    write_data(run)
    train(parent, Path("parent"))
    weights = Path("parent/weights.safetensors")
    train(run, Path("run"), parent=weights)
    assert torch.equal(load_file("run/weights.safetensors")["1.weight"], load_file(weights)["1.weight"])
    with pytest.raises(UserError, match="is needed"):
        train(run, Path("other"))
    with pytest.raises(UserError, match=f"weights of run {digest(parent)}, expected no parent"):
        train(toy_run(), Path("other"), parent=weights)
    monkeypatch.setattr(registry, "build", small_net)
    with pytest.raises(UserError, match=r"1.weight: found \(3, 256\), expected \(8, 256\)"):
        train(run, Path("other"), parent=weights)
