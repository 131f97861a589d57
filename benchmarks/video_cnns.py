"""Are the networks of "Deep Analysis" as fast as plain ones, and what does TAM cost beside TSN?

Times training steps (forward, loss, backward) of ResNet50 as TSN, TAM, TSM, S3D and I3D, ours and as one
writes them from stock modules (`plain_video_cnns`), TAM in two ways: as a depthwise 3D convolution, and as
shifted 1x1 convolutions. On the CPU: all in turn in one process on one thread, medians of CPU time.

    python benchmarks/video_cnns.py --frames 8 --side 112 --batch 2 --repeats 5
    python benchmarks/video_cnns.py --device cuda --frames 32 --side 224 --batch 8

On a GPU: clips a second, in single precision with the usual memory format, then with channels-last (ours are
so already), bfloat16 and `torch.compile`, each on top of the one before.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

# A step frees and takes gigabytes: if glibc hands them back, page faults are half of what is timed.
os.environ.setdefault("MALLOC_MMAP_MAX_", "0")
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**40))

import torch
import torch.nn.functional as F
from plain_video_cnns import Conv3dTam, ShiftedTam, plain
from torch import Tensor, nn

from retrace.models.registry import build
from retrace.plan.model import VideoCnn

CLASSES = 87
ARCHS = {"TSN": "none", "TAM": "tam", "TSM": "tsm", "S3D": "s3d", "I3D": "i3d"}
PLAIN_TAMS = {"TAM": Conv3dTam, "TAM, shifted": ShiftedTam}
WAYS = ("single precision", "+ channels-last", "+ bfloat16", "+ torch.compile")


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


def networks(frames: int, side: int) -> dict[str, Callable[[], nn.Module]]:
    """Return what makes each network, by a name that begins with whose it is."""
    found: dict[str, Callable[[], nn.Module]] = {}
    for arch, temporal in ARCHS.items():
        found[f"ours {arch}"] = lambda temporal=temporal: ours(frames, side, temporal)
        for name, tam in PLAIN_TAMS.items() if arch == "TAM" else {arch: Conv3dTam}.items():
            found[f"plain {name}"] = lambda temporal=temporal, tam=tam: plain(
                "resnet50", temporal, classes=CLASSES, frames=frames, tam=tam
            )
    return found


def step(model: nn.Module, x_BTCHW: Tensor) -> None:
    """Forward, loss, backward."""
    labels_B = torch.arange(len(x_BTCHW), device=x_BTCHW.device)
    F.cross_entropy(model(x_BTCHW), labels_B).backward()


def on_cpu(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    models = {name: make() for name, make in networks(args.frames, args.side).items()}
    x_BTCHW = torch.rand(args.batch, args.frames, 3, args.side, args.side)
    times: dict[str, list[float]] = {name: [] for name in models}
    names = list(models)
    for round_ in range(args.repeats + 1):  # the first is to warm up
        names = names[1:] + names[:1]  # who follows whom shows in the caches
        for name in names:
            model = models[name]
            model.zero_grad()
            start = time.process_time()
            step(model, x_BTCHW)
            times[name] += [time.process_time() - start] if round_ else []
    print(f"{'network':20} s a step   to our TSN   plain to ours")
    for name, seconds in times.items():
        arch = name.partition(" ")[2].partition(",")[0]
        to_ours = "" if name.startswith("ours") else f"{ratio(seconds, times[f'ours {arch}']):10.2f}"
        to_tsn = ratio(seconds, times["ours TSN"])
        print(f"{name:20} {statistics.median(seconds):8.3f}   {to_tsn:10.2f}   {to_ours}")


def ratio(these: list[float], those: list[float]) -> float:
    """Return the median ratio of two steps of the same round."""
    return statistics.median(a / b for a, b in zip(these, those, strict=True))


def on_gpu(args: argparse.Namespace) -> None:
    torch.backends.cudnn.benchmark = True
    x_BTCHW = torch.rand(args.batch, args.frames, 3, args.side, args.side, device="cuda")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}; clips a second, training step")
    print(f"{'network':20} " + "  ".join(WAYS))
    for name, make in networks(args.frames, args.side).items():
        speeds = [clips_a_second(make().cuda(), x_BTCHW, ways, args.repeats) for ways in range(len(WAYS))]
        print(f"{name:20} " + "  ".join(f"{s:{len(way)}.1f}" for s, way in zip(speeds, WAYS, strict=True)))
        torch.cuda.empty_cache()


def clips_a_second(model: nn.Module, x_BTCHW: Tensor, ways: int, repeats: int) -> float:
    """Return the speed with the first so many ways beyond single precision."""
    if ways >= 1:
        for parameter in model.parameters():
            if parameter.ndim in (4, 5):
                last = torch.channels_last if parameter.ndim == 4 else torch.channels_last_3d
                parameter.data = parameter.data.contiguous(memory_format=last)
    asked = torch.compile(model) if ways >= 3 else model
    seconds = []
    for round_ in range(repeats + 3):  # three to warm up
        model.zero_grad()
        torch.cuda.synchronize()
        start = time.perf_counter()
        with torch.autocast("cuda", torch.bfloat16, enabled=ways >= 2):
            loss = F.cross_entropy(asked(x_BTCHW), torch.arange(len(x_BTCHW), device="cuda"))
        loss.backward()
        torch.cuda.synchronize()
        seconds += [time.perf_counter() - start] if round_ >= 3 else []
    return len(x_BTCHW) / statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    for name, default in (("frames", 8), ("side", 112), ("batch", 2), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    torch.manual_seed(0)
    (on_gpu if args.device == "cuda" else on_cpu)(args)


if __name__ == "__main__":
    main()
