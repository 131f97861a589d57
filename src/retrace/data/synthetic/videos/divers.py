"""Diving videos: a jointed figure leaps from a tower, turns in the air, and goes under with a splash.

A class is four attributes as in Diving48 (see `dive`). Some videos have two divers who leap together.
What is known of every pixel, and not to be seen in a real dataset, is which diver it belongs to.
"""

from dataclasses import dataclass, replace

import numpy as np

from retrace.data.synthetic.videos import drawing, pool
from retrace.data.synthetic.videos.dive import Course, Throw, Timing, attributes, course
from retrace.data.synthetic.videos.draws import length, of_class, seeds
from retrace.data.synthetic.videos.figure import oriented
from retrace.data.synthetic.videos.limbs import Drawn, drawn
from retrace.plan.video import Divers, SplitName

SAMPLES, LAST_SAMPLE = 32, 22
"""The published labelled frames are one of 0..22 of 32 (supplement of "Recur, Attend or Convolve?", D)."""


@dataclass(frozen=True)
class Jump:
    """One video: its class, its length, how many divers, and the seed of all the rest."""

    scene: Divers
    label: int
    name: str
    frames: int
    fps: int
    divers: int
    sample: int
    """Which of SAMPLES frames, evenly spaced from first to last, is to be labelled by hand."""
    looks: np.random.SeedSequence
    hall: np.random.SeedSequence | None
    """How the hall looks, where it is that of the class; none: like all the rest."""


def draw(scene: Divers, classes: tuple[str, ...], split: SplitName, index: int) -> Jump:
    """Draw the video `index` of `split`. Raises UserError for a class that cannot be drawn."""
    happens, looks = seeds(scene, split, index)
    label = index % len(classes)
    attributes(classes[label])
    return Jump(
        scene=scene,
        label=label,
        name=classes[label],
        frames=length(happens, scene),
        fps=int(happens.choice(scene.fps)),
        divers=1 + int(happens.uniform() < scene.pairs),
        sample=int(happens.integers(LAST_SAMPLE + 1)),
        looks=looks,
        hall=of_class(scene, label) if happens.uniform() < scene.halls else None,
    )


def labelled_frame(jump: Jump) -> int:
    """Return the index of the frame that is to be labelled."""
    return int(np.linspace(0, jump.frames - 1, SAMPLES).round()[jump.sample])


def render(jump: Jump, with_divers: bool = True) -> np.ndarray:
    """Return the video, uint8 (T, H, W, 3); without its divers, all else, splashes too, stays as it is."""
    rng = np.random.default_rng(jump.looks)
    stage = _stage(rng, jump)
    hall_rng = rng if jump.hall is None else np.random.default_rng(jump.hall)
    still_3HW = pool.still(hall_rng, stage.place)
    ripples_TRW = pool.ripples(rng, stage.place, jump.frames)
    video_T3HW = pool.filmed(still_3HW, ripples_TRW, stage.place, stage.camera_T)
    _spectators(rng, video_T3HW, stage, jump.scene.clutter)
    for figure in stage.figures if with_divers else ():
        drawing.over(video_T3HW, figure.window, figure.alpha_TSS, figure.colour_T3SS)
    for window, alpha_TSS in stage.splashes:
        drawing.over(video_T3HW, window, alpha_TSS, pool.FOAM)
    return drawing.to_bytes(video_T3HW)


def masks(jump: Jump) -> np.ndarray:
    """Return where each diver is to be seen, bool (T, divers, H, W), the nearer diver first.

    A pixel belongs to a diver who makes up more than half of it; no pixel belongs to two.
    """
    stage = _stage(np.random.default_rng(jump.looks), jump)
    size = (jump.scene.height, jump.scene.width)
    clear_THW = np.ones((jump.frames, *size), np.float32)
    for window, alpha_TSS in stage.splashes:
        clear_THW *= 1 - drawing.placed(window, alpha_TSS, size)
    found = []
    for figure in reversed(stage.figures):
        alpha_THW = drawing.placed(figure.window, figure.alpha_TSS, size)
        found.append(clear_THW * alpha_THW > 0.5)
        clear_THW *= 1 - alpha_THW
    return np.stack(found, axis=1)


def boxes(masks_THW: np.ndarray) -> np.ndarray:
    """Return x0, y0, x1, y1 of each mask, (..., 4): its first and last column and row; -1 if it is empty."""
    lines = (masks_THW.any(-2), masks_THW.any(-1))
    first = [line.argmax(-1) for line in lines]
    last = [line.shape[-1] - 1 - line[..., ::-1].argmax(-1) for line in lines]
    return np.where(lines[0].any(-1)[..., None], np.stack([*first, *last], axis=-1), -1)


@dataclass(frozen=True)
class _Stage:
    """All that is to be seen but the scenery; in pixels of the frames."""

    place: pool.Place
    camera_T: np.ndarray
    figures: tuple[Drawn, ...]
    """The further first."""
    splashes: tuple[tuple[drawing.Patch, np.ndarray], ...]


def _stage(rng: np.random.Generator, jump: Jump) -> _Stage:
    """Draw the dive itself; what `rng` gives after that is for the scenery."""
    scene, frames = jump.scene, jump.frames
    body = scene.height * rng.uniform(0.35, 0.42)
    platform, rise, way = rng.uniform(1.7, 2.3), rng.uniform(0.3, 0.45), int(rng.choice([-1, 1]))
    timing = Timing(
        frames, takeoff=int(frames * rng.uniform(0.2, 0.27)), entry=frames * rng.uniform(0.68, 0.76)
    )
    path = course(attributes(jump.name), timing, Throw(platform, rise, rng.uniform(0.75, 1.05)))
    edge = scene.width * (0.5 - way * rng.uniform(0.12, 0.24))
    surface = round((platform + 1.35 + rise) * body)
    apart_D2 = np.array([[0, 0], [way * rng.uniform(0.3, 0.6), -0.12]])[: jump.divers] * body
    towers = tuple(
        pool.Tower(np.array([edge, surface - platform * body]) + apart, -way) for apart in apart_D2[::-1]
    )
    place = pool.Place(
        width=scene.width,
        height=max(surface + round(0.22 * scene.height), scene.height),
        frame_height=scene.height,
        far=round(surface - 0.12 * scene.height),
        towers=towers,
    )
    camera_T = _camera(surface - path.place_T2[:, 1] * body, place)
    yaw = rng.uniform(-0.45, 0.45)
    figures, splashes = [], []
    since_T = (np.arange(frames) - timing.entry) / (0.25 * (timing.entry - timing.takeoff))
    for apart_2 in apart_D2[::-1]:
        water = surface + apart_2[1]
        place_T2 = np.array([edge, surface]) + apart_2 + path.place_T2 * [way * body, -body]
        place_T2[:, 1] -= camera_T
        figures.append(
            _figure(rng, path, attributes(jump.name).facing * way, place_T2, body, yaw, water - camera_T)
        )
        entry_T2 = np.stack([np.full(frames, place_T2[-1, 0]), water - camera_T], axis=1)
        splashes.append(pool.splash(rng, entry_T2, since_T, 0.75 * body))
    return _Stage(place, camera_T, tuple(figures), tuple(splashes))


def _camera(wanted_T: np.ndarray, place: pool.Place) -> np.ndarray:
    """Return the top row of each frame: follows the rows `wanted_T`, smoothly, within the scene."""
    lag = 4
    top_T = np.clip(wanted_T - 0.45 * place.frame_height, 0, place.height - place.frame_height)
    kernel = np.hanning(2 * lag + 3)[1:-1]
    smooth_T = np.convolve(np.pad(top_T, lag, mode="edge"), kernel / kernel.sum(), "valid")
    return np.rint(smooth_T).astype(np.int64)


def _figure(
    rng: np.random.Generator,
    path: Course,
    facing: int,
    place_T2: np.ndarray,
    body: float,
    yaw: float,
    water_T: np.ndarray,
) -> Drawn:
    """Draw one diver about the points `place_T2`; what is below the row `water_T` is under water."""
    skin = drawing.hsv(rng.uniform(0.03, 0.09), rng.uniform(0.3, 0.6), rng.uniform(0.5, 1.0))
    suit = drawing.hsv(rng.uniform(), rng.uniform(0.5, 1.0), rng.uniform(0.25, 0.9))
    hair = drawing.hsv(rng.uniform(0.02, 0.12), rng.uniform(0.2, 0.7), rng.uniform(0.08, 0.5))
    cover_C3 = np.stack([skin, suit, suit if rng.uniform() < 0.5 else skin, hair])
    seen = oriented(path.body, path.somersault_T, path.twist_T, facing, yaw)
    figure = drawn(seen, place_T2, body, cover_C3)
    above_T11 = (water_T - place_T2[:, 1])[:, None, None].astype(np.float32)
    dry_TS1 = drawing.coverage(figure.window.y_TS1 - above_T11)
    return replace(figure, alpha_TSS=figure.alpha_TSS * dry_TS1)


def _spectators(rng: np.random.Generator, video_T3HW: np.ndarray, stage: _Stage, people: int) -> None:
    """Draw people who stroll along the deck."""
    frames = len(video_T3HW)
    unit = stage.place.frame_height / 120
    time_T = np.linspace(0, 1, frames)
    for _ in range(people):
        x_T = rng.uniform(0, stage.place.width) + rng.uniform(-25, 25) * unit * time_T
        feet_T = stage.place.far - 5 * unit - stage.camera_T + 0.5 * unit * np.sin(2 * np.pi * 3 * time_T)
        for up, size, kind in ((4, 3.6, "legs"), (9, 3.6, "shirt"), (14.5, 2.4, "head")):
            hue, saturation = (rng.uniform(), 0.7) if kind != "head" else (rng.uniform(0.03, 0.09), 0.45)
            colour = drawing.hsv(hue, saturation, rng.uniform(0.3, 0.95))
            centre_T2 = np.stack([x_T, feet_T - up * unit], axis=1)
            if kind == "head":
                drawing.disc(video_T3HW, centre_T2, size * unit, colour)
            else:
                drawing.box(video_T3HW, centre_T2, size * unit, np.zeros(frames), colour)
