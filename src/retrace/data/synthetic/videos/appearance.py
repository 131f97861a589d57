"""Videos whose classes differ by what is to be seen: the pattern on a kite. A single frame is enough.

Colours, size, place and sky are random and the same for all classes, and so is the flight: it says
nothing about the class.
"""

from dataclasses import dataclass

import numpy as np

from retrace.data.synthetic.videos import drawing
from retrace.data.synthetic.videos.draws import length, seeds, word
from retrace.data.synthetic.videos.kite import PATTERNS, Kite
from retrace.errors import UserError
from retrace.plan.video import Appearance, SplitName


@dataclass(frozen=True)
class Flight:
    """One video: which pattern, how long, and the seed of all the rest."""

    scene: Appearance
    label: int
    pattern: str
    frames: int
    fps: int
    looks: np.random.SeedSequence


def draw(scene: Appearance, classes: tuple[str, ...], split: SplitName, index: int) -> Flight:
    """Draw the video `index` of `split`. Raises UserError for a class that names no known pattern."""
    happens, looks = seeds(scene, split, index)
    label = index % len(classes)
    return Flight(
        scene=scene,
        label=label,
        pattern=pattern(classes[label]),
        frames=length(happens, scene),
        fps=int(happens.choice(scene.fps)),
        looks=looks,
    )


def pattern(name: str) -> str:
    """Return the pattern that a class names, as in "flying a striped kite"."""
    head, _, tail = name.partition(" a ")
    found, _, thing = tail.partition(" ")
    if (head, thing) != ("flying", "kite"):
        raise UserError(f"class '{name}' cannot be generated; expected e.g. 'flying a striped kite'")
    return word(found, PATTERNS, name)


def render(flight: Flight) -> np.ndarray:
    """Return the video, uint8 (T, H, W, 3)."""
    rng = np.random.default_rng(flight.looks)
    scene = flight.scene
    video_T3HW = np.repeat(_landscape(rng, scene.height, scene.width)[None], flight.frames, axis=0)
    _clutter(rng, video_T3HW, scene.clutter)
    _kite(rng, flight).draw(video_T3HW)
    return drawing.to_bytes(video_T3HW)


def _landscape(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return a sky with clouds over two ranges of hills, (3, H, W)."""
    hue = rng.choice([0.55, 0.6, 0.05, 0.75]) + rng.uniform(-0.04, 0.04)
    high = drawing.hsv(hue, rng.uniform(0.2, 0.7), rng.uniform(0.5, 1.0))
    low = drawing.hsv(hue + rng.uniform(-0.1, 0.1), rng.uniform(0.05, 0.4), rng.uniform(0.7, 1.0))
    clouds_HW = np.clip(
        1.6 * drawing.texture(rng, height, width, int(rng.integers(2, 5)), 4) + rng.uniform(-0.2, 0.4), 0, 1
    )
    picture_3HW = drawing.gradient(high, low, height)
    picture_3HW = picture_3HW + 0.8 * clouds_HW * (1 - picture_3HW)
    row_H1 = np.arange(height, dtype=np.float32)[:, None]
    for brightness in (0.65, 0.45):
        ridge_W = drawing.texture(rng, 4, width, 3, 1)[2] * 0.12 + rng.uniform(0.78, 0.95)
        green_3 = drawing.hsv(
            rng.uniform(0.1, 0.45), rng.uniform(0.2, 0.6), brightness * rng.uniform(0.7, 1.1)
        )
        grass_HW = 1 + 0.35 * drawing.texture(rng, height, width, 12, 2)
        share_HW = drawing.coverage(height * ridge_W - row_H1, 1.5)
        picture_3HW += share_HW * (green_3[:, None, None] * grass_HW - picture_3HW)
    return picture_3HW


def _clutter(rng: np.random.Generator, video_T3HW: np.ndarray, balloons: int) -> None:
    """Draw balloons that drift across the sky."""
    frames, _, height, width = video_T3HW.shape
    time_T1 = np.linspace(0, 1, frames)[:, None]
    for _ in range(balloons):
        start_2 = np.array([width, height]) * rng.uniform(0, 1, 2)
        centre_T2 = start_2 + height * rng.uniform(-0.3, 0.3, 2) * time_T1
        radius = height * rng.uniform(0.03, 0.09)
        drawing.disc(
            video_T3HW,
            centre_T2,
            radius,
            drawing.hsv(rng.uniform(), rng.uniform(0.3, 0.9), rng.uniform(0.5, 1)),
        )


def _kite(rng: np.random.Generator, flight: Flight) -> Kite:
    """Draw a kite's looks and its flight: a slow random path, swaying."""
    height, width, frames = flight.scene.height, flight.scene.width, flight.frames
    size = height * rng.uniform(0.3, 0.4)
    middle_2 = np.array([width * rng.uniform(0.35, 0.65), height * rng.uniform(0.38, 0.5)])
    deep = drawing.hsv(rng.uniform(), rng.uniform(0.7, 1.0), rng.uniform(0.35, 0.75))
    pale = drawing.hsv(rng.uniform(), rng.uniform(0.0, 0.25), rng.uniform(0.9, 1.0))
    return Kite(
        pattern=flight.pattern,
        centre_T2=middle_2 + height * _wander(rng, frames, 2) * 0.12,
        angle_T=rng.uniform(-0.7, 0.7) + 0.4 * _wander(rng, frames, 1)[:, 0],
        sway_T=_wander(rng, frames, 1)[:, 0],
        size=size,
        pitch=size * rng.uniform(0.52, 0.68),
        slant=rng.uniform(0, np.pi),
        colours=(deep, pale),
        hand_2=np.array([width * rng.uniform(0, 1), height * 1.05]),
    )


def _wander(rng: np.random.Generator, frames: int, ways: int) -> np.ndarray:
    """Return smooth random paths about 0 within -1..1, (T, ways): two slow waves each."""
    time_T1 = np.linspace(0, 1, frames)[:, None]
    waves = [
        np.sin(2 * np.pi * (rng.uniform(0.3, 1.3, ways) * time_T1 + rng.uniform(0, 1, ways))) for _ in (0, 1)
    ]
    return (waves[0] + waves[1]) / 2
