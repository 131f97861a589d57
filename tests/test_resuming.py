"""The same run ends with the same bytes, however often it dies on the way."""

import multiprocessing
import os
import random
import signal
import time
import zipfile
from multiprocessing import forkserver
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from retrace.errors import UserError
from retrace.models import registry
from retrace.plan.identity import digest
from retrace.plan.spec import Run
from retrace.train import checkpoint, outputs
from retrace.train.loop import Training, train
from toy import interrupt, log_of, on_call, results, toy_run, workplace, write_data

BUILD = registry.build
PLACES = {
    "rename": (os, "replace"),
    "step": (Training, "step"),
    "report": (outputs, "_write_json"),
    "removal": (checkpoint.Checkpoint, "remove"),
}


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
def place(tmp_path):
    with workplace(tmp_path):
        yield tmp_path


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> dict[str, bytes]:
    """What the standard toy run ends with when nothing disturbs it."""
    with workplace(tmp_path_factory.mktemp("reference")):
        write_data(toy_run())
        train(toy_run(), Path("run"))
        return results(Path("run"))


def epochs(folder: Path) -> list[int]:
    return [record["epoch"] for record in log_of(folder)]


def test_stopped_after_each_single_step_it_ends_with_the_same_bytes(reference):
    run = toy_run()
    write_data(run)
    for _ in range(15):
        interrupt(run, Path("run"), steps=1)
    train(run, Path("run"))
    assert results(Path("run")) == reference
    assert epochs(Path("run")) == [1, 2, 3]


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
    interrupt(run, folder, steps=5)
    interrupt(run, folder, steps=2)
    latest = folder / "checkpoint/latest.pt"
    assert (folder / "checkpoint/previous.pt").exists()
    damaged = bytearray(latest.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    latest.write_bytes(damaged)
    interrupt(run, folder, steps=1)
    assert all(zipfile.ZipFile(path).testzip() is None for path in (folder / "checkpoint").iterdir())
    train(run, folder)
    assert results(folder) == reference
    assert "latest.pt was damaged" in capsys.readouterr().err
    assert "latest.pt was damaged" in (folder / "log.jsonl").read_text()
    assert epochs(folder) == [1, 2, 3]


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


def test_a_cpu_computes_in_float32_whatever_the_autocast_of_the_protocol(reference):
    run = toy_run(autocast="bfloat16")
    write_data(run)
    train(run, Path("run"))
    Path("expected.safetensors").write_bytes(reference["weights.safetensors"])
    kept, expected = load_file("run/weights.safetensors"), load_file("expected.safetensors")
    assert all(torch.equal(kept[name], expected[name]) for name in expected)


def test_a_model_of_the_registry_trains_and_goes_on_after_a_stop(monkeypatch):
    monkeypatch.setattr(registry, "build", BUILD)
    run = toy_run()
    write_data(run)
    train(run, Path("straight"))
    interrupt(run, Path("stopped"), steps=8)
    train(run, Path("stopped"))
    assert results(Path("stopped")) == results(Path("straight"))


def child(folder: str, run: Run, place: str, number: int, sign: int) -> None:
    """Train in a process of its own, saving after every step, hit by `sign` before a certain call."""
    checkpoint.SAVE_EVERY_SECONDS = -1.0
    target, name = PLACES[place]
    with workplace(Path(folder)), pytest.MonkeyPatch.context() as monkeypatch:
        on_call(monkeypatch, target, name, number, lambda: os.kill(os.getpid(), sign))
        train(run, Path("run"))


def exit_code(process) -> int:
    process.join(60)
    return process.exitcode


def test_killed_before_its_renames_it_ends_with_the_same_bytes(place, start_child, reference):
    """The k-th process dies before its k-th rename: beside old, half renamed and new checkpoints."""
    run = toy_run()
    write_data(run)
    for number in range(1, 40):
        code = exit_code(start_child(str(place), run, "rename", number, signal.SIGKILL))
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert number > 5
    assert results(Path("run")) == reference
    assert epochs(Path("run")) == [1, 2, 3]
    assert not Path("run/checkpoint").exists()


@pytest.mark.parametrize(("where", "number"), [("report", 1), ("report", 2), ("removal", 1)])
def test_killed_between_its_results_it_ends_with_the_same_bytes(place, start_child, reference, where, number):
    run = toy_run()
    write_data(run)
    assert exit_code(start_child(str(place), run, where, number, signal.SIGKILL)) == -signal.SIGKILL
    assert Path("run/weights.safetensors").exists()
    train(run, Path("run"))
    assert results(Path("run")) == reference
    assert epochs(Path("run")) == [1, 2, 3]


def test_killed_at_random_moments_it_ends_with_the_same_bytes(place, start_child, reference):
    run = toy_run()
    write_data(run)
    moments = random.Random(1)
    for _ in range(4):
        process = start_child(str(place), run, "step", -1, 0)
        time.sleep(moments.uniform(0.02, 0.25))
        process.kill()
        process.join()
    assert exit_code(start_child(str(place), run, "step", -1, 0)) == 0
    assert results(Path("run")) == reference


def test_sigterm_ends_the_process_with_75_and_it_goes_on(place, start_child, reference):
    run = toy_run()
    write_data(run)
    assert exit_code(start_child(str(place), run, "step", 7, signal.SIGTERM)) == 75
    assert not Path("run/weights.safetensors").exists()
    assert not Path("run/failure.json").exists()
    assert exit_code(start_child(str(place), run, "step", 100, signal.SIGTERM)) == 0
    assert results(Path("run")) == reference
