"""Where memory runs out, fewer clips go through the model at once; it is said, kept, and changes no more."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import fleet
from retrace.errors import UserError
from retrace.evaluate.score import score
from retrace.plan.spec import View
from retrace.train.loop import Training, train
from toy import interrupt, linear_net, on_call, toy_run, toy_split, workplace, write_data, write_split

RUN = toy_run(select="last")
VIEW = View(name="toy", order="forward", domains={"near": toy_split("test", 31)})


class Small(nn.Sequential):
    """A network where memory holds `room` clips in training, and `asked` when it only answers."""

    room, asked = 3, 100
    tried: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.tried.append(len(x))
        if len(x) > (self.room if torch.is_grad_enabled() else self.asked):
            raise torch.OutOfMemoryError("out of memory")
        return super().forward(x)


def small_linear(model: object, **task: int) -> nn.Module:
    return Small(*linear_net(model, **task))


def small_normed(model: object, *, classes: int, channels: int, frames: int, side: int) -> nn.Module:
    inputs = frames * channels * side * side
    return Small(nn.Flatten(), nn.Linear(inputs, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, classes))


@pytest.fixture(scope="module", autouse=True)
def forks():
    fleet.prepare()


@pytest.fixture
def place(tmp_path, monkeypatch):
    with workplace(tmp_path, small_linear):
        monkeypatch.setattr(Small, "tried", [])
        write_data(RUN)
        yield tmp_path


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> dict[str, torch.Tensor]:
    with workplace(tmp_path_factory.mktemp("reference"), linear_net):
        write_data(RUN)
        train(RUN, Path("run"))
        return load_file("run/weights.safetensors")


def assert_ended_as(reference: dict[str, torch.Tensor], folder: str = "run") -> None:
    for name, value in load_file(f"{folder}/weights.safetensors").items():
        torch.testing.assert_close(value, reference[name], rtol=1e-5, atol=1e-6)


def warnings_in(folder: str = "run") -> list[str]:
    records = map(json.loads, Path(folder, "log.jsonl").read_text().splitlines())
    logged = [record["warning"] for record in records if "warning" in record]
    assert json.loads(Path(folder, "env.json").read_text())["warnings"] == logged
    return logged


def test_the_step_is_done_again_in_smaller_parts(place, reference, capsys):
    train(RUN, Path("run"))
    assert_ended_as(reference)
    why = "{} clips at once did not fit into the memory of this machine: from now on {}"
    said = [why.format(8, 4), why.format(4, 2)]
    assert warnings_in() == said
    printed = capsys.readouterr().err
    assert all(printed.count(f"warning: {text}") == 1 for text in said)
    assert json.loads(Path("run/env.json").read_text())["micro_batch"] == 2
    assert Small.tried[:6] == [8, 4, 2, 2, 2, 2]
    assert Small.tried.count(8) == Small.tried.count(4) == 1  # once found out, it is known


def test_it_is_known_after_a_stop_even_if_the_first_step_is_not_over(place, reference):
    interrupt(RUN, Path("run"), steps=7)
    Small.tried.clear()
    train(RUN, Path("run"))
    assert 8 not in Small.tried and 4 not in Small.tried
    assert_ended_as(reference)
    assert len(warnings_in()) == 2


def test_a_smaller_norm_batch_than_the_protocols_is_never_silent(place, capsys):
    with (
        pytest.MonkeyPatch.context() as within
    ):  # `place` has changed the same thing, and is to restore it last
        within.setattr("retrace.models.registry.build", small_normed)
        train(RUN, Path("run"))
    told = warnings_in()
    assert len(told) == 2 and told[1].endswith("More ranks together have more memory")
    assert "takes its statistics over 2 clips, not the protocol's 8" in told[1]
    assert told[1] in capsys.readouterr().err
    assert json.loads(Path("run/env.json").read_text())["norm_batch"] == 2


def test_a_single_clip_that_does_not_fit_is_the_end(place, monkeypatch):
    monkeypatch.setattr(Small, "room", 0)
    with pytest.raises(UserError, match="a single clip does not fit into the memory of this machine"):
        train(RUN, Path("run"))
    assert "a single clip" in Path("run/failure.json").read_text()


def test_a_note_that_is_damaged_is_found_out_anew(place, reference):
    interrupt(RUN, Path("run"), steps=2)
    Path("run/checkpoint/micro-batch.json").write_text("{")
    train(RUN, Path("run"))
    assert_ended_as(reference)
    assert "was damaged" in "".join(warnings_in())


def test_answers_are_given_in_smaller_parts_too(place, reference, monkeypatch):
    write_split(toy_split("test", 31))
    monkeypatch.setattr(Small, "room", 100)
    train(RUN, Path("run"))
    score(RUN, Path("run"), VIEW, Path("whole"))
    monkeypatch.setattr(Small, "asked", 3)
    Small.tried.clear()
    score(RUN, Path("run"), VIEW, Path("parts"))
    assert max(Small.tried[3:]) == 2 and sum(Small.tried[2:]) == 31
    assert Path("parts/metrics.json").read_bytes() == Path("whole/metrics.json").read_bytes()


def on_rank(folder: Path, room: int, sudden: bool, build=small_linear) -> None:
    """Train on a machine with `room`; or one where `sudden`ly, before its third step, rank 1 has no more."""
    with workplace(folder, build), pytest.MonkeyPatch.context() as monkeypatch:
        Small.room = 100 if sudden else room
        if sudden and os.environ["RANK"] == "1":
            on_call(monkeypatch, Training, "step", 3, lambda: setattr(Small, "room", room))
        train(RUN, Path("run"))


def test_several_ranks_find_out_before_they_wait_for_each_other(place, reference):
    assert fleet.on_ranks(2, on_rank, place, 1, False) == [0, 0]
    assert_ended_as(reference)
    assert json.loads(Path("run/env.json").read_text())["micro_batch"] == 1
    assert len(warnings_in()) == 2


def test_a_rank_whose_memory_runs_out_in_a_step_leaves_with_all_and_the_next_start_goes_on(place, reference):
    assert fleet.on_ranks(2, on_rank, place, 2, True) == [75, 75]
    assert not Path("run/failure.json").exists()
    assert json.loads(Path("run/checkpoint/micro-batch.json").read_text())["most"] == 2
    assert fleet.on_ranks(2, on_rank, place, 2, False) == [0, 0]
    assert_ended_as(reference)
    assert len(warnings_in()) == 1


def test_ranks_together_keep_a_norm_batch_that_none_has_room_for(place):
    """Two ranks with room for four clips each normalise eight."""
    assert fleet.on_ranks(2, on_rank, place, 4, False, small_normed) == [0, 0]
    assert json.loads(Path("run/env.json").read_text())["norm_batch"] == 8
    assert warnings_in() == []
    Path("run").rename("together")
    assert fleet.on_ranks(1, on_rank, place, 8, False, small_normed) == [0]
    for name, value in load_file("together/weights.safetensors").items():
        torch.testing.assert_close(value, load_file("run/weights.safetensors")[name], rtol=2e-4, atol=2e-5)
