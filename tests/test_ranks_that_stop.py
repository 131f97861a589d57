"""Ranks that are asked to stop, fail or die: all leave, none hangs, and the run goes on with any number."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import fleet
from retrace.errors import UserError
from retrace.models import registry
from retrace.plan.spec import Sgd
from retrace.train import checkpoint
from retrace.train.loop import Training, train
from toy import on_call, toy_run, workplace, write_data

BUILD = registry.build
RUN = toy_run(select="last")


@pytest.fixture(scope="module", autouse=True)
def forks():
    fleet.prepare()


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> dict[str, torch.Tensor]:
    """The weights of the run, done by one rank that nothing disturbs."""
    with workplace(tmp_path_factory.mktemp("reference"), BUILD):
        write_data(RUN)
        train(RUN, Path("run"))
        return load_file("run/weights.safetensors")


@pytest.fixture
def place(tmp_path):
    with workplace(tmp_path, BUILD):
        write_data(RUN)
        yield tmp_path


def disturbed(folder: Path, rank: int, step: int, what: str, run=RUN, minutes=None) -> None:
    """Train; something happens to one of the ranks before one of its steps, in this start."""
    with workplace(folder, BUILD), pytest.MonkeyPatch.context() as monkeypatch:
        if int(os.environ.get("RANK", 0)) == rank:
            on_call(monkeypatch, Training, "step", step, HAPPENS[what])
        if what == "SIGKILL":
            monkeypatch.setattr(checkpoint, "SAVE_EVERY_SECONDS", -1.0)
        train(run, Path("run"), minutes=minutes)


def sends(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


def fails() -> None:
    raise UserError("video 7 is broken")


HAPPENS = {name: sends(getattr(signal, name)) for name in ("SIGTERM", "SIGUSR1", "SIGKILL")}
HAPPENS |= {"error": fails, "nothing": lambda: None}


def assert_ended_as(reference: dict[str, torch.Tensor]) -> None:
    found = load_file("run/weights.safetensors")
    for name, value in reference.items():
        torch.testing.assert_close(found[name], value, rtol=2e-4, atol=2e-5)
    epochs = [json.loads(line).get("epoch") for line in Path("run/log.jsonl").read_text().splitlines()]
    assert epochs == [1, 2, 3]
    assert not Path("run/checkpoint").exists() and not Path("run/failure.json").exists()


def test_stopped_with_two_ranks_and_with_four_and_ended_with_one(place, reference):
    """The signal reaches one rank only; all stop at the same step."""
    assert fleet.on_ranks(2, disturbed, place, 1, 4, "SIGTERM") == [75, 75]
    assert [path.name for path in Path("run/checkpoint").iterdir()] == ["latest.pt"]
    assert fleet.on_ranks(4, disturbed, place, 2, 3, "SIGUSR1") == [75] * 4
    state = torch.load("run/checkpoint/latest.pt", weights_only=True)
    assert (state["progress"]["epochs"], state["progress"]["step"]) == (1, 2)
    assert not Path("run/failure.json").exists() and not Path("run/weights.safetensors").exists()
    train(RUN, Path("run"))
    assert_ended_as(reference)


def test_near_the_time_limit_all_ranks_stop(place, reference):
    assert fleet.on_ranks(2, disturbed, place, 0, 0, "nothing", RUN, 0) == [75, 75]
    assert fleet.on_ranks(2, disturbed, place, 0, 0, "nothing", RUN, 10) == [0, 0]
    assert_ended_as(reference)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_killed_loses_the_steps_since_the_last_checkpoint(place, reference, rank):
    started = time.monotonic()
    codes = fleet.on_ranks(2, disturbed, place, rank, 8, "SIGKILL")
    assert codes[rank] == -signal.SIGKILL and codes[1 - rank] == 75
    assert time.monotonic() - started < 50
    assert not Path("run/failure.json").exists()
    saved = torch.load("run/checkpoint/latest.pt", weights_only=True)["progress"]
    assert 5 * saved["epochs"] + saved["step"] >= 6
    train(RUN, Path("run"))
    assert_ended_as(reference)


def test_what_failed_on_one_rank_is_the_reason_and_not_that_the_others_missed_it(place):
    assert sorted(fleet.on_ranks(2, disturbed, place, 1, 3, "error")) == [1, 75]
    failure = json.loads(Path("run/failure.json").read_text())
    assert failure == {"reason": "video 7 is broken", "epoch": 1, "step": 2}


def test_a_loss_that_is_not_finite_ends_all_ranks(place):
    run = toy_run(optimizer=Sgd(name="sgd", lr=1e38, momentum=0.9, weight_decay=0))
    assert fleet.on_ranks(2, disturbed, place, 0, 0, "nothing", run) == [1, 1]
    assert "the loss is" in json.loads(Path("run/failure.json").read_text())["reason"]
