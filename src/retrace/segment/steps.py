"""The steps from labelled frames to composed videos, each for one segmenter or dataset by its name.

Everything a step needs stands on the pages; where the user keeps the files comes from outside.
"""

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from retrace.data.composed import Video, entry, frames_folder, of_shard, source_videos
from retrace.data.paths import Pattern, values
from retrace.data.prepare import Preparation
from retrace.data.progress import with_progress
from retrace.data.shards import stored_name
from retrace.data.synthetic.videos.labelled import FOLDER
from retrace.errors import UserError
from retrace.files import write_text
from retrace.plan.layout import detections_folder, originals_folder, segmenter_folder
from retrace.plan.library import Library
from retrace.segment import detections
from retrace.segment.clips import clip, frame_indices
from retrace.segment.compose import compose, regions
from retrace.segment.frames import read_frames
from retrace.segment.known import Known
from retrace.segment.model import Found, detect
from retrace.segment.outputs import read_trained
from retrace.segment.tune import fine_tune
from retrace.segment.write import write_video
from retrace.train.device import prepare_device

_AT_ONCE = 8
"""Frames in the network together; what is found depends on it by rounding alone."""


class Segmenting:
    """One segmenter, from labelled frames to what it finds in videos.

    `folders` are the user's folders by dataset. Raises UserError if there is no such segmenter, or if a page
    is wrong.
    """

    def __init__(self, library: Library, name: str, folders: Mapping[str, str]) -> None:
        library.segmenters.require(name)
        self.page, self.segmenter = library.segmenters.pages[name], library.segmenters.training(name)
        self.detection = library.segmenters.detection(name)
        self.folder = library.root / segmenter_folder(name, self.segmenter)
        self.detections = library.root / detections_folder(name, self.detection)
        self._library, self._folders = library, folders

    def frames_root(self) -> Path:
        """Return the folder of the labelled frames. Raises UserError if nobody has said where it is."""
        footage, dataset = self.segmenter.frames.footage, self.segmenter.frames.dataset
        if footage is not None:
            return self._library.root / originals_folder(footage) / FOLDER
        return frames_folder(dataset, self._folders)

    def tune(self, minutes: float | None) -> None:
        """Fine-tune the network, or go on where it stopped."""
        frames = read_frames(self.frames_root())
        fine_tune(self.segmenter, frames, self.folder, minutes=minutes, published=self.page.published)

    def detect(self, shard: int) -> None:
        """Find the divers in the videos of one shard; finished videos stay."""
        source = Preparation(self._library, self.detection.videos.dataset, self._folders, 0)
        listed = source_videos(source.folder, self.detection.videos.split)
        mine = of_shard(listed, shard, self.page.videos.shards)
        device = prepare_device()
        model = read_trained(self.folder, self.segmenter).to(device)
        rows = []
        for video in with_progress(mine, f"shard {shard} of {self.page.videos.shards}"):
            path = self.file(video)
            if not path.exists():
                x_TCHW = clip(source.data_root(), video, self.detection)
                found: list[Found] = []
                for part_TCHW in x_TCHW.split(_AT_ONCE):
                    found += detect(model, list(part_TCHW.to(device)))
                detections.write(path, frame_indices(video, self.detection.frames), found)
            counts_T = detections.read(path).counts_T
            rows.append({"id": video["id"], "frames": len(counts_T), "empty": int((counts_T == 0).sum())})
        write_text(self.detections / "found" / f"{shard:04d}.json", json.dumps(rows, indent=1) + "\n")

    def file(self, video: Video) -> Path:
        """Return the file of what was found in a video."""
        return (self.detections / stored_name(video["split"], video["id"])).with_suffix(".npz")


class Composing:
    """One dataset whose videos are composed here.

    Raises UserError if there is no such dataset, if its videos are not composed, or if a page is wrong.
    """

    def __init__(self, library: Library, name: str, folders: Mapping[str, str]) -> None:
        self.target = Preparation(library, name, folders, 0)
        self.page = self.target.files
        if self.page.segmented is None or self.target.whole != name:
            raise UserError(
                f"datasets/{name}.yaml has no entry 'segmented': its videos are not composed here"
            )
        self.segmenting = Segmenting(library, self.page.segmented.by, folders)
        self.source = Preparation(library, self.segmenting.detection.videos.dataset, folders, 0)

    def compose(self, shard: int) -> None:
        """Compose the videos of one shard; finished ones stay. The report has a row for each."""
        detection, how = self.segmenting.detection, self.page.segmented
        split = detection.videos.split
        mine = of_shard(source_videos(self.source.folder, split), shard, self.page.shards)
        known, pattern = Known(detection.videos), Pattern(self.page.files.videos[0])
        rows: list[dict[str, Any]] = []
        for video in with_progress(mine, f"shard {shard} of {self.page.shards}"):
            found = detections.read(self.segmenting.file(video))
            region_THW = regions(found.found(), (detection.height, detection.width), how)
            path = self.target.originals / str(pattern.fill(values(entry(video, detection.frames), split)))
            if not path.exists():
                x_TCHW = clip(self.source.data_root(), video, detection)
                fps = Fraction(self.page.fps).limit_denominator(1001)
                write_video(path, compose(x_TCHW, region_THW, how.effect), fps, how.bit_rate)
            score = known.score(video["id"], found.frames_T, region_THW)
            empty = int((~region_THW.flatten(1).any(1)).sum())
            row = {"id": video["id"], "frames": len(region_THW), "empty": empty}
            rows.append(row | {"known": score and score._asdict()})
        write_text(self.target.composed(shard), json.dumps(rows, indent=1) + "\n")
