"""Clips per second of the Temporal Shape generator on one core, against a frame-by-frame one.

The other generator works as the authors' does: one clip, one frame, one noise point at a time, each
frame through its own JPEG. Both are given the same draws and must make the same bytes.

    python benchmarks/temporal_shape.py --clips 2000 --mnist path/to/mnist
"""

import argparse
import io
import math
import random
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from retrace.data.synthetic.digits import load_digits
from retrace.data.synthetic.draws import CLASSES, FRAMES, SIDE, Draws, draw
from retrace.data.synthetic.temporal_shape import generate
from retrace.plan.spec import Split, TemporalShape

DOMAINS = {
    "2Dot": ("dot", 2, 0.0),
    "5Dot": ("dot", 5, 0.0),
    "MNIST": ("digit", 14, 0.0),
    "MNIST-bg": ("digit", 14, 0.5),
}
SLOW_CLIPS = {"2Dot": 200, "5Dot": 200, "MNIST": 200, "MNIST-bg": 3}


def clip_steps(draws: Draws, i: int, symbol: str) -> list[list[float]]:
    """Return the 20 steps (x, y) of clip `i`."""
    name, scale, angle = CLASSES[draws.label[i]], draws.scale[i], draws.angle[i]
    if name == "circle":
        polar = [(2.0, a) for a in np.linspace(0, 2 * np.pi, FRAMES)]
    elif name == "arc":
        polar = [(2.0, a) for a in np.linspace(angle, angle + np.pi, FRAMES)]
    elif name == "spiral":
        polar = [(scale * u, u) for u in np.linspace(0, 10 if symbol == "dot" else 8, FRAMES)]
    elif name == "line":
        polar = [(scale, angle)] * FRAMES
    else:
        sides = [np.pi / 2, np.pi, -np.pi / 2, 0]
        sides = np.roll(sides[::-1] if draws.reverse[i] else sides, draws.roll[i])
        polar = [(scale, sides[t // 5]) for t in range(FRAMES)]
    if draws.reverse[i] and name in ("circle", "arc", "spiral"):
        polar.reverse()
    if name == "circle":
        polar = polar[FRAMES - draws.roll[i] :] + polar[: FRAMES - draws.roll[i]]
    return [[length * math.cos(a), length * math.sin(a)] for length, a in polar]


@lru_cache(maxsize=4096)
def corner(seed: int) -> tuple[float, float]:
    twister = random.Random(seed)
    return twister.uniform(-1, 1), twister.uniform(-1, 1)


def fade(t: float) -> float:
    return 6 * t**5 - 15 * t**4 + 10 * t**3


def noise(octaves: int, seed: int, x: float, y: float) -> float:
    """Return Perlin noise at one point."""
    x, y = x * octaves, y * octaves
    left, top = math.floor(x), math.floor(y)
    total = 0.0
    for a in (left, left + 1):
        for b in (top, top + 1):
            g = corner(seed * max(1, abs(a + 10 * b + 1)))
            total += fade(1 - abs(x - a)) * fade(1 - abs(y - b)) * (g[0] * (x - a) + g[1] * (y - b))
    return total


def draw_frame(
    generator: TemporalShape, x: int, y: int, digit: np.ndarray | None, octaves: int, seed: int
) -> np.ndarray:
    """Return one frame after JPEG, uint8 (SIDE, SIDE)."""
    canvas = np.zeros((SIDE, SIDE))
    if generator.background:
        for u in range(SIDE):
            for v in range(SIDE):
                canvas[v, u] = generator.background * noise(octaves, seed, u / SIDE, v / SIDE)
    if digit is None:
        half = generator.size // 2
        if x >= half and y >= half:
            canvas[y - half : y + half + 1, x - half : x + half + 1] = 255
    else:
        canvas[y : y + generator.size, x : x + generator.size] += digit
    file = io.BytesIO()
    grey = np.clip(canvas * 255, 0, 255).astype(np.uint8)
    Image.fromarray(grey).save(file, "JPEG", quality=generator.jpeg_quality)
    return np.asarray(Image.open(file))


def slow_clip(generator: TemporalShape, draws: Draws, i: int, digits: np.ndarray | None) -> np.ndarray:
    """Return clip `i` as the authors make it, uint8 (FRAMES, SIDE, SIDE)."""
    steps, position = clip_steps(draws, i, generator.symbol), [float(p) for p in draws.start[i]]
    digit = None
    if digits is not None:
        size = (generator.size, generator.size)
        digit = (
            np.asarray(Image.fromarray(digits[draws.digit[i]]).resize(size, Image.Resampling.LANCZOS)) / 255
        )
    frames = []
    for t in range(FRAMES):
        x, y = int(position[0]), int(position[1])
        frames.append(
            draw_frame(generator, x, y, digit, draws.octaves[i].item(), draws.noise_seed[i, t].item())
        )
        for j in (0, 1):
            if not 0 <= position[j] + steps[t][j] <= SIDE - generator.size:
                for later in steps[t:]:
                    later[j] = -later[j]
            position[j] += steps[t][j]
    return np.stack(frames)


def cpu_seconds(work: Callable[[], object], repeats: int) -> float:
    """Return the least processor time of some repeats: time of all cores together, waiting left out."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def domain(symbol: str, size: int, background: float, clips: int) -> Split:
    generator = TemporalShape(
        kind="temporal_shape",
        symbol=symbol,
        size=size,
        digits="mnist" if symbol == "digit" else None,
        background=background,
        noise_seeds=15,
        jpeg_quality=75,
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
        classes=CLASSES,
        generator=generator,
    )


def compare(name: str, clips: int, all_digits: np.ndarray) -> tuple[float, float]:
    """Return clips per second of ours and of the frame-by-frame generator."""
    split = domain(*DOMAINS[name], clips)
    digits = all_digits if split.generator.symbol == "digit" else None
    few = SLOW_CLIPS[name]
    draws = draw(split.generator, split.split, 0, few, len(all_digits))
    slow = np.stack([slow_clip(split.generator, draws, i, digits) for i in range(few)])
    if not np.array_equal(slow, generate(split, 0, few, digits)[0]):
        raise SystemExit(f"{name}: the two generators disagree")
    ours = clips / cpu_seconds(lambda: generate(split, 0, clips, digits), 3)
    theirs = few / cpu_seconds(lambda: [slow_clip(split.generator, draws, i, digits) for i in range(few)], 1)
    return ours, theirs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clips", type=int, default=2000, help="clips of ours per domain (default 2000)")
    parser.add_argument("--mnist", type=Path, help="folder of MNIST; scikit-learn's digits without it")
    given = parser.parse_args()
    digits = load_digits("mnist" if given.mnist else "scikit-learn", "test", given.mnist)
    print(f"{'domain':10}{'ours':>12}{'frame by frame':>18}{'ratio':>10}   (clips per second of one core)")
    for name in DOMAINS:
        ours, theirs = compare(name, given.clips, digits)
        print(f"{name:10}{ours:12,.0f}{theirs:18,.1f}{ours / theirs:10,.0f}", flush=True)


if __name__ == "__main__":
    main()
