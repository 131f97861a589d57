"""A kite on a string with a tail: a diamond of cloth with one of eight patterns."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from retrace.data.synthetic.videos import drawing

_STRING = np.array([0.25, 0.22, 0.2], np.float32)
_BOWS = 5

Field = np.ndarray
"""float32 (T, S, S)"""


@dataclass(frozen=True)
class Kite:
    """What it looks like, and where it is in each of T frames; lengths in pixels, angles in radians."""

    pattern: str
    centre_T2: np.ndarray
    angle_T: np.ndarray
    sway_T: np.ndarray
    """How far the tail swings to the side, -1..1."""
    size: float
    """Half its width."""
    pitch: float
    """From one stripe, dot or check to the next of its colour."""
    slant: float
    """By what angle the pattern lies askew on the cloth."""
    colours: tuple[np.ndarray, np.ndarray]
    hand_2: np.ndarray
    """Where the string ends."""

    def draw(self, video_T3HW: np.ndarray) -> None:
        """Draw the string, the tail and the cloth."""
        self._string(video_T3HW)
        self._tail(video_T3HW)
        window = drawing.patch(self.centre_T2, 1.6 * self.size)
        x_TSS, y_TSS = drawing.turned(window, self.angle_T)
        inside_TSS = self._inside(x_TSS, y_TSS)
        mix_TSS = PATTERN[self.pattern](*self._askew(x_TSS, y_TSS), inside_TSS, self.pitch)[:, None]
        first, second = (colour[:, None, None] for colour in self.colours)
        shade_TSS = 1 + 0.2 * np.tanh(x_TSS / self.size * 3) - 0.12 * y_TSS / self.size
        spar_TSS = drawing.coverage(np.minimum(np.abs(x_TSS), np.abs(y_TSS + 0.3 * self.size)) - 0.6)
        shade_TSS *= (1 - 0.45 * spar_TSS) * (1 - 0.4 * drawing.coverage(inside_TSS - 1.2))
        cloth_T3SS = np.clip((first + mix_TSS * (second - first)) * shade_TSS[:, None], 0, 1)
        drawing.over(video_T3HW, window, drawing.coverage(-inside_TSS), cloth_T3SS)

    def _inside(self, x_TSS: Field, y_TSS: Field) -> Field:
        """Return the pixels from the edge inwards: a diamond, short above its cross spar and long below."""
        below_TSS = y_TSS + 0.3 * self.size
        tall_TSS = np.where(below_TSS < 0, 0.95 * self.size, 1.75 * self.size)
        slope_TSS = self.size / tall_TSS
        return (self.size - np.abs(x_TSS) - np.abs(below_TSS) * slope_TSS) / np.hypot(1, slope_TSS)

    def _askew(self, x_TSS: Field, y_TSS: Field) -> tuple[Field, Field]:
        cos, sin = np.float32(np.cos(self.slant)), np.float32(np.sin(self.slant))
        below_TSS = y_TSS + 0.3 * self.size
        return cos * x_TSS + sin * below_TSS, cos * below_TSS - sin * x_TSS

    def _string(self, video_T3HW: np.ndarray) -> None:
        """Draw a thin line from the hand to the middle of the kite."""
        _, _, height, width = video_T3HW.shape
        window = drawing.patch(np.full_like(self.centre_T2, [width / 2, height / 2]), max(width, height) / 2)
        corner = np.array([width / 2, height / 2])
        line_T2 = (self.hand_2 - self.centre_T2).astype(np.float32)
        line_T2 /= np.linalg.norm(line_T2, axis=1, keepdims=True)
        dx_T1S = window.x_T1S + (corner - self.centre_T2)[:, 0, None, None].astype(np.float32)
        dy_TS1 = window.y_TS1 + (corner - self.centre_T2)[:, 1, None, None].astype(np.float32)
        along_x, along_y = line_T2[:, 0, None, None], line_T2[:, 1, None, None]
        aside_TSS = np.abs(dx_T1S * along_y - dy_TS1 * along_x)
        aside_TSS[np.broadcast_to(dy_TS1 < 0, aside_TSS.shape)] = np.inf
        drawing.over(video_T3HW, window, 0.7 * drawing.coverage(aside_TSS - 0.3), _STRING)

    def _tail(self, video_T3HW: np.ndarray) -> None:
        """Draw bows along a swinging tail, in the kite's two colours by turns."""
        down_T2 = np.stack([-np.sin(self.angle_T), np.cos(self.angle_T)], axis=1)
        aside_T2 = down_T2[:, ::-1] * [1, -1]
        for bow in range(_BOWS):
            far = (1.5 + 0.28 * bow) * self.size
            swing_T1 = (0.18 * bow * self.sway_T * np.sin(1 + 0.9 * bow))[:, None] * self.size
            place_T2 = self.centre_T2 + far * down_T2 + swing_T1 * aside_T2
            drawing.box(video_T3HW, place_T2, 0.1 * self.size, self.angle_T + bow, self.colours[bow % 2])


def _wave(phase: Field, sharpness: float = 2.5) -> Field:
    """Return 0..1, half of each period of 1 near 0 and half near 1, with soft edges."""
    return np.clip(0.5 + sharpness * np.sin(np.float32(2 * np.pi) * phase), 0, 1)


def _bordered(u: Field, v: Field, inside: Field, pitch: float) -> Field:
    return np.clip(inside - 0.45 * pitch, 0, 1)


def _checked(u: Field, v: Field, inside: Field, pitch: float) -> Field:
    turn = np.float32(np.pi / pitch) * 1.2
    return np.clip(0.5 + 4 * np.sin(turn * u) * np.sin(turn * v), 0, 1)


def _dotted(u: Field, v: Field, inside: Field, pitch: float) -> Field:
    cell = 0.95 * pitch
    return drawing.coverage(
        np.hypot(u - cell * np.round(u / cell), v - cell * np.round(v / cell)) - 0.3 * cell
    )


def _plain(u: Field, v: Field, inside: Field, pitch: float) -> Field:
    return np.zeros_like(u)


def _quartered(u: Field, v: Field, inside: Field, pitch: float) -> Field:
    right, low = np.clip(u + 0.5, 0, 1), np.clip(v + 0.5, 0, 1)
    return right * low + (1 - right) * (1 - low)


def _ringed(u: Field, v: Field, inside: Field, pitch: float) -> Field:
    return _wave(np.hypot(u, v) / pitch)


def _striped(u: Field, v: Field, inside: Field, pitch: float) -> Field:
    return _wave(u / pitch)


def _zigzagged(u: Field, v: Field, inside: Field, pitch: float) -> Field:
    tooth = np.abs(v / pitch - np.floor(v / pitch) - 0.5)
    return _wave(u / pitch + 1.1 * tooth)


PATTERN: dict[str, Callable[[Field, Field, Field, float], Field]] = {
    "bordered": _bordered,
    "checked": _checked,
    "dotted": _dotted,
    "plain": _plain,
    "quartered": _quartered,
    "ringed": _ringed,
    "striped": _striped,
    "zigzagged": _zigzagged,
}
"""How much of the second colour is at (u, v), pixels along and across the pattern from the kite's middle."""

PATTERNS = tuple(PATTERN)
