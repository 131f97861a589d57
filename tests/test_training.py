"""Training: the same bytes however often it dies, the right arithmetic, and clear ends."""

import json
import multiprocessing
import os
import random
import signal
import time
from multiprocessing import forkserver
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from retrace.data.clips import Clips
from retrace.errors import UserError
from retrace.models import registry
from retrace.plan.identity import digest
from retrace.plan.spec import Adam, Run, Sgd
from retrace.train import checkpoint
from retrace.train.loop import Training, train
from retrace.train.order import epoch_batches
from retrace.train.weights import read_weights
from toy import linear_net, small_net, toy_arrays, toy_run, toy_split, write_data, write_split

BUILD = registry.build
RESULTS = ("weights.safetensors", "train.json")


@pytest.fixture(scope="module", autouse=True)
def start_child():
    """Start `child` from a server process, which imports torch while the first tests run."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["retrace.train.loop", "pytest", "torch._dynamo"])
    forkserver.ensure_running()

    def start(*args) -> multiprocessing.Process:
        process = context.Process(target=child, args=args)
        process.start()
        return process

    return start


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch) -> Path:
    """An empty working folder, the small network in the registry's place, torch's settings put back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "build", small_net)
    threads = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> dict[str, bytes]:
    """What the standard toy run ends with when nothing disturbs it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(tmp_path_factory.mktemp("reference"))
        monkeypatch.setattr(registry, "build", small_net)
        write_data(toy_run())
        train(toy_run(), Path("run"))
        return results(Path("run"))


def results(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in RESULTS}


def epochs_in_log(folder: Path) -> list[int]:
    records = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [record["epoch"] for record in records if "epoch" in record]


def interrupt(run: Run, folder: Path, steps: int) -> None:
    """Train in this process and send it SIGTERM during the given step."""
    with pytest.MonkeyPatch.context() as monkeypatch, pytest.raises(SystemExit) as stopped:
        on_call(monkeypatch, Training, "step", steps, lambda: os.kill(os.getpid(), signal.SIGTERM))
        train(run, folder)
    assert stopped.value.code == 75


def on_call(monkeypatch, place: object, name: str, number: int, action) -> None:
    """Do `action` just before the given call of a function."""
    original, calls = getattr(place, name), [0]

    def counted(*args, **kwargs):
        calls[0] += 1
        if calls[0] == number:
            action()
        return original(*args, **kwargs)

    monkeypatch.setattr(place, name, counted)


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
    records = [json.loads(line) for line in Path("run/log.jsonl").read_text().splitlines()]
    assert records[-1]["loss"] < 0.4 * records[0]["loss"]
    assert max(record["monitor/val_top1"] for record in records) > 0.9


def test_a_model_of_the_registry_trains_and_goes_on_after_a_stop(monkeypatch):
    monkeypatch.setattr(registry, "build", BUILD)
    run = toy_run()
    write_data(run)
    train(run, Path("straight"))
    interrupt(run, Path("stopped"), steps=8)
    train(run, Path("stopped"))
    assert results(Path("stopped")) == results(Path("straight"))


def test_cosine_falls_from_lr_to_nothing_over_all_epochs():
    run = toy_run(schedule="cosine", epochs=4, patience=4)
    write_data(run)
    train(run, Path("run"))
    records = [json.loads(line) for line in Path("run/log.jsonl").read_text().splitlines()]
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


def test_train_json_says_nothing_of_the_machine_and_env_json_does(reference):
    write_data(toy_run())
    train(toy_run(), Path("run"))
    environment = json.loads(Path("run/env.json").read_text())
    assert environment["device"] in ("cpu", "cuda")
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


# --- Data -----------------------------------------------------------------------------------------


def test_a_batch_is_the_clips_asked_for_in_the_order_asked_for():
    split = toy_split("val", 20)
    write_split(split)
    clips, labels = toy_arrays(split)
    indices = np.array([7, 0, 19, 3])
    x, y = Clips(split).batch(indices)
    assert x.dtype == torch.float32 and x.shape == (4, 4, 1, 8, 8)
    np.testing.assert_array_equal(x[:, :, 0].numpy(), clips[indices].astype(np.float32) / 255)
    np.testing.assert_array_equal(y.numpy(), labels[indices])


def test_files_that_do_not_hold_the_split_are_named():
    split = toy_split("val", 20)
    folder = write_split(split)
    frames = folder / "clips.npy"
    np.save(frames, np.zeros((20, 4, 8, 9), np.uint8))
    with pytest.raises(
        UserError, match=r"clips.npy holds uint8 \(20, 4, 8, 9\).*expects uint8 \(20, 4, 8, 8\)"
    ):
        Clips(split)
    frames.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"clips.npy is damaged"):
        Clips(split)
    frames.unlink()
    with pytest.raises(UserError, match=r"clips.npy is missing.*snakemake"):
        Clips(split)


@pytest.mark.parametrize(
    ("column", "row", "value", "message"),
    [
        ("label", 3, 9, "has label 9"),
        ("class", 3, "nowhere", "class 'nowhere'"),
        ("index", 3, 4, "20 rows, expected 20, with index"),
        ("id", 3, "val-000002", "names some clip twice"),
    ],
)
def test_a_manifest_that_contradicts_the_split_is_refused(column, row, value, message):
    split = toy_split("val", 20)
    path = write_split(split) / "manifest.parquet"
    columns = pq.read_table(path).to_pydict()
    columns[column][row] = value
    pq.write_table(pa.table(columns), path)
    with pytest.raises(UserError, match=message):
        Clips(split)


# --- Dying and going on ---------------------------------------------------------------------------


def child(workplace: str, run: Run, place: str, number: int, sign: int) -> None:
    """Train in a process of its own, saving after every step, hit by `sign` before a certain call."""
    os.chdir(workplace)
    registry.build = small_net
    checkpoint.SAVE_EVERY_SECONDS = -1.0
    target, name = {"replace": (os, "replace"), "step": (Training, "step")}[place]
    with pytest.MonkeyPatch.context() as monkeypatch:
        on_call(monkeypatch, target, name, number, lambda: os.kill(os.getpid(), sign))
        train(run, Path("run"))


def exit_code(process) -> int:
    process.join(60)
    return process.exitcode


def test_killed_before_any_of_its_writes_it_ends_with_the_same_bytes(workplace, start_child, reference):
    """The k-th process dies before its k-th rename, so every rename is reached, and some twice."""
    run = toy_run()
    write_data(run)
    for number in range(1, 40):
        code = exit_code(start_child(str(workplace), run, "replace", number, signal.SIGKILL))
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert number > 5
    assert results(Path("run")) == reference
    assert epochs_in_log(Path("run")) == [1, 2, 3]
    assert not Path("run/checkpoint").exists()


def test_killed_at_random_moments_it_ends_with_the_same_bytes(workplace, start_child, reference):
    run = toy_run()
    write_data(run)
    moments = random.Random(1)
    for _ in range(4):
        process = start_child(str(workplace), run, "step", -1, 0)
        time.sleep(moments.uniform(0.02, 0.25))
        process.kill()
        process.join()
    assert exit_code(start_child(str(workplace), run, "step", -1, 0)) == 0
    assert results(Path("run")) == reference


def test_sigterm_ends_the_process_with_75_and_it_goes_on(workplace, start_child, reference):
    run = toy_run()
    write_data(run)
    assert exit_code(start_child(str(workplace), run, "step", 7, signal.SIGTERM)) == 75
    assert not Path("run/weights.safetensors").exists()
    assert not Path("run/failure.json").exists()
    assert exit_code(start_child(str(workplace), run, "step", 100, signal.SIGTERM)) == 0
    assert results(Path("run")) == reference


def test_stopped_after_each_single_step_it_ends_with_the_same_bytes(reference):
    run = toy_run()
    write_data(run)
    for _ in range(15):
        interrupt(run, Path("run"), steps=1)
    train(run, Path("run"))
    assert results(Path("run")) == reference
    assert epochs_in_log(Path("run")) == [1, 2, 3]


def test_near_the_time_limit_it_stops_as_if_asked_to(reference):
    run = toy_run()
    write_data(run)
    with pytest.raises(SystemExit) as stopped:
        train(run, Path("run"), minutes=0)
    assert stopped.value.code == 75
    train(run, Path("run"), minutes=10)
    assert results(Path("run")) == reference


def test_the_number_of_threads_torch_starts_with_changes_no_byte(reference):
    write_data(toy_run())
    torch.set_num_threads(2)
    train(toy_run(), Path("run"))
    assert results(Path("run")) == reference


def test_a_damaged_checkpoint_gives_way_to_the_one_before(reference, capsys):
    run, folder = toy_run(), Path("run")
    write_data(run)
    interrupt(run, folder, steps=7)
    latest = folder / "checkpoint/latest.pt"
    damaged = bytearray(latest.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    latest.write_bytes(damaged)
    train(run, folder)
    assert results(folder) == reference
    assert "latest.pt was damaged" in capsys.readouterr().err
    assert "latest.pt was damaged" in (folder / "log.jsonl").read_text()
    assert epochs_in_log(folder) == [1, 2, 3]


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_with_all_checkpoints_damaged_the_run_begins_anew(reference, content):
    run, folder = toy_run(), Path("run")
    write_data(run)
    interrupt(run, folder, steps=7)
    for path in (folder / "checkpoint").iterdir():
        path.write_bytes(content)
    train(run, folder)
    assert results(folder) == reference


def test_a_checkpoint_of_another_run_is_refused():
    write_data(toy_run())
    interrupt(toy_run(), Path("run"), steps=3)
    other = toy_run(seed=1)
    with pytest.raises(UserError, match=f"checkpoint of run {digest(toy_run())}, expected {digest(other)}"):
        train(other, Path("run"))
