"""What do the attention blocks cost, and what would they cost as loops and score matrices?

Times forward and backward passes in turn, in one process, on one thread, and prints medians of CPU time:

- the GTA block against the temporal attention block, each with its projections;
- the mixing of GTA, fused, against a loop over heads and groups;
- joint attention with the fused kernel against the matrix of scores, and the peak memory of either.

    python benchmarks/attention_blocks.py --side 28 --channels 512 --frames 8 --repeats 7
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from retrace.models.blocks.attention import Attention
from retrace.models.blocks.gta import Gta, TemporalMixing
from retrace.models.blocks.temporal_attention import TemporalAttention


def looped(mixing: TemporalMixing, v_BTPC: Tensor) -> Tensor:
    """Mix as the formula reads: for every head, the sum over groups."""
    groups = v_BTPC.unflatten(3, (mixing.groups, -1)).unbind(3)
    heads = []
    for of_head in mixing.matrices:
        parts = [torch.einsum("ts,bspd->btpd", m, v) for m, v in zip(of_head, groups, strict=True)]
        heads.append(torch.stack(parts).sum(0))
    return torch.cat(heads, 3)


def score_matrix(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend by a matrix of scores that is kept for the backward pass."""
    return (q * q.shape[-1] ** -0.5 @ k.transpose(-2, -1)).softmax(-1) @ v


def step(of: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], None]:
    """Return a forward and backward pass; gradients come in the layout of `x`, as in a network."""
    upstream = torch.randn_like(x)

    def run() -> None:
        of(x).backward(upstream)

    return run


def medians(steps: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Return seconds of CPU time by name; all take turns, after one warm-up."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(repeats + 1):
        for name, run in steps.items():
            start = time.process_time()
            run()
            if repeat:
                taken[name].append(time.process_time() - start)
    return {name: statistics.median(times) for name, times in taken.items()}


def joint(options: argparse.Namespace, *, fused: bool) -> Callable[[], None]:
    """Return a pass through the NL block; not fused, with the kernel taken for the plain formula."""
    block = Attention(options.channels, "space-time", reduction=2, subsample="after").train()
    kernel = F.scaled_dot_product_attention if fused else score_matrix

    def of(x: Tensor) -> Tensor:
        whole, F.scaled_dot_product_attention = F.scaled_dot_product_attention, kernel
        try:
            return block(x)
        finally:
            F.scaled_dot_product_attention = whole

    return step(of, features(options))


def features(options: argparse.Namespace) -> Tensor:
    """Return x_BTCHW as a 2D network has it, channels-last."""
    size = (options.batch, options.frames, options.side, options.side, options.channels)
    return torch.randn(size).permute(0, 1, 4, 2, 3).requires_grad_()


def peak(arguments: list[str], form: str) -> float:
    """Return the peak memory, in MB, of a process that makes one pass through the NL block."""
    command = [sys.executable, __file__, *arguments, "--peak-of", form]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def compare(options: argparse.Namespace) -> None:
    """Print every time and ratio."""
    c, t, x = options.channels, options.frames, features(options)
    gta = Gta(c, t, reduction=4, pixels=True, region_reduction=8, groups=8, cross_channel=True)
    ta = TemporalAttention(c, t, reduction=4, code="none", code_in_values=False, groups=1)
    mixing = TemporalMixing(t, groups=8, cross_channel=True)
    v_BTPC = torch.randn(options.batch, t, options.side**2, c // 4).requires_grad_()
    steps = {
        "GTA block": step(gta, x),
        "TA block": step(ta, x),
        "mixing": step(mixing, v_BTPC),
        "mixing, looped": step(lambda v: looped(mixing, v), v_BTPC),
        "NL block": joint(options, fused=True),
        "NL block, scores": joint(options, fused=False),
    }
    times = medians(steps, options.repeats)
    for name, seconds in times.items():
        print(f"{name:18} {1000 * seconds:8.1f} ms")
    print(f"GTA block / TA block         {times['GTA block'] / times['TA block']:.2f}")
    print(f"looped / fused mixing        {times['mixing, looped'] / times['mixing']:.2f}")
    print(f"NL with scores / fused       {times['NL block, scores'] / times['NL block']:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, default in (("side", 28), ("channels", 512), ("frames", 8), ("batch", 1), ("repeats", 7)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--peak-of", choices=["fused", "scores", "nothing"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if options.peak_of:
        run = joint(options, fused=options.peak_of == "fused")
        if options.peak_of != "nothing":
            run()
        # Not getrusage, whose peak a new process has from its parent. Linux only.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
        return
    compare(options)
    idle, fused, scores = (peak(sys.argv[1:], form) for form in ("nothing", "fused", "scores"))
    print(f"memory of an NL step         {fused - idle:.0f} MB fused, {scores - idle:.0f} MB with scores")


if __name__ == "__main__":
    main()
