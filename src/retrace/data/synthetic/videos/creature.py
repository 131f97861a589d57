"""A small creature with a face: an outline with lobes, shaded, that hops, turns, swells and glows."""

from dataclasses import dataclass

import numpy as np

from retrace.data.synthetic.videos import drawing

_LIGHT = np.array([1.0, 0.96, 0.6], np.float32)
_INK = np.array([0.1, 0.08, 0.12], np.float32)
_WHITE = np.ones(3, np.float32)


@dataclass(frozen=True)
class Creature:
    """What it looks like in each of T frames; lengths in pixels, angles in radians, clockwise."""

    foot_T2: np.ndarray
    """Where it stands, or where its shadow falls while it hops."""
    lift_T: np.ndarray
    angle_T: np.ndarray
    radius_T: np.ndarray
    glow_T: np.ndarray
    """How pale it is in its own light, 0..1."""
    shine_T: np.ndarray
    """How much light it sheds on what is around it, 0..1."""
    light_T3: np.ndarray
    """The colour of that light."""
    lobes: int
    depth: float
    """How far the lobes stand out, as a part of the radius."""
    colour: np.ndarray

    def draw(self, video_T3HW: np.ndarray) -> None:
        """Draw its shadow, its glow, and itself."""
        self._shadow(video_T3HW)
        centre_T2 = self.foot_T2 - np.stack([np.zeros_like(self.lift_T), self.lift_T + self.radius_T], axis=1)
        largest = float(self.radius_T.max())
        self._halo(video_T3HW, centre_T2)
        window = drawing.patch(centre_T2, (1 + self.depth) * largest + 2)
        radius_T11 = self.radius_T[:, None, None].astype(np.float32)
        x_TSS, y_TSS = drawing.turned(window, self.angle_T)
        outside_TSS = self._outline(x_TSS / radius_T11, y_TSS / radius_T11) * radius_T11
        glow_T11 = self.glow_T[:, None, None].astype(np.float32)
        drawing.over(
            video_T3HW, window, drawing.coverage(outside_TSS), self._skin(window, outside_TSS, glow_T11)
        )
        self._face(video_T3HW, window, x_TSS / radius_T11, y_TSS / radius_T11, radius_T11)

    def _halo(self, video_T3HW: np.ndarray, centre_T2: np.ndarray) -> None:
        """Light up what is around it."""
        radius_T11 = self.radius_T[:, None, None].astype(np.float32)
        window = drawing.patch(centre_T2, 2.7 * self.radius_T.max())
        far_TSS = np.hypot(window.x_T1S, window.y_TS1) / radius_T11
        fade_TSS = np.clip(1.6 - 0.6 * far_TSS, 0, 1)
        drawing.over(
            video_T3HW,
            window,
            0.8 * self.shine_T[:, None, None].astype(np.float32) * fade_TSS**2,
            self.light_T3[..., None, None],
        )

    def _outline(self, u_TSS: np.ndarray, v_TSS: np.ndarray) -> np.ndarray:
        """Return the distance from the edge in radii, exact for a circle."""
        return np.hypot(u_TSS, v_TSS) - 1 - self.depth * np.cos(self.lobes * np.arctan2(u_TSS, -v_TSS))

    def _skin(self, window: drawing.Patch, outside_TSS: np.ndarray, glow_T11: np.ndarray) -> np.ndarray:
        """Return its colours (T, 3, S, S): lit from above left, darker along the edge, pale in its glow."""
        light_TSS = 1 - 0.35 * (window.x_T1S + 1.5 * window.y_TS1) / self.radius_T.max()
        light_TSS *= 1 - 0.35 * drawing.coverage(-outside_TSS - 1.5, 2.5)
        colour_T3SS = np.clip(light_TSS, 0.4, 1.5)[:, None] * self.colour[:, None, None]
        colour_T3SS += 0.75 * glow_T11[:, None] * (_LIGHT[:, None, None] - colour_T3SS)
        return np.clip(colour_T3SS, 0, 1)

    def _face(
        self,
        video_T3HW: np.ndarray,
        window: drawing.Patch,
        u_TSS: np.ndarray,
        v_TSS: np.ndarray,
        radius_T11: np.ndarray,
    ) -> None:
        side_TSS = np.abs(u_TSS)
        eye_TSS = drawing.coverage((np.hypot(side_TSS - 0.36, v_TSS + 0.2) - 0.24) * radius_T11)
        pupil_TSS = drawing.coverage((np.hypot(side_TSS - 0.33, v_TSS + 0.16) - 0.12) * radius_T11)
        smile_TSS = np.abs(np.hypot(u_TSS, v_TSS - 0.12) - 0.36) - 0.05
        smile_TSS = drawing.coverage(np.maximum(smile_TSS, 0.3 - v_TSS) * radius_T11)
        drawing.over(video_T3HW, window, eye_TSS, _WHITE)
        drawing.over(video_T3HW, window, np.maximum(pupil_TSS, smile_TSS), _INK)

    def _shadow(self, video_T3HW: np.ndarray) -> None:
        """Darken the ground below: less, and wider, the higher it hops."""
        window = drawing.patch(self.foot_T2, 1.5 * self.radius_T.max())
        height_T11 = (self.lift_T / self.radius_T)[:, None, None].astype(np.float32)
        wide_T11 = self.radius_T[:, None, None].astype(np.float32) * (0.9 + 0.12 * height_T11)
        far_TSS = np.hypot(window.x_T1S / wide_T11, window.y_TS1 / (0.3 * wide_T11))
        drawing.over(
            video_T3HW, window, 0.5 / (1 + 0.5 * height_T11) * drawing.coverage(far_TSS - 0.9, 0.4), _INK
        )
