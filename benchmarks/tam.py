"""What does temporal aggregation cost a training step, and what does it cost as it is usually written?

Times training steps (forward, loss, backward, SGD) of ResNet50 in turn, in one process, on one thread, and
prints the median CPU time of each and its ratio to TSN of the same make:

- `ours`: TSN and TAM as `retrace.models.video_cnn` has them;
- `stock`: torchvision's network per frame; its TAM stands before the first convolution of every residual
  block, once as a depthwise `nn.Conv3d` and once as three depthwise 1x1 `nn.Conv2d` of shifted frames.

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


class Conv3dTam(nn.Module):
    """The definition as a 3D convolution, on frames in the batch dimension."""

    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.mix = nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0), groups=channels, bias=False)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        x_BCTHW = x_NCHW.unflatten(0, (-1, self.frames)).transpose(1, 2)
        return self.mix(x_BCTHW).relu().transpose(1, 2).flatten(0, 1)


class ShiftedTam(nn.Module):
    """The definition as three 1x1 convolutions, whose outputs are shifted and summed."""

    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.last, self.same, self.next = (
            nn.Conv2d(channels, channels, 1, groups=channels, bias=False) for _ in range(3)
        )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        last, same, next_ = (
            tap(x_NCHW).unflatten(0, (-1, self.frames)) for tap in (self.last, self.same, self.next)
        )
        last = F.pad(last[:, :-1], (0, 0, 0, 0, 0, 0, 1, 0))
        next_ = F.pad(next_[:, 1:], (0, 0, 0, 0, 0, 0, 0, 1))
        return torch.stack([last, same, next_]).sum(0).relu().flatten(0, 1)


class Stock(nn.Module):
    """torchvision's ResNet50 on every frame, with a form of TAM or without."""

    def __init__(self, frames: int, tam: type[Conv3dTam] | type[ShiftedTam] | None = None) -> None:
        super().__init__()
        self.net = torchvision.models.resnet50(num_classes=CLASSES)
        self.frames = frames
        blocks = (block for n in range(1, 5) for block in getattr(self.net, f"layer{n}"))
        for block in blocks if tam else ():
            block.conv1 = nn.Sequential(tam(block.conv1.in_channels, frames), block.conv1)

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
        "stock TSN": Stock(args.frames),
        "stock TAM, Conv3d": Stock(args.frames, Conv3dTam),
        "stock TAM, shifted": Stock(args.frames, ShiftedTam),
    }
    x_BTCHW = torch.rand(args.batch, args.frames, 3, args.side, args.side)
    times: dict[str, list[float]] = {name: [] for name in models}
    for round_ in range(args.repeats + 1):  # the first is to warm up
        for name, model in models.items():
            model.zero_grad()
            taken = step_seconds(model, x_BTCHW)
            times[name] += [taken] if round_ else []
    print("model                s a step   to its TSN   to our TAM")
    for name, seconds in times.items():
        to_tsn = ratio(seconds, times[f"{name.split()[0]} TSN"])
        to_tam = ratio(seconds, times["ours TAM"])
        print(f"{name:20} {statistics.median(seconds):8.3f}   {to_tsn:10.2f}   {to_tam:10.2f}")


def ratio(these: list[float], those: list[float]) -> float:
    """Return the median ratio of two steps of the same round."""
    return statistics.median(a / b for a, b in zip(these, those, strict=True))


if __name__ == "__main__":
    main()
