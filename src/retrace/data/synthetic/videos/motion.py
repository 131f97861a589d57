"""Videos whose classes differ by the order of what happens, and by nothing else.

Four events happen one after the other to a small creature, each in a light of its own colour; each begins
and ends with the whole scene at rest. A video shows exactly one round of them and begins near the first
event, or anywhere in the round, also in the middle of an event. A class is one of the 3! = 6 cyclic orders.
All that moves, clutter included, moves with the event under way, so the pieces of a video do not depend on
their order. Hence,

- with the same draws, the frames of a video are the same in every class, as a multiset;
- events look the same backwards, so a reversed video is one of the class with the opposite order;
- where the beginning is uniform over the round, a frame at any place has the same distribution in every
  class: to see the order a model has to compare frames; else it is enough to know the place of each in time.
"""

from dataclasses import dataclass

import numpy as np

from retrace.data.synthetic.videos import drawing
from retrace.data.synthetic.videos.creature import Creature
from retrace.data.synthetic.videos.draws import length, seeds, word
from retrace.errors import UserError
from retrace.plan.video import Motion, SplitName

EVENTS = ("hop", "turn", "swell", "glow")
HOP, TURN, SWELL, GLOW = range(4)

LIGHTS = ((0.25, 0.5, 1.0), (0.2, 1.0, 0.35), (1.0, 0.25, 0.3), (1.0, 0.95, 0.5))
"""The colour of the light that each event sheds: what happens is plain in one frame, when is not."""

GRAIN = 7
"""Width in pixels of a fibre in the table's wood."""

TICKS = 16
"""Beginnings per frame interval: a video begins at one of TICKS times its number of frames."""

COLOURS = {"red": 0.0, "orange": 0.08, "green": 0.34, "teal": 0.48, "blue": 0.6, "purple": 0.76, "pink": 0.9}
SHAPES = {
    "pebble": (2, 0.10),
    "pear": (3, 0.16),
    "cushion": (4, 0.12),
    "star": (5, 0.24),
    "flower": (7, 0.14),
}
"""Lobes around the outline, and how far they stand out."""


@dataclass(frozen=True)
class Act:
    """What happens in one video, and in which scene."""

    scene: Motion
    label: int
    order: tuple[int, ...]
    """The events of one round, as indices into EVENTS."""
    frames: int
    start: int
    """Where in the round the first frame lies, in ticks."""
    fps: int
    colour: str
    shape: str
    looks: np.random.SeedSequence
    """Decides all the rest."""


def draw(scene: Motion, classes: tuple[str, ...], split: SplitName, index: int) -> Act:
    """Draw the video `index` of `split`. Raises UserError for a class that is no order of the events."""
    happens, looks = seeds(scene, split, index)
    label = index % len(classes)
    frames = length(happens, scene, len(EVENTS))
    return Act(
        scene=scene,
        label=label,
        order=order(classes[label]),
        frames=frames,
        start=int(happens.integers(max(1, round(scene.start * frames * TICKS)))),
        fps=int(happens.choice(scene.fps)),
        colour=str(happens.choice(list(COLOURS))),
        shape=str(happens.choice(list(SHAPES))),
        looks=looks,
    )


def order(name: str) -> tuple[int, ...]:
    """Return the events that a class names, as "Making something hop, then turn, then swell, then glow"."""
    words = name.removeprefix("Making something ").removesuffix(", round and round").split(", then ")
    events = tuple(EVENTS.index(word(found, EVENTS, name)) for found in words)
    if sorted(events) != list(range(len(EVENTS))):
        raise UserError(f"class '{name}' should name each of {', '.join(EVENTS)} once")
    return events


def timeline(act: Act) -> tuple[np.ndarray, np.ndarray]:
    """Return the event under way in each frame, int (T,), and how far it is out of rest, 0..1 (T,).

    An event swings out and back, sin^2(pi u) at the part u of its time; u and 1 - u are made one before
    the sine is taken, so that both give the same bits.
    """
    round_ticks = act.frames * TICKS
    event_ticks = round_ticks // len(EVENTS)
    ticks_T = (act.start + TICKS * np.arange(act.frames)) % round_ticks
    place_T, tick_T = np.divmod(ticks_T, event_ticks)
    folded_T = np.minimum(tick_T, event_ticks - tick_T) / event_ticks
    return np.array(act.order)[place_T], np.sin(np.pi * folded_T) ** 2


def render(act: Act) -> np.ndarray:
    """Return the video, uint8 (T, H, W, 3)."""
    rng = np.random.default_rng(act.looks)
    event_T, swing_T = timeline(act)
    room_3HW, ground = _room(rng, act.scene)
    video_T3HW = np.repeat(room_3HW[None], act.frames, axis=0)
    _clutter(rng, video_T3HW, act.scene, event_T, swing_T)
    _creature(rng, act, event_T, swing_T, ground).draw(video_T3HW)
    return drawing.to_bytes(video_T3HW)


def _room(rng: np.random.Generator, scene: Motion) -> tuple[np.ndarray, float]:
    """Return a wall behind a table, (3, H, W), and the row where the table begins."""
    height, width = scene.height, scene.width
    warm, bright = rng.uniform(0.05, 0.15), rng.uniform(0.55, 0.8)
    wall = drawing.gradient(
        drawing.hsv(warm, rng.uniform(0.02, 0.15), bright + 0.1),
        drawing.hsv(warm, rng.uniform(0.02, 0.15), bright),
        height,
    )
    table = drawing.gradient(
        drawing.hsv(warm, rng.uniform(0.2, 0.4), 0.65 * bright),
        drawing.hsv(warm, rng.uniform(0.2, 0.4), 0.5 * bright),
        height,
    )
    ground = height * rng.uniform(0.62, 0.74)
    paper = 1 + 0.22 * drawing.texture(rng, height, width, int(rng.integers(2, 7)), 4)
    planks_HW = drawing.texture(rng, height, -(-width // GRAIN), int(rng.integers(6, 14)), 2).repeat(
        GRAIN, axis=1
    )
    wood = 1 + 0.3 * planks_HW[:, :width]
    share_H1 = drawing.coverage(ground - np.arange(height, dtype=np.float32), 2.0)[:, None]
    return wall * paper + share_H1 * (table * wood - wall * paper), ground


def _clutter(
    rng: np.random.Generator, video_T3HW: np.ndarray, scene: Motion, event_T: np.ndarray, swing_T: np.ndarray
) -> None:
    """Draw balls and boxes that move about: out and back during each event, each time another way."""
    size = np.array([scene.width, scene.height])
    for _ in range(scene.clutter):
        rest_2 = size * rng.uniform(0.02, 0.98, 2)
        ways_E2 = scene.height * rng.uniform(-0.25, 0.25, (len(EVENTS), 2))
        centre_T2 = rest_2 + ways_E2[event_T] * swing_T[:, None]
        angle_T = rng.uniform(0, 2 * np.pi) + rng.uniform(-2, 2, len(EVENTS))[event_T] * swing_T
        half = scene.height * rng.uniform(0.03, 0.075)
        colour = drawing.hsv(rng.uniform(), rng.uniform(0.1, 0.4), rng.uniform(0.35, 0.9))
        if rng.uniform() < 0.5:
            drawing.disc(video_T3HW, centre_T2, half, colour)
        else:
            drawing.box(video_T3HW, centre_T2, half, angle_T, colour)


def _creature(
    rng: np.random.Generator, act: Act, event_T: np.ndarray, swing_T: np.ndarray, ground: float
) -> Creature:
    """Return the creature as it is in each frame: where it rests, and what the events make of it."""
    scene = act.scene
    swing_ET = np.where(event_T == np.arange(len(EVENTS))[:, None], swing_T, 0)
    radius = scene.height * rng.uniform(0.155, 0.185)
    rest_2 = np.array([scene.width * rng.uniform(0.3, 0.7), ground + scene.height * rng.uniform(0.02, 0.08)])
    ways_E2 = scene.height * rng.uniform(-0.05, 0.05, (len(EVENTS), 2))
    foot_T2 = rest_2 + ways_E2[event_T] * swing_T[:, None]
    lobes, depth = SHAPES[act.shape]
    return Creature(
        foot_T2=foot_T2,
        lift_T=scene.height * rng.uniform(0.28, 0.36) * swing_ET[HOP],
        angle_T=rng.uniform(-0.25, 0.25) + rng.choice([-1, 1]) * rng.uniform(2.7, 3.3) * swing_ET[TURN],
        radius_T=radius * (1 + rng.uniform(0.6, 0.8) * swing_ET[SWELL]),
        glow_T=swing_ET[GLOW],
        shine_T=swing_T,
        light_T3=np.array(LIGHTS, np.float32)[event_T],
        lobes=lobes,
        depth=depth,
        colour=drawing.hsv(
            COLOURS[act.colour] + rng.uniform(-0.02, 0.02), rng.uniform(0.65, 0.9), rng.uniform(0.6, 0.8)
        ),
    )
