"""Generated videos on disk, as the publisher of each format lays them out.

A file that is there is not made again, so a run that was cut off goes on where it stopped.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from retrace.data.paths import Pattern, values
from retrace.data.progress import with_progress
from retrace.data.sources.entry import Entry
from retrace.data.synthetic.videos import appearance, divers, motion
from retrace.data.synthetic.videos.encode import ENCODERS, write_video
from retrace.data.synthetic.videos.labelled import places, write_labelled
from retrace.data.synthetic.videos.official import Diving48, Kinetics, Official, SomethingV2
from retrace.errors import UserError
from retrace.files import write_text
from retrace.plan.datasets import VideoDataset
from retrace.plan.video import Divers, Footage, SplitName


class Kind(NamedTuple):
    """How the videos of a generator are drawn and rendered, and in whose format they are written down."""

    draw: Callable[..., Any]
    render: Callable[[Any], np.ndarray]
    official: type[Official]


KINDS = {
    "motion": Kind(motion.draw, motion.render, SomethingV2),
    "appearance": Kind(appearance.draw, appearance.render, Kinetics),
    "divers": Kind(divers.draw, divers.render, Diving48),
}


class _Video(NamedTuple):
    """A video to be written: what it shows, what its annotation says, and its file."""

    drawn: Any
    entry: Entry
    path: Path
    labelled: bool


def synthesize(footage: Footage, page: VideoDataset, classes: tuple[str, ...], folder: Path) -> None:
    """Write the generated videos of `footage` and their annotations below `folder`, where `page` has them.

    Video i of a split depends on the generator, the classes, the split and i only, and is of the class
    i modulo the number of classes. Raises UserError for what cannot be generated, before anything is made.
    """
    kind = _kind(footage, page)
    videos = {split: _videos(kind, footage, page, classes, split, folder) for split in footage.videos or {}}
    for split, listed in videos.items():
        rows = [(video.drawn, video.entry) for video in listed]
        write_text(folder / page.files.annotations[split][0], kind.official.annotation(rows, split))
    if page.files.labels:
        write_text(folder / page.files.labels[0], kind.official.labels(classes))
    for video in with_progress([video for listed in videos.values() for video in listed], footage.dataset):
        _write(video, kind, folder)


def _kind(footage: Footage, page: VideoDataset) -> Kind:
    """Return how to make the videos of `footage`. Raises UserError where the page asks for something else."""
    if footage.generator is None:
        raise UserError(f"{footage.dataset} is not generated: its videos are the user's own")
    kind = KINDS[footage.generator.kind]
    if page.files.format != kind.official.format:
        raise UserError(
            f"{footage.dataset}: files.format: a generator of the kind '{footage.generator.kind}' writes "
            f"'{kind.official.format}', not '{page.files.format}'"
        )
    if Path(page.files.videos[0]).suffix not in ENCODERS:
        raise UserError(
            f"{footage.dataset}: files.videos: '{page.files.videos[0]}' comes first, and videos are written "
            f"there; expected a name that ends in {' or '.join(ENCODERS)}"
        )
    return kind


def _videos(
    kind: Kind, footage: Footage, page: VideoDataset, classes: tuple[str, ...], split: SplitName, folder: Path
) -> list[_Video]:
    scene, pattern = footage.generator, Pattern(page.files.videos[0])
    count = (footage.videos or {})[split]
    labelled = scene.labelled if isinstance(scene, Divers) and split == "train" else 0
    if labelled > count:
        raise UserError(
            f"{footage.dataset}: generator.labelled is {labelled}, but there are {count} training videos"
        )
    videos = []
    for index in range(count):
        drawn = kind.draw(scene, classes, split, index)
        entry = kind.official.entry(drawn, classes, split, index)
        path = folder / str(pattern.fill(values(entry, split)))
        videos.append(_Video(drawn, entry, path, index < labelled))
    return videos


def _write(video: _Video, kind: Kind, folder: Path) -> None:
    """Write what is not there yet of one video."""
    name = video.entry.id
    label_it = video.labelled and not all(path.exists() for path in places(folder, name, video.drawn))
    if video.path.exists() and not label_it:
        return
    frames_THWC = kind.render(video.drawn)
    if not video.path.exists():
        write_video(video.path, frames_THWC, video.drawn.fps)
    if label_it:
        write_labelled(folder, name, video.drawn, frames_THWC)
