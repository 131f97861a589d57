"""What does temporal aggregation cost a training step, and what does it cost as it is usually written?

Times training steps (forward, loss, backward, SGD) of ResNet50 in turn, in one process, on one thread, and
prints the median CPU time of each and its ratio to TSN of the same make:

- `ours`: TSN and TAM as `retrace.models.video_cnn` has them;
- `stock`: torchvision's network per frame; its TAM is a depthwise `nn.Conv3d` and a ReLU before the first
  convolution of every residual block.

    python benchmarks/tam.py --frames 8 --side 112 --batch 2 --repeats 5
"""

import argparse
import os
import statistics
import time

# A step frees and takes gigabytes: if glibc hands them back, page faults are half of what is timed.
os.environ.setdefault("MALLOC_MMAP_MAX_", "0")
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**40))

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from retrace.models.registry import build
from retrace.plan.model import VideoCnn

CLASSES = 87


class StockTam(nn.Module):
    """The definition as a 3D convolution, on frames in the batch dimension."""

    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.mix = nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0), groups=channels, bias=False)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        x_BCTHW = x_NCHW.unflatten(0, (-1, self.frames)).transpose(1, 2)
        return self.mix(x_BCTHW).relu().transpose(1, 2).flatten(0, 1)


class Stock(nn.Module):
    """torchvision's ResNet50 on every frame, with or without TAM."""

    def __init__(self, frames: int, *, tam: bool) -> None:
        super().__init__()
        self.net = torchvision.models.resnet50(num_classes=CLASSES)
        self.frames = frames
        blocks = (block for n in range(1, 5) for block in getattr(self.net, f"layer{n}"))
        for block in blocks if tam else ():
            block.conv1 = nn.Sequential(StockTam(block.conv1.in_channels, frames), block.conv1)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        return self.net(x_BTCHW.flatten(0, 1)).unflatten(0, (-1, self.frames)).mean(1)


def ours(frames: int, side: int, temporal: str) -> nn.Module:
    """Return one of our networks."""
    model = VideoCnn(
        family="video-cnn",
        backbone="resnet50",
        width=64,
        temporal=temporal,
        temporal_pooling=False,
        dropout=0.5,
        legacy_pool4=False,
    )
    return build(model, classes=CLASSES, channels=3, frames=frames, side=side)


def step_seconds(model: nn.Module, x_BTCHW: Tensor) -> float:
    """Return the CPU time of one training step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    labels_B = torch.arange(len(x_BTCHW))
    start = time.process_time()
    F.cross_entropy(model(x_BTCHW), labels_B).backward()
    optimizer.step()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("frames", 8), ("side", 112), ("batch", 2), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    models = {
        "ours TSN": ours(args.frames, args.side, "none"),
        "ours TAM": ours(args.frames, args.side, "tam"),
        "stock TSN": Stock(args.frames, tam=False),
        "stock TAM": Stock(args.frames, tam=True),
    }
    x_BTCHW = torch.rand(args.batch, args.frames, 3, args.side, args.side)
    times: dict[str, list[float]] = {name: [] for name in models}
    for round_ in range(args.repeats + 1):  # the first is to warm up
        for name, model in models.items():
            model.zero_grad()
            seconds = step_seconds(model, x_BTCHW)
            times[name] += [seconds] if round_ else []
    print("model       s a step   to its TSN")
    for name, all_of in times.items():
        tsn = times[f"{name.split()[0]} TSN"]
        ratio = statistics.median(mine / base for mine, base in zip(all_of, tsn, strict=True))
        print(f"{name:10}  {statistics.median(all_of):8.3f}   {ratio:10.2f}")
    gain = statistics.median(a / b for a, b in zip(times["stock TAM"], times["ours TAM"], strict=True))
    print(f"our TAM is {gain:.2f} times as fast as the stock one")


if __name__ == "__main__":
    main()
