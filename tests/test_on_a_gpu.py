"""What only a GPU can show: the same answers as a CPU's, its memory running out, its norms, a stop on it."""

import copy
import json
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch import nn

from pages import ROOT
from retrace.evaluate.score import score
from retrace.models import registry
from retrace.plan.plan import Plan
from retrace.plan.spec import Run, View
from retrace.train.loop import train
from retrace.train.norms import Norms
from retrace.train.ranks import Ranks
from toy import interrupt, log_of, small_net, toy_run, toy_split, write_data, write_split

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")

PLAN = Plan(ROOT, "demo")
NETWORKS = {(run.model.model_dump_json(), run.task): run for run in PLAN.runs.values()}
"""One run of the demonstration for each network that it trains."""


class Hungry(nn.Sequential):
    """A network that takes 32 MiB of memory for each clip, and as much again in the backward pass."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        large = x.flatten(1)[:, :1, None].expand(-1, 2048, 4096).exp()
        return super().forward(x) + 0 * large.mean((1, 2))[:, None]


def hungry(model: object, **task: int) -> nn.Module:
    inputs = task["frames"] * task["channels"] * task["side"] ** 2
    return Hungry(nn.Flatten(), nn.Linear(inputs, task["classes"]))


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "build", small_net)
    yield tmp_path
    torch.use_deterministic_algorithms(False)


def logits_and_gradients(model: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    logits = model(x)
    logits.logsumexp(1).sum().backward()
    gradients = {name: p.grad.cpu() for name, p in model.named_parameters() if p.grad is not None}
    return {"logits": logits.detach().cpu()} | gradients


@pytest.mark.parametrize("run", NETWORKS.values(), ids=lambda run: f"{run.model.family}-{run.task.frames}")
def test_a_network_answers_and_learns_on_a_gpu_as_on_a_cpu(run: Run):
    task = run.task
    torch.manual_seed(0)
    size = {"channels": task.channels, "frames": task.frames, "side": task.side}
    # in training: cuDNN's LSTM has no gradient elsewhere
    model = registry.build(run.model, classes=len(task.classes), **size).double().train()
    x_BTCHW = torch.rand(2, task.frames, task.channels, task.side, task.side, dtype=torch.float64)
    on_gpu = copy.deepcopy(model).cuda()
    expected = logits_and_gradients(model, x_BTCHW)
    for name, found in logits_and_gradients(on_gpu, x_BTCHW.cuda()).items():
        distance = (found - expected[name]).norm() / expected[name].norm().clamp(min=1e-9)
        assert distance < 1e-5, f"{name}: {distance}"


def test_a_step_that_does_not_fit_is_done_again_in_smaller_parts(place, monkeypatch):
    monkeypatch.setattr(registry, "build", hungry)
    write_data(run := toy_run(select="last"))
    train(run, Path("undisturbed"))
    torch.cuda.empty_cache()
    limit = torch.cuda.memory_allocated() + 200 * 2**20  # two clips fit, eight do not
    torch.cuda.set_per_process_memory_fraction(limit / torch.cuda.get_device_properties(0).total_memory)
    try:
        train(run, Path("run"))
        write_split(toy_split("test", 31))
        view = View(name="toy", order="forward", domains={"near": toy_split("test", 31)})
        score(run, Path("run"), view, Path("scores"))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    environment = json.loads(Path("run/env.json").read_text())
    assert environment["micro_batch"] < 8
    assert "did not fit into the memory of" in environment["warnings"][0]
    reference = load_file("undisturbed/weights.safetensors")
    for name, value in load_file("run/weights.safetensors").items():
        torch.testing.assert_close(value, reference[name], rtol=1e-5, atol=1e-6)
    assert json.loads(Path("scores/metrics.json").read_text())


def test_a_stopped_run_goes_on_as_if_nothing_had_been(place):
    write_data(run := toy_run())
    train(run, Path("undisturbed"))
    interrupt(run, Path("run"), steps=8)
    train(run, Path("run"))
    assert log_of(Path("run"))[-1]["loss"] == pytest.approx(log_of(Path("undisturbed"))[-1]["loss"], rel=1e-5)
    reference = load_file("undisturbed/weights.safetensors")
    for name, value in load_file("run/weights.safetensors").items():
        torch.testing.assert_close(value, reference[name], rtol=1e-6, atol=1e-7)


@pytest.fixture
def nccl(tmp_path):
    """A group of one rank that talks by NCCL."""
    device = torch.device("cuda", 0)
    where = f"file://{tmp_path}/meeting"
    dist.init_process_group("nccl", init_method=where, rank=0, world_size=1, device_id=device)
    yield dist.group.WORLD
    dist.destroy_process_group()


def test_norms_over_ranks_are_torchs_own_where_the_ranks_are_one(nccl, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # it rounds to 10 bits
    torch.manual_seed(0)
    alone = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5, momentum=0.3), nn.ReLU()).cuda().train()
    over_ranks = copy.deepcopy(alone)
    x = torch.rand(6, 3, 9, 9, device="cuda")
    expected = alone(x)
    norms = Norms(over_ranks)
    with norms.portion(nccl, 1.0):
        found = over_ranks(x)
    norms.update(Ranks(device=x.device))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    for model, y in ((alone, expected), (over_ranks, found)):
        model.zero_grad()
        y.square().sum().backward()
    for ours, theirs in zip(over_ranks.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-4)
    for name, value in alone.named_buffers():
        torch.testing.assert_close(over_ranks.get_buffer(name), value, rtol=1e-5, atol=1e-6)
