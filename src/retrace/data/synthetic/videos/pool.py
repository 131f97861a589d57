"""A pool seen from the side: stands, a diving tower, and water that ripples and splashes.

The scene is taller than a frame; the camera pans. Rows count from the scene's top.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from retrace.data.synthetic.videos import drawing

FOAM = np.array([0.93, 0.97, 1.0], np.float32)
"""The colour of a splash."""

_FINE = 2
"""The still scene is drawn so many times larger, and shrunk: PIL's own edges are not smooth."""


@dataclass(frozen=True)
class Tower:
    """A platform: where its edge ends, in pixels, and to which side of the edge it stands (-1 left)."""

    edge_2: np.ndarray
    side: int


@dataclass(frozen=True)
class Place:
    """The measures of a scene in pixels."""

    width: int
    height: int
    """Of the whole scene."""
    frame_height: int
    far: int
    """The row where the water begins, at the far side of the pool."""
    towers: tuple[Tower, ...]
    """The further first."""


def still(rng: np.random.Generator, place: Place) -> np.ndarray:
    """Return what does not move, float32 (3, height, width)."""
    unit = place.frame_height / 120
    outdoors = rng.uniform() < 0.4
    hall_3HW = _hall(rng, place, outdoors)
    large = Image.fromarray(drawing.to_bytes(hall_3HW[None])[0]).resize(
        (place.width * _FINE, place.height * _FINE), Image.Resampling.BILINEAR
    )
    pen = _Pen(ImageDraw.Draw(large), rng, unit)
    deck = place.far - 9 * unit
    if outdoors:
        pen.trees(place.width, deck - 30 * unit)
    else:
        pen.windows(place.width, deck - 46 * unit)
    pen.audience(place.width, deck - 30 * unit, deck)
    pen.tiles(place.width, deck, place.far)
    for tower in place.towers:
        pen.tower(tower, place.far)
    small = np.asarray(large.reduce(_FINE), np.float32)
    return np.ascontiguousarray(np.moveaxis(small, 2, 0)) / 255


def _hall(rng: np.random.Generator, place: Place, outdoors: bool) -> np.ndarray:
    """Return a wall or the sky above and water below, textured."""
    hue = rng.uniform(0.52, 0.62) if outdoors else rng.uniform()
    wall = drawing.gradient(
        drawing.hsv(hue, rng.uniform(0.05, 0.4), rng.uniform(0.35, 0.75)),
        drawing.hsv(hue, rng.uniform(0.05, 0.4), rng.uniform(0.5, 0.9)),
        place.height,
    )
    blue = rng.uniform(0.48, 0.6)
    water = np.empty((3, place.height, 1), np.float32)
    water[:, : place.far] = 0
    water[:, place.far :] = drawing.gradient(
        drawing.hsv(blue, rng.uniform(0.3, 0.5), rng.uniform(0.75, 0.95)),
        drawing.hsv(blue + 0.03, rng.uniform(0.6, 0.85), rng.uniform(0.55, 0.8)),
        place.height - place.far,
    )
    grain_HW = 1 + 0.2 * drawing.texture(rng, place.height, place.width, 6, 4)
    is_water_H1 = (np.arange(place.height) >= place.far)[:, None]
    return np.where(is_water_H1, water, wall) * grain_HW


class _Pen:
    """Draws the parts of a hall on an enlarged picture, in the scene's pixels."""

    def __init__(self, pen: ImageDraw.ImageDraw, rng: np.random.Generator, unit: float) -> None:
        self.pen, self.rng, self.unit = pen, rng, unit

    def box(self, left: float, top: float, right: float, bottom: float, colour: tuple[int, ...]) -> None:
        if right > left and bottom > top:
            self.pen.rectangle([_FINE * v for v in (left, top, right, bottom)], fill=colour)

    def ball(self, x: float, y: float, radius: float, colour: tuple[int, ...]) -> None:
        self.pen.ellipse([_FINE * v for v in (x - radius, y - radius, x + radius, y + radius)], fill=colour)

    def colour(self, saturation: float, low: float, high: float) -> tuple[int, ...]:
        rng = self.rng
        rgb = drawing.hsv(rng.uniform(), rng.uniform(0, saturation), rng.uniform(low, high))
        return tuple(int(255 * v) for v in rgb)

    def windows(self, width: float, bottom: float) -> None:
        """Draw a row of tall windows, if there is room for them."""
        step = self.unit * self.rng.uniform(22, 40)
        pane = self.colour(0.3, 0.75, 1.0)
        frame = self.colour(0.2, 0.2, 0.5)
        for left in np.arange(self.rng.uniform(-step, 0), width, step):
            self.box(left, 4 * self.unit, left + 0.7 * step, bottom, frame)
            for low, high in ((0.08, 0.34), (0.38, 0.64)):
                self.box(left + low * step, 6 * self.unit, left + high * step, bottom - 2 * self.unit, pane)

    def trees(self, width: float, bottom: float) -> None:
        """Draw a row of trees, as outdoors."""
        for x in np.arange(0, width + 1, 3 * self.unit):
            radius = self.unit * self.rng.uniform(4, 13)
            green = drawing.hsv(
                self.rng.uniform(0.2, 0.42), self.rng.uniform(0.3, 0.8), self.rng.uniform(0.2, 0.6)
            )
            self.ball(x, bottom - self.rng.uniform(0, 1) * radius, radius, tuple(int(255 * v) for v in green))

    def audience(self, width: float, top: float, bottom: float) -> None:
        """Draw rows of people, each a head over shoulders."""
        unit, rng = self.unit, self.rng
        self.box(0, top, width, bottom, self.colour(0.4, 0.25, 0.55))
        for row in np.arange(top + 3 * unit, bottom - 2 * unit, 6.5 * unit):
            self.box(0, row + 4.5 * unit, width, row + 5.5 * unit, self.colour(0.3, 0.4, 0.7))
            for x in np.arange(rng.uniform(0, 5), width, 5.2 * unit):
                if rng.uniform() < 0.75:
                    skin = drawing.hsv(rng.uniform(0.03, 0.09), rng.uniform(0.3, 0.6), rng.uniform(0.4, 0.95))
                    self.box(
                        x - 2 * unit,
                        row + 1.6 * unit,
                        x + 2 * unit,
                        row + 5 * unit,
                        self.colour(0.9, 0.3, 1.0),
                    )
                    self.ball(x, row, 1.7 * unit, tuple(int(255 * v) for v in skin))

    def tiles(self, width: float, top: float, bottom: float) -> None:
        """Draw the deck and, below it, the tiled edge of the pool."""
        middle = (top + bottom) / 2
        self.box(0, top, width, middle, self.colour(0.15, 0.7, 0.95))
        light, dark = self.colour(0.1, 0.85, 1.0), self.colour(0.8, 0.4, 0.7)
        side = (bottom - middle) / 2
        for row in range(2):
            for column in range(int(width / side) + 1):
                fill = dark if (row + column) % 2 else light
                self.box(
                    column * side, middle + row * side, (column + 1) * side, middle + (row + 1) * side, fill
                )

    def tower(self, tower: Tower, far: float) -> None:
        """Draw a column that stands in the deck, the slab, and a rail behind."""
        unit, (edge, top) = self.unit, tower.edge_2
        body, dark = self.colour(0.25, 0.5, 0.9), self.colour(0.5, 0.15, 0.35)

        def part(near: float, wide: float, above: float, below: float, fill: tuple[int, ...]) -> None:
            left, right = sorted((edge + tower.side * near, edge + tower.side * (near + wide)))
            self.box(left, above, right, below, fill)

        part(24 * unit, 13 * unit, top, far - 4 * unit, body)
        part(24 * unit, 3 * unit, top, far - 4 * unit, dark)
        for post in (26, 38, 50):
            part(post * unit, 1.2 * unit, top - 15 * unit, top, dark)
        part(26 * unit, 60 * unit, top - 15 * unit, top - 13.8 * unit, dark)
        part(26 * unit, 60 * unit, top - 8 * unit, top - 7 * unit, dark)
        part(0, 90 * unit, top, top + 5 * unit, body)
        part(0, 90 * unit, top, top + 1.5 * unit, dark)


def ripples(rng: np.random.Generator, place: Place, frames: int) -> np.ndarray:
    """Return how much lighter the water is than still water, float32 (T, height - far, width)."""
    rows = place.height - place.far
    depth_R1 = np.linspace(0.12, 1, rows, dtype=np.float32)[:, None]
    x_RW = (np.arange(place.width, dtype=np.float32) / place.width - 0.5) / depth_R1
    y_R1 = np.log(depth_R1) * 4
    total_TRW = np.zeros((frames, rows, place.width), np.float32)
    time_T11 = np.arange(frames, dtype=np.float32)[:, None, None]
    for _ in range(3):
        along, across, speed = rng.uniform(-4, 4), rng.uniform(1.2, 3), rng.uniform(0.03, 0.09)
        phase_RW = (
            (along * x_RW + across * y_R1 + 0.15 * drawing.texture(rng, rows, place.width, 4, 2)) * 2 * np.pi
        )
        total_TRW += np.sin(phase_RW.astype(np.float32) + np.float32(2 * np.pi * speed) * time_T11)
    return 0.05 * total_TRW + 0.14 * np.clip(total_TRW - 1, 0, 1)


def filmed(still_3HW: np.ndarray, ripples_TRW: np.ndarray, place: Place, camera_T: np.ndarray) -> np.ndarray:
    """Return what a camera sees whose top row is `camera_T`, (T, 3, frame height, width)."""
    video_T3HW = np.empty((len(camera_T), 3, place.frame_height, place.width), np.float32)
    for t, top in enumerate(camera_T.tolist()):
        video_T3HW[t] = still_3HW[:, top : top + place.frame_height]
        shore = max(place.far - top, 0)
        if shore < place.frame_height:
            seen = slice(top + shore - place.far, top + place.frame_height - place.far)
            video_T3HW[t, :, shore:] += ripples_TRW[t, seen]
    return video_T3HW


def splash(
    rng: np.random.Generator, entry_T2: np.ndarray, since_T: np.ndarray, size: float
) -> tuple[drawing.Patch, np.ndarray]:
    """Return the spray and foam about a point of the water, as a window and how opaque they are.

    `since_T` is the time since the hands touched the water, in the time that a diver takes to go under.
    """
    window = drawing.patch(entry_T2, 1.1 * size)
    t = np.clip(since_T, 0, None).astype(np.float32)
    drops = 60
    speed_N2 = (
        np.stack([rng.normal(0, 0.32, drops), rng.uniform(0.3, 1.5, drops)], axis=1).astype(np.float32) * size
    )
    start_N = rng.uniform(0, 0.7, drops).astype(np.float32)
    age_TN = np.clip(t[:, None] - start_N, 0, None)
    x_TN1 = (speed_N2[:, 0] * age_TN)[..., None]
    y_TN1 = (0.9 * size * age_TN**2 - speed_N2[:, 1] * age_TN)[..., None]
    wide_TN1 = (0.02 + 0.02 * rng.uniform(0, 1, drops).astype(np.float32) + 0.015 * age_TN)[..., None] * size
    strong_TN1 = ((age_TN > 0) * np.clip(1.4 - 0.7 * age_TN, 0, 1))[..., None] * (y_TN1 < 0.05 * size)
    across_TNS = strong_TN1 * np.exp(-(((window.x_T1S - x_TN1) / wide_TN1) ** 2))
    down_TNS = np.exp(-(((np.moveaxis(window.y_TS1, 2, 1) - y_TN1) / wide_TN1) ** 2))
    spray_TSS = 1 - np.exp(-1.3 * np.moveaxis(down_TNS, 1, 2) @ across_TNS)
    far_TSS = np.hypot(window.x_T1S, 3.2 * window.y_TS1) / size
    ring_T11 = 0.12 + 0.42 * np.minimum(np.sqrt(t), 1.6)[:, None, None] / 1.6
    fresh_T11 = (t > 0)[:, None, None] * np.exp(-0.7 * t)[:, None, None]
    foam_TSS = fresh_T11 * drawing.coverage((far_TSS - ring_T11) * 6) * (0.55 + 0.45 * np.cos(40 * far_TSS))
    return window, np.clip(np.maximum(spray_TSS, foam_TSS), 0, 1)
