"""What does fused attention save in a TimeSformer, and what does divided attention save over joint?

Times a training step (forward, backward) of one clip in turn with torch's fused attention and with one that
writes out the matrix of weights, on the same parameters; medians of the repeats. Memory is the most that
tensors take during a step beyond what was there before it.

    python benchmarks/space_time_attention.py
    python benchmarks/space_time_attention.py --device cuda --width 768 --layers 12 --repeats 10
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from retrace.models.registry import build
from retrace.models.timesformer_vit import Attention
from retrace.plan.model import TimeSformerVit

HEAD, PATCH, CLASSES = 64, 16, 174


class Explicit(Attention):
    """The same attention, with its weights in memory."""

    def forward(self, x_GLD: Tensor) -> Tensor:
        q, k, v = self._heads(x_GLD)
        weights = (q @ k.mT * HEAD**-0.5).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).flatten(2))


class Cost(NamedTuple):
    """Of one step: seconds, and bytes at the peak."""

    seconds: float
    peak: float

    def __str__(self) -> str:
        return f"{self.seconds:6.3f} s {self.peak / 2**20:5.0f} MiB"

    def over(self, other: "Cost") -> str:
        """Return the ratios in words."""
        return f"{self.seconds / other.seconds:.2f} x the time, {self.peak / other.peak:.2f} x the memory"


def models(attention: str, frames: int, args: argparse.Namespace) -> dict[str, nn.Module]:
    """Return a model with fused attention and one like it with explicit attention."""
    spec = TimeSformerVit(
        family="timesformer-vit",
        attention=attention,
        width=args.width,
        layers=args.layers,
        heads=args.width // HEAD,
        patch=PATCH,
        mlp_ratio=4,
        qkv_bias=True,
        drop_path=0,
        init_std=0.02,
        time_std=0,
    )
    torch.manual_seed(0)
    fused = build(spec, classes=CLASSES, channels=3, frames=frames, side=args.side).to(args.device)
    explicit = copy.deepcopy(fused)
    for module in explicit.modules():
        if isinstance(module, Attention):
            module.__class__ = Explicit
    return {"fused": fused, "explicit": explicit}


def seconds(step: Callable[[], None], device: str) -> float:
    """Return how long one step takes."""
    start = time.perf_counter()
    step()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def peak(step: Callable[[], None], device: str) -> int:
    """Return the most bytes that tensors take during one step, beyond those there before it."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        step()
    events = profiled.profiler.kineto_results.events()
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    return max(accumulate(nbytes for _, nbytes in changes))


def compare(attention: str, frames: int, args: argparse.Namespace) -> dict[str, Cost]:
    """Return the cost of a step with either attention."""
    x_BTCHW = torch.rand(1, frames, 3, args.side, args.side, device=args.device)
    both = models(attention, frames, args)
    with torch.no_grad():
        logits = [model(x_BTCHW) for model in both.values()]
    torch.testing.assert_close(*logits, atol=1e-3, rtol=1e-3)

    def step(model: nn.Module) -> None:
        model(x_BTCHW).square().sum().backward()

    steps = {name: partial(step, model) for name, model in both.items()}
    peaks = {name: peak(run, args.device) for name, run in steps.items()}
    turns = [{name: seconds(run, args.device) for name, run in steps.items()} for _ in range(args.repeats)]
    return {name: Cost(statistics.median(turn[name] for turn in turns), peaks[name]) for name in both}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--width", type=int, default=128, help="a multiple of 64, the width of a head")
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{args.device}, {args.layers} x {args.width} wide, patches of 16 in {args.side} x {args.side}")
    for frames in (8, 32):
        divided, joint = (compare(attention, frames, args) for attention in ("time-first", "joint"))
        for name, costs in (("divided", divided), ("joint", joint)):
            fused, explicit = costs["fused"], costs["explicit"]
            print(f"{frames:3} frames, {name:7}: fused {fused}, explicit {explicit}, {explicit.over(fused)}")
        print(f"{frames:3} frames, joint over divided, both fused: {joint['fused'].over(divided['fused'])}")


if __name__ == "__main__":
    main()
