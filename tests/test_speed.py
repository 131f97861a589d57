"""Speeds: the largest batch by few trials, passes that are counted, memory that is seen."""

import pytest
import torch
from torch import nn

from retrace.cost import speed
from retrace.cost.batch import largest_batch
from retrace.cost.machine import Cpu, told
from retrace.cost.speed import REPEATS, Trials, measured


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 7, 8, 9, 44, 96, 1000])
@pytest.mark.parametrize("most", [1, 8, 64, 1000])
def test_the_largest_batch_is_found_in_few_trials(limit, most):
    asked = []

    def fits(batch: int) -> bool:
        asked.append(batch)
        return batch <= limit

    assert largest_batch(fits, most) == min(limit, most)
    assert max(asked) <= most and len(asked) == len(set(asked)) <= 2 * most.bit_length()


class Counting(nn.Module):
    """A linear model that takes down what it sees, and runs out of memory at more than `limit` clips."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.linear, self.limit, self.seen = nn.Linear(12, 3), limit, []

    def forward(self, x_BTCHW: torch.Tensor) -> torch.Tensor:
        self.seen.append((len(x_BTCHW), self.training, torch.is_grad_enabled()))
        if len(x_BTCHW) > self.limit:
            raise torch.OutOfMemoryError
        return self.linear(x_BTCHW.flatten(1))


@pytest.mark.parametrize("step", ["inference", "training"])
def test_a_speed_is_taken_at_the_largest_batch_that_fits(step):
    model = Counting(limit=5)
    found = measured(model, (1, 3, 2, 2), step, most=64, here=Cpu())
    assert (found["batch"], len(found["seconds"]), found["step"]) == (5, REPEATS, step)
    assert all(seconds >= 0 for seconds in found["seconds"])
    assert [batch for batch, _, _ in model.seen][-REPEATS:] == [5] * REPEATS
    assert {seen[1:] for seen in model.seen} == {(step == "training",) * 2}
    assert (model.linear.weight.grad is not None) == (step == "training")


def test_a_cap_and_a_model_that_never_fits():
    assert measured(Counting(limit=99), (1, 3, 2, 2), "inference", most=6, here=Cpu())["batch"] == 6
    found = measured(Counting(limit=0), (1, 3, 2, 2), "inference", most=6, here=Cpu())
    assert found["batch"] == 0 and "not even one clip" in found["reason"]


def test_memory_that_runs_short_later_costs_a_few_clips_and_not_the_number(monkeypatch):
    model = Counting(limit=64)
    first = Trials.peak_bytes

    def fragmented(trials: Trials, batch: int) -> int:
        model.limit = 60
        return first(trials, batch)

    monkeypatch.setattr(Trials, "peak_bytes", fragmented)
    found = measured(model, (1, 3, 2, 2), "inference", most=100, here=Cpu())
    assert found["batch"] == 60 and len(found["seconds"]) == REPEATS


class Hungry(nn.Module):
    """A model that holds 8 MB a clip for a moment."""

    def forward(self, x_BTCHW: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(x_BTCHW), 2_000_000).sum(1, keepdim=True)


def test_peak_memory_on_a_cpu_is_what_the_process_grows_by():
    trials = Trials(Hungry(), (1, 1, 2, 2), "inference", Cpu())
    for batch in (4, 12):
        assert trials.peak_bytes(batch) == pytest.approx(8e6 * batch, rel=0.3)


def test_a_cpu_is_not_asked_for_more_than_its_share(monkeypatch):
    monkeypatch.setattr(Cpu, "memory", lambda self: 200_000_000)  # half of it: 12 clips of 8 MB
    found = measured(Hungry(), (1, 1, 2, 2), "inference", most=64, here=Cpu())
    assert 8 <= found["batch"] <= 14


def test_what_stands_beside_a_speed():
    found = told(Cpu())
    assert found["hardware"] and found["threads"] == 1 and found["torch"] == torch.__version__
    assert found["device"] == "cpu" and found["memory_bytes"] > 2**28


def test_variants_keep_their_order_and_leave_the_weights_values(monkeypatch):
    """What a GPU is asked besides; here on the CPU and not compiled."""
    monkeypatch.setattr(torch, "compile", lambda model: model)
    net = nn.Sequential(nn.Flatten(0, 1), nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(16, 2))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    trials = Trials(net, (1, 3, 2, 2), "inference", Cpu())
    found = speed._variants(trials, 2)
    assert list(found) == [
        "channels-last",
        "channels-last, bfloat16",
        "channels-last, bfloat16, compiled",
    ]
    assert all(clips > 0 for clips in found.values())
    assert net[1].weight.is_contiguous(memory_format=torch.channels_last)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_a_way_that_fails_says_why_and_leaves_the_others(monkeypatch):
    def broken(model: nn.Module) -> nn.Module:
        raise RuntimeError("no compiler here\nand a long trace")

    def asked(model: nn.Module):
        return lambda x: broken(model)

    monkeypatch.setattr(torch, "compile", asked)
    trials = Trials(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), (1, 3, 2, 2), "inference", Cpu())
    first, second, last = speed._variants(trials, 2).values()
    assert first > 0 and second > 0 and last == "failed: no compiler here"
