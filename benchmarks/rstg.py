"""Time and memory of RSTG's spatial stage, against one that concatenates the two nodes of every pair.

Both have the same weights, as wide as in the paper, and must give the same states and gradients. Memory is
what the stage adds to the process at its peak, forward and backward; "kept" is what waits for the backward.

    python benchmarks/rstg.py --frames 80
    python benchmarks/rstg.py --device cuda --frames 320
"""

import argparse
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from retrace.models.rstg.spatial import SpatialStage
from retrace.plan.model import SpaceTimeGraph

WIDTH = 512
REPEATS = 5

Step = Callable[[SpatialStage, Tensor], Tensor]


def concatenating(stage: SpatialStage, x_MNC: Tensor) -> Tensor:
    """The stage as its formulas read: one row [x_j; p_j; x_i; p_i] a pair."""
    state = stage.send.placed(x_MNC)
    nodes = state.shape[1]
    source = state[:, None].expand(-1, nodes, -1, -1)
    receiver = state[:, :, None].expand(-1, -1, nodes, -1)
    pairs = torch.cat([source, receiver], dim=3)
    m_MNNC = F.relu(stage.send.second(F.relu(stage.send.first(pairs))))
    g_MNC = (stage.attend(x_MNC)[:, :, None] @ m_MNNC).squeeze(2)
    return stage.update(x_MNC, F.relu(g_MNC + stage.bias))


def split(stage: SpatialStage, x_MNC: Tensor) -> Tensor:
    return stage(x_MNC)


def stage_of(scales: int) -> SpatialStage:
    graph = SpaceTimeGraph(
        width=WIDTH,
        scales=scales,
        iterations=1,
        variant="space-only",
        positions=True,
        adjacency="soft",
        gather="additive",
        update="shared",
        norm="none",
    )
    torch.manual_seed(0)
    return SpatialStage(graph)


def inputs(scales: int, frames: int, device: str) -> tuple[SpatialStage, Tensor]:
    stage = stage_of(scales).to(device)
    nodes = stage.attend.edges_NN.shape[0]
    return stage, torch.rand(frames, nodes, WIDTH, device=device, requires_grad=True)


def train_step(step: Step, stage: SpatialStage, x_MNC: Tensor) -> list[Tensor]:
    """Return the states and all gradients."""
    u_MNC = step(stage, x_MNC)
    return [u_MNC, *torch.autograd.grad(u_MNC.square().sum(), [x_MNC, *stage.parameters()])]


def seconds(step: Step, scales: int, frames: int, device: str) -> float:
    stage, x_MNC = inputs(scales, frames, device)
    clock = time.perf_counter if device == "cuda" else time.process_time
    times = []
    for _ in range(REPEATS):
        start = clock()
        train_step(step, stage, x_MNC)
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(clock() - start)
    return min(times)


def kept_bytes(step: Step, scales: int, frames: int, device: str) -> int:
    """Return the size of the tensors that the forward leaves for the backward, each storage once."""
    stage, x_MNC = inputs(scales, frames, device)
    given = {tensor.untyped_storage().data_ptr() for tensor in (x_MNC, *stage.parameters())}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in given:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        u_MNC = step(stage, x_MNC)
    del u_MNC
    return sum(kept.values())


def peak_bytes(step: Step, scales: int, frames: int, device: str) -> int:
    if device == "cuda":
        stage, x_MNC = inputs(scales, frames, device)
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        train_step(step, stage, x_MNC)
        return torch.cuda.max_memory_allocated() - before
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_in_a_process_of_its_own, (step, scales, frames))


def _peak_in_a_process_of_its_own(step: Step, scales: int, frames: int) -> int:
    torch.set_num_threads(1)
    stage, x_MNC = inputs(scales, frames, "cpu")
    train_step(step, *inputs(scales, 1, "cpu"))  # libraries are loaded
    before = _resident("VmRSS")
    train_step(step, stage, x_MNC)
    return _resident("VmHWM") - before


def _resident(key: str) -> int:
    """Return the memory that this process has, VmRSS, or has had at most, VmHWM, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def check(scales: int, device: str) -> None:
    stage, x_MNC = inputs(scales, 2, device)
    stage.double()
    x_MNC = x_MNC.detach().double().requires_grad_()
    for a, b in zip(train_step(split, stage, x_MNC), train_step(concatenating, stage, x_MNC), strict=True):
        if not torch.allclose(a, b, rtol=1e-9, atol=1e-9):
            raise SystemExit("the two forms disagree")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, default=80, help="frames of all clips together (default 80)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'nodes':>5}  {'':22}{'split':>10}{'concatenating':>16}{'ratio':>8}")
    for scales, nodes in ((3, 14), (4, 30)):
        check(scales, given.device)
        for name, unit, measure in (
            ("ms forward, backward", 1e-3, seconds),
            ("MB kept", 1e6, kept_bytes),
            ("MB at the peak", 1e6, peak_bytes),
        ):
            asked = (scales, given.frames, given.device)
            ours, theirs = measure(split, *asked), measure(concatenating, *asked)
            print(
                f"{nodes:5}  {name:22}{ours / unit:10,.1f}{theirs / unit:16,.1f}{theirs / ours:8.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
