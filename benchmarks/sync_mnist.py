"""Clips per second of the SyncMNIST generator on one core, against a frame-by-frame one.

The other generator works as the authors' does: one video, one digit, one step, one frame at a time, each
frame stretched and resized by Pillow. It makes draws of its own by the same rules; fed with ours, it makes
the same frames but for the rounding of few pixels.

    python benchmarks/sync_mnist.py --clips 4096 --mnist path/to/mnist
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from retrace.data.synthetic.digits import load_digits, load_labels
from retrace.data.synthetic.sync_draws import FRAMES, STAMP, class_names
from retrace.data.synthetic.sync_mnist import generate, walks
from retrace.data.synthetic.sync_render import Stamps
from retrace.plan.spec import Split, SyncMnist

SIDE = 64
CHUNK = 512
SLOW_CLIPS = 100


def slow_digits(first: int, labels: np.ndarray, count: int, rng: np.random.Generator) -> list[int]:
    """Return the images of one video."""
    others = [digit for digit in range(10) if digit != labels[first]]
    rng.shuffle(others)
    return [first, *(int(rng.choice(np.flatnonzero(labels == digit))) for digit in others[: count - 1])]


def slow_walk(generator: SyncMnist, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the corners of all digits in each frame of one video."""
    high = generator.canvas - STAMP - 1
    corners = rng.integers(0, high + 1, (generator.count, 2))
    paired = rng.integers(generator.unpaired) > 0
    walk = []
    for _ in range(FRAMES):
        for axis in range(2):
            low = [max(-corner[axis], -generator.step) for corner in corners]
            top = [min(high - corner[axis], generator.step) for corner in corners]
            steps = [rng.integers(lo, hi) for lo, hi in zip(low, top, strict=True)]
            if paired:
                lo, hi = max(low[:2]), min(top[:2])
                steps[:2] = [rng.integers(lo, hi) if lo < hi else 0] * 2
            for digit, step in enumerate(steps):
                corners[digit, axis] += step
        walk.append(corners.copy())
    return walk


def slow_frame(generator: SyncMnist, digits: list[np.ndarray], corners: np.ndarray) -> np.ndarray:
    """Return one frame, uint8 (SIDE, SIDE)."""
    canvas = np.zeros((generator.canvas, generator.canvas), np.int32)
    for digit, (row, column) in zip(digits, corners, strict=True):
        window = canvas[row : row + STAMP, column : column + STAMP]
        window[:] = np.where(digit >= generator.ink, digit, window)
    canvas = np.clip(canvas, 0, 255)
    low, high = canvas.min(), canvas.max()
    stretched = (canvas - low) * (255 / ((high - low) or 1))
    grey = (stretched + 0.5).astype(np.uint8)
    return np.asarray(Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def slow_clip(generator: SyncMnist, first: int, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(first)
    digits = [images[index] for index in slow_digits(first, labels, generator.count, rng)]
    return np.stack([slow_frame(generator, digits, corners) for corners in slow_walk(generator, rng)])


def cpu_seconds(work: Callable[[], object], repeats: int) -> float:
    """Return the least processor time of some repeats: time of all cores together, waiting left out."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def dataset(count: int, clips: int) -> Split:
    generator = SyncMnist(
        kind="sync_mnist",
        digits="mnist",
        kinds=10,
        count=count,
        canvas=100,
        step=10,
        ink=10,
        unpaired=92,
        seed=0,
    )
    return Split(
        dataset="benchmark",
        version=1,
        split="test",
        clips=clips,
        frames=FRAMES,
        side=SIDE,
        channels=1,
        classes=class_names(generator.kinds),
        generator=generator,
    )


def compare(split: Split, images: np.ndarray, labels: np.ndarray) -> tuple[float, float, int]:
    """Return clips per second of ours and of the frame-by-frame generator, and where they differ most."""
    generator = split.generator
    stamps = Stamps(images, labels, generator.ink)
    draws = walks(split, 0, SLOW_CLIPS, stamps)
    slow = [
        [slow_frame(generator, images[chosen], corners) for corners in walk]
        for chosen, walk in zip(draws.image_ND, draws.corner_NTD2, strict=True)
    ]
    ours = generate(split, 0, SLOW_CLIPS, stamps)[0]
    apart = int(np.abs(np.array(slow, np.int16) - ours).max())
    starts = range(0, split.clips, CHUNK)
    fast_s = cpu_seconds(lambda: [generate(split, start, start + CHUNK, stamps)[1] for start in starts], 3)
    slow_s = cpu_seconds(lambda: [slow_clip(generator, n, images, labels) for n in range(SLOW_CLIPS)], 3)
    return len(starts) * CHUNK / fast_s, SLOW_CLIPS / slow_s, apart


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clips", type=int, default=4096, help="clips of ours (default 4096)")
    parser.add_argument("--mnist", type=Path, help="folder of MNIST; scikit-learn's digits without it")
    given = parser.parse_args()
    torch.set_num_threads(1)
    asked = ("mnist" if given.mnist else "scikit-learn", "test", given.mnist)
    images, labels = load_digits(*asked), load_labels(*asked)
    print(f"{'digits':8}{'ours':>10}{'frame by frame':>18}{'ratio':>8}   (clips per second of one core)")
    for count in (3, 5):
        ours, theirs, apart = compare(dataset(count, given.clips), images, labels)
        print(
            f"{count:<8}{ours:10,.0f}{theirs:18,.0f}{ours / theirs:8,.1f}   grey levels apart: {apart}",
            flush=True,
        )


if __name__ == "__main__":
    main()
