"""How a dive goes: from the four attributes of its class to the figure's pose, turn and place in each frame.

The names follow Diving48's vocabulary: takeoff, somersaults in halves ("15som" is one and a half), twists
in halves, and the position in the air.
"""

from dataclasses import dataclass, replace

import numpy as np

from retrace.data.synthetic.videos.draws import word
from retrace.data.synthetic.videos.figure import Pose, between, joints
from retrace.errors import UserError

TAKEOFFS = {"Forward": (1, 1), "Back": (-1, -1), "Reverse": (1, -1), "Inward": (-1, 1)}
"""Facing the water (1) or the platform (-1), and turning forward (1) or backward (-1)."""

SOMERSAULTS = {
    "Dive": 0.5,
    "1som": 1.0,
    "15som": 1.5,
    "2som": 2.0,
    "25som": 2.5,
    "3som": 3.0,
    "35som": 3.5,
    "45som": 4.5,
}
TWISTS = {
    "NoTwis": 0.0,
    "05Twis": 0.5,
    "1Twis": 1.0,
    "15Twis": 1.5,
    "2Twis": 2.0,
    "25Twis": 2.5,
    "3Twis": 3.0,
    "35Twis": 3.5,
}

_STAND = Pose(toes=1.5)
_ARMS_UP = Pose(toes=1.5, left_arm=3.0, right_arm=3.0)
_CROUCH = Pose(hip=1.0, knee=1.6, toes=2.1, curl=0.35, left_arm=-0.6, right_arm=-0.6)
_LEAP = Pose(toes=0.3, left_arm=2.9, right_arm=2.9)
_HEAD_FIRST = Pose(toes=0.0, left_arm=np.pi, right_arm=np.pi, spread=-0.12)
_FEET_FIRST = Pose(toes=0.0)
POSITIONS = {
    "TUCK": Pose(
        hip=2.25,
        knee=2.45,
        curl=0.75,
        left_arm=1.0,
        right_arm=1.0,
        left_elbow=0.5,
        right_elbow=0.5,
        spread=0.15,
    ),
    "PIKE": Pose(hip=2.3, toes=0.0, curl=0.5, left_arm=2.0, right_arm=2.0, spread=0.0),
    "STR": Pose(hip=-0.12, toes=0.0, curl=-0.15, left_arm=1.75, right_arm=1.75, spread=1.1),
    "FREE": Pose(toes=0.0, left_arm=2.7, right_arm=1.1, left_elbow=1.1, right_elbow=1.6, spread=0.1),
}


_HANDS, _FEET = 0.72, 0.62
"""From the hands or the toes of a straight body to its centre of mass, in body heights."""


@dataclass(frozen=True)
class Attributes:
    """The four attributes of a class, as numbers."""

    facing: int
    sense: int
    somersaults: float
    twists: float
    position: Pose

    @property
    def head_first(self) -> bool:
        """Whether the dive ends with half a somersault."""
        return self.somersaults % 1 != 0


def attributes(name: str) -> Attributes:
    """Return what a class names, as in "Back_15som_05Twis_FREE". Raises UserError if it cannot be drawn."""
    parts = name.split("_")
    if len(parts) != 4:
        raise UserError(f"class '{name}' should have four parts, as in 'Back_15som_05Twis_FREE'")
    tables = (TAKEOFFS, SOMERSAULTS, TWISTS, POSITIONS)
    takeoff, somersaults, twists, position = (
        table[word(part, tuple(table), name)] for part, table in zip(parts, tables, strict=True)
    )
    return Attributes(*takeoff, somersaults, twists, position)


@dataclass(frozen=True)
class Timing:
    """When what happens, in frames; the takeoff is in a whole frame."""

    frames: int
    takeoff: int
    entry: float
    """When the diver reaches the water."""


@dataclass(frozen=True)
class Course:
    """A dive towards the right, in body heights; rows are frames."""

    body: dict[str, np.ndarray]
    """The joints in the body's axes, each (T, 3)."""
    place_T2: np.ndarray
    """The centre of mass, to the right of the platform's edge and up from the water."""
    somersault_T: np.ndarray
    """Radians, forward."""
    twist_T: np.ndarray


@dataclass(frozen=True)
class Throw:
    """The path of the centre of mass in body heights."""

    platform: float
    """How high above the water the feet start."""
    rise: float
    """How far it rises after the takeoff."""
    travel: float
    """How far from the platform's edge it enters the water."""


def course(dive: Attributes, timing: Timing, throw: Throw) -> Course:
    """Return the course of a dive."""
    share_T = (np.arange(timing.frames) - timing.takeoff) / (timing.entry - timing.takeoff)
    body = joints(_poses(dive, timing))
    turn_T = 0.4 * np.clip(share_T, 0, 1) + 0.6 * _ease(share_T, 0.0, 1.0)
    entry = _HANDS if dive.head_first else _FEET
    return Course(
        body=body,
        place_T2=_places(body, share_T, timing.takeoff, entry, throw),
        somersault_T=dive.sense * 2 * np.pi * dive.somersaults * turn_T,
        twist_T=2 * np.pi * dive.twists * _ease(share_T, 0.18, 0.85),
    )


def _poses(dive: Attributes, timing: Timing) -> Pose:
    """Return the pose in each frame: stand, crouch, leap, the position, stretch for the water."""
    start, flight = timing.takeoff, timing.entry - timing.takeoff
    entry = _HEAD_FIRST if dive.head_first else _FEET_FIRST
    ready = _ARMS_UP if dive.facing == dive.sense else _STAND
    steps = [
        (0, ready),
        (0.35 * start, ready),
        (0.75 * start, _CROUCH),
        (start, _LEAP),
        (start + 0.12 * flight, replace(_LEAP, toes=0.0)),
        (start + 0.3 * flight, dive.position),
        (start + 0.68 * flight, dive.position),
        (start + 0.86 * flight, entry),
        (timing.frames, entry),
    ]
    return between([time for time, _ in steps], [pose for _, pose in steps], timing.frames)


def _places(
    body: dict[str, np.ndarray], share_T: np.ndarray, takeoff: int, entry: float, throw: Throw
) -> np.ndarray:
    """Return the centre of mass (T, 2): over the feet until the takeoff, then thrown, then sinking.

    With a fall of `g` per flight squared and a first speed of sqrt(2 g rise), the height after one flight
    is `entry`: sqrt(g) = sqrt(2 rise) + sqrt(2 (rise + drop)).
    """
    stand_T = throw.platform + 0.04 - body["left_ankle"][:, 2]
    top = stand_T[takeoff]
    root = np.sqrt(2 * throw.rise) + np.sqrt(2 * (throw.rise + top - entry))
    speed = root * np.sqrt(2 * throw.rise)
    flown_T = np.clip(share_T, 0, 1)
    thrown_T = top + speed * flown_T - (root * flown_T) ** 2 / 2
    sunk_T = (root**2 - speed) * np.clip(share_T - 1, 0, None)
    up_T = np.where(share_T <= 0, stand_T, thrown_T - sunk_T)
    return np.stack([0.02 + throw.travel * flown_T, up_T], axis=1)


def _ease(share_T: np.ndarray, start: float, end: float) -> np.ndarray:
    """Return 0 before `start`, 1 after `end`, and a smooth step between."""
    part_T = np.clip((share_T - start) / (end - start), 0, 1)
    return part_T**2 * (3 - 2 * part_T)
