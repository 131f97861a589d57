"""What a single frame tells about the generated videos, and what their order does.

Two small networks are trained on each set. Both see the same frames, the same augmentation and as many
steps. `per frame` scores every frame by itself and averages: it cannot know the order. `in order` runs
two convolutions over time before it averages. On `motion` the first should be at chance and the second far
above; on `appearance` the first should do well.

The videos go the way of all videos: generated files, manifest, extraction, decoding.

    python benchmarks/single_frame.py
"""

import argparse
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import binomtest
from torch import Tensor, nn
from torch.nn import functional as F

from retrace.data.decode import decode
from retrace.data.prepare import Preparation
from retrace.plan.library import Library

ROOT = Path(__file__).resolve().parent.parent
FRAMES, BATCH, EPOCHS, RATE = 8, 12, 40, 4e-3
SHRINK = 2
"""Stored frames are 72 x 96; 36 x 48 is enough."""


class PerFrame(nn.Module):
    """A small convolutional network for each frame; the logits are averaged over the frames."""

    def __init__(self, classes: int, width: int = 12) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = (3, width, 2 * width, 4 * width)
        for before, after in pairwise(channels):
            layers += [nn.Conv2d(before, after, 5, 2, 2, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.trunk = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(4 * width, classes)

    def features(self, x_BTCHW: Tensor) -> Tensor:
        """Return what is known of each frame, (B, T, D)."""
        return self.trunk(x_BTCHW.flatten(0, 1)).unflatten(0, x_BTCHW.shape[:2])

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        return self.head(self.features(x_BTCHW)).mean(dim=1)


class InOrder(PerFrame):
    """The same, with two convolutions over time in between."""

    def __init__(self, classes: int, width: int = 12) -> None:
        super().__init__(classes, width)
        self.time = nn.Sequential(
            nn.Conv1d(4 * width, 4 * width, 5, padding=2),
            nn.BatchNorm1d(4 * width),
            nn.ReLU(),
            nn.Conv1d(4 * width, 4 * width, 5, padding=2),
            nn.ReLU(),
        )

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        features_BDT = self.time(self.features(x_BTCHW).transpose(1, 2))
        return self.head(features_BDT.mean(dim=2))


def prepared(name: str, root: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """Make one set below `root`; return the frames (N, T, 3, H, W) and labels of each split."""
    preparation = Preparation(Library(root), name, {}, 0.0)
    preparation.synthesize()
    preparation.manifest()
    for shard in range(preparation.page.shards):
        preparation.extract(shard)
    preparation.audit()
    videos = pd.read_parquet(preparation.folder / "videos.parquet")
    return {split: loaded(rows, preparation.frames) for split, rows in videos.groupby("split")}


def loaded(videos: pd.DataFrame, folder: Path) -> tuple[Tensor, Tensor]:
    """Decode the middle frame of each of FRAMES equal parts of each video."""
    clips = []
    for file, frames in zip(videos["file"], videos["frames"], strict=True):
        clip_THWC = decode(folder / file, ((np.arange(FRAMES) + 0.5) * frames / FRAMES).astype(int).tolist())
        height, width = (side // SHRINK * SHRINK for side in clip_THWC.shape[1:3])
        clips.append(torch.from_numpy(clip_THWC[:, :height, :width].copy()).permute(0, 3, 1, 2))
    x_NTCHW = torch.stack(clips).float() / 255 - 0.5
    small = F.avg_pool2d(x_NTCHW.flatten(0, 1), SHRINK).unflatten(0, x_NTCHW.shape[:2])
    return small, torch.tensor(videos["label"].tolist())


def augmented(x_BTCHW: Tensor) -> Tensor:
    """Mirror, brighten or darken, and begin elsewhere in the round: none of it changes a class."""
    x_BTCHW = x_BTCHW.flip(4) if torch.rand(()) < 0.5 else x_BTCHW
    x_BTCHW = x_BTCHW * torch.empty(len(x_BTCHW), 1, 1, 1, 1).uniform_(0.6, 1.4)
    return torch.stack([clip.roll(int(torch.randint(FRAMES, ())), 0) for clip in x_BTCHW])


def trained(model: nn.Module, x_NTCHW: Tensor, label_N: Tensor) -> nn.Module:
    """Train for EPOCHS epochs."""
    steps = len(x_NTCHW) // BATCH
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS * steps)
    model.train()
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x_NTCHW))[: steps * BATCH].split(BATCH):
            loss = F.cross_entropy(model(augmented(x_NTCHW[rows])), label_N[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", default=["motion", "appearance"])
    torch.set_num_threads(1)
    print("set         model      top-1 (95 % interval)    chance   training s")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "datasets").symlink_to(ROOT / "datasets")
        for name in parser.parse_args().sets:
            splits = prepared(name, root)
            (x_NTCHW, label_N), (held_NTCHW, truth_N) = splits["train"], splits.get("val", splits.get("test"))
            for title, kind in (("per frame", PerFrame), ("in order", InOrder)):
                torch.manual_seed(0)
                start = time.perf_counter()
                model = trained(kind(int(label_N.max()) + 1), x_NTCHW, label_N)
                seconds = time.perf_counter() - start
                with torch.no_grad():
                    right = int((model(held_NTCHW).argmax(1) == truth_N).sum())
                low, high = binomtest(right, len(truth_N)).proportion_ci(method="wilson")
                share, chance = right / len(truth_N), 1 / (int(label_N.max()) + 1)
                top1 = f"{share:6.1%} ({low:.1%} to {high:.1%})"
                print(f"{name:11} {title:10} {top1:25} {chance:6.1%}   {seconds:10.1f}")


if __name__ == "__main__":
    main()
