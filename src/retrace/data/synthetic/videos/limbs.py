"""Shaded limbs: cones with round ends between the joints of a figure, drawn with a depth buffer."""

from dataclasses import dataclass

import numpy as np

from retrace.data.synthetic.videos import drawing
from retrace.data.synthetic.videos.figure import REACH

SKIN, SUIT, TOP, CAP = range(4)
"""What a limb is covered with; TOP is the suit or bare."""

LIMBS = (
    ("pelvis", "waist", 0.074, 0.064, SUIT),
    ("waist", "neck", 0.064, 0.068, TOP),
    ("left_shoulder", "right_shoulder", 0.046, 0.046, TOP),
    ("left_hip", "right_hip", 0.070, 0.070, SUIT),
    ("neck", "head", 0.036, 0.036, SKIN),
    ("head", "head", 0.070, 0.070, SKIN),
    ("crown", "crown", 0.064, 0.064, CAP),
    *(
        limb
        for side in ("left", "right")
        for limb in (
            (f"{side}_shoulder", f"{side}_elbow", 0.042, 0.034, SKIN),
            (f"{side}_elbow", f"{side}_hand", 0.033, 0.023, SKIN),
            (f"{side}_hip", f"{side}_knee", 0.066, 0.046, SKIN),
            (f"{side}_knee", f"{side}_ankle", 0.045, 0.028, SKIN),
            (f"{side}_ankle", f"{side}_toes", 0.029, 0.018, SKIN),
        )
    ),
)
"""From joint to joint, the radius at either in body heights, and the cover."""

_LIGHT = np.array([-0.45, -0.65, 0.6], np.float32)
"""Towards the light: to the right, down, towards the camera."""


@dataclass(frozen=True)
class Drawn:
    """A figure on the screen, before anything in front of it."""

    window: drawing.Patch
    alpha_TSS: np.ndarray
    colour_T3SS: np.ndarray


def drawn(seen: dict[str, np.ndarray], centre_T2: np.ndarray, height: float, colours_C3: np.ndarray) -> Drawn:
    """Draw the joints `seen`, (T, 3) to the right, up and near, about the points `centre_T2` in pixels.

    `height` is the body's in pixels, `colours_C3` has a colour for each kind of cover.
    """
    window = drawing.patch(centre_T2, REACH * height)
    frames, side = len(centre_T2), window.x_T1S.shape[-1]
    buffer = _Buffer(frames, side)
    right_down_near = np.array([1, -1, 1])
    for start, end, start_radius, end_radius, cover in LIMBS:
        ends_T3 = [(seen[joint] * right_down_near * height).astype(np.float32) for joint in (start, end)]
        buffer.add(window, *ends_T3, start_radius * height, end_radius * height, cover)
    colour_TSS3 = colours_C3[buffer.cover] * buffer.light[..., None]
    colour_T3SS = np.moveaxis(colour_TSS3.reshape(frames, side, side, 3), 3, 1)
    return Drawn(window, buffer.alpha.reshape(frames, side, side), np.clip(colour_T3SS, 0, 1))


class _Buffer:
    """What the limbs drawn so far make of every pixel of a window, flat: (T * S * S,)."""

    def __init__(self, frames: int, side: int) -> None:
        self.frames, self.side = frames, side
        pixels = frames * side * side
        self.alpha = np.zeros(pixels, np.float32)
        self.near = np.full(pixels, -np.inf, np.float32)
        self.light = np.zeros(pixels, np.float32)
        self.cover = np.zeros(pixels, np.int8)

    def add(
        self,
        window: drawing.Patch,
        a_T3: np.ndarray,
        b_T3: np.ndarray,
        a_radius: float,
        b_radius: float,
        cover: int,
    ) -> None:
        """Add one limb. Only a small window about it is computed: most of a figure's window is elsewhere."""
        at, x, y = self._about(window, a_T3, b_T3, max(a_radius, b_radius))
        a, along = a_T3[:, :, None, None], (b_T3 - a_T3)[:, :, None, None]
        dx, dy = x - a[:, 0], y - a[:, 1]
        length2 = along[:, 0] ** 2 + along[:, 1] ** 2
        share = np.clip((dx * along[:, 0] + dy * along[:, 1]) / np.maximum(length2, 1e-3), 0, 1)
        dx, dy = dx - share * along[:, 0], dy - share * along[:, 1]
        radius = np.float32(a_radius) + share * np.float32(b_radius - a_radius)
        aside = np.hypot(dx, dy)
        bulge = np.sqrt(np.maximum(radius**2 - aside**2, 0))
        alpha = drawing.coverage(aside - radius)
        near = np.where(alpha > 0, a[:, 2] + share * along[:, 2] + bulge, -np.inf)
        light = 0.55 + 0.6 * np.maximum((dx * _LIGHT[0] + dy * _LIGHT[1] + bulge * _LIGHT[2]) / radius, 0)
        self.alpha[at] = np.maximum(self.alpha[at], alpha)
        front = near > self.near[at]
        at = at[front]
        self.near[at], self.light[at], self.cover[at] = near[front], light[front], cover

    def _about(
        self, window: drawing.Patch, a_T3: np.ndarray, b_T3: np.ndarray, radius: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the flat places of the pixels about a limb, (T, s, s), their x (T, 1, s) and y (T, s, 1)."""
        reach = np.abs(b_T3 - a_T3)[:, :2].max() / 2 + radius + 1
        small = min(2 * int(np.ceil(reach)) + 2, self.side)
        left_top_T2 = np.stack([window.x_T1S[:, 0, 0], window.y_TS1[:, 0, 0]], axis=1)
        corner_T2 = np.floor((a_T3 + b_T3)[:, :2] / 2 - left_top_T2 - reach).astype(np.int64)
        column_T1s, row_Ts1 = (
            corner_T2.clip(0, self.side - small)[:, axis].reshape(shape) + np.arange(small).reshape(line)
            for axis, shape, line in ((0, (-1, 1, 1), (1, 1, -1)), (1, (-1, 1, 1), (1, -1, 1)))
        )
        frame_T11 = np.arange(self.frames)[:, None, None]
        at = (frame_T11 * self.side + row_Ts1) * self.side + column_T1s
        left_T11, top_T11 = left_top_T2[:, 0, None, None], left_top_T2[:, 1, None, None]
        return at, left_T11 + column_T1s.astype(np.float32), top_T11 + row_Ts1.astype(np.float32)
