"""How close is a training step of the ConvLSTM to the time of its recurrent convolutions alone?

Times four things in turn, in one process, and prints the least and the median time of each:

- `step`: our training step (forward, loss, backward, SGD);
- `convolutions`: the recurrent convolutions of all layers and steps alone, forward and backward, as
  `nn.Conv2d` runs them;
- `convolutions, channels-last`: the same in the memory layout that suits this CPU best;
- `loop`: the same training step, cell by cell as a textbook writes it.

    python benchmarks/convlstm.py --hidden 16 --batch 64 --threads 2 --repeats 3
"""

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retrace.models.registry import build
from retrace.plan.model import ConvLstm

FRAMES, SIDE, LAYERS, CLASSES = 20, 64, 3, 5


class LoopBlock(nn.Module):
    """One ConvLSTM layer, one cell and one step at a time."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.input = nn.Conv2d(channels, 4 * hidden, 3, padding=1)
        self.recurrent = nn.Conv2d(hidden, 4 * hidden, 3, padding=1)
        self.pool = nn.MaxPool3d((1, 2, 2))
        self.norm = nn.BatchNorm3d(hidden)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        h = c = x_BTCHW.new_zeros(len(x_BTCHW), self.recurrent.in_channels, *x_BTCHW.shape[-2:])
        states = []
        for x in x_BTCHW.unbind(1):
            i, f, o, g = (self.input(x) + self.recurrent(h)).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            states.append(h)
        return self.norm(self.pool(torch.stack(states, 2))).transpose(1, 2)


class Loop(nn.Module):
    """The whole network of `LoopBlock`s."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        widths = [1] + [hidden] * LAYERS
        self.blocks = nn.Sequential(*(LoopBlock(*pair) for pair in pairwise(widths)))
        self.head = nn.Linear(hidden * (SIDE >> LAYERS) ** 2, CLASSES)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        return self.head(self.blocks(x_BTCHW)[:, -1].flatten(1))


def training_step(model: nn.Module, batch: int) -> Callable[[], None]:
    """Return a function that takes one SGD step on random clips."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    clips, labels = torch.rand(batch, FRAMES, 1, SIDE, SIDE), torch.randint(CLASSES, (batch,))

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(clips), labels).backward()
        optimizer.step()

    return step


def recurrent_convolutions(hidden: int, batch: int, layout: torch.memory_format) -> Callable[[], None]:
    """Return a function that runs every recurrent convolution of a training step, there and back."""
    layers = []
    for layer in range(LAYERS):
        side = SIDE >> layer
        convolution = nn.Conv2d(hidden, 4 * hidden, 3, padding=1).to(memory_format=layout)
        h = torch.rand(batch, hidden, side, side).to(memory_format=layout).requires_grad_()
        dgates = torch.rand(batch, 4 * hidden, side, side).to(memory_format=layout)
        layers.append((convolution, h, dgates))

    def run() -> None:
        for convolution, h, dgates in layers:
            for _ in range(FRAMES):
                torch.autograd.grad(convolution(h), [h, *convolution.parameters()], dgates)

    return run


def timed(runs: dict[str, Callable[[], None]], repeats: int) -> dict[str, list[float]]:
    """Return the seconds that each run took, in turn, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: times[1:] for name, times in seconds.items()}


def main() -> None:
    """Parse the command line, time, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for option, default in {"hidden": 16, "batch": 64, "threads": 2, "repeats": 3}.items():
        parser.add_argument(f"--{option}", type=int, default=default, help=f"default {default}")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    spec = ConvLstm(family="convlstm", hidden=args.hidden, layers=LAYERS)
    ours = build(spec, classes=CLASSES, channels=1, frames=FRAMES, side=SIDE)
    seconds = timed(
        {
            "step": training_step(ours, args.batch),
            "convolutions": recurrent_convolutions(args.hidden, args.batch, torch.contiguous_format),
            "convolutions, channels-last": recurrent_convolutions(
                args.hidden, args.batch, torch.channels_last
            ),
            "loop": training_step(Loop(args.hidden), args.batch),
        },
        args.repeats,
    )
    for name, times in seconds.items():
        print(f"{name:28} {min(times):8.3f} s at least, {statistics.median(times):8.3f} s median")
    step = min(seconds["step"])
    for name in ("convolutions", "convolutions, channels-last"):
        print(f"step / {name}: {step / min(seconds[name]):.2f}")
    print(f"loop / step: {min(seconds['loop']) / step:.2f}")


if __name__ == "__main__":
    main()
