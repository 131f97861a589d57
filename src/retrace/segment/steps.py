"""The steps from labelled frames to composed videos, each for one segmenter or dataset by its name.

Everything a step needs stands on the pages; where the user keeps the files comes from outside.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from retrace.data.composed import frames_folder, of_shard, source_videos
from retrace.data.prepare import Preparation
from retrace.data.progress import with_progress
from retrace.data.synthetic.videos.labelled import FOLDER
from retrace.files import write_text
from retrace.plan.layout import detections_folder, originals_folder, segmenter_folder
from retrace.plan.library import Library
from retrace.segment import detections
from retrace.segment.clips import clip, frame_indices
from retrace.segment.found import Found
from retrace.segment.frames import read_frames
from retrace.segment.model import detect
from retrace.segment.outputs import read_trained
from retrace.segment.tune import fine_tune
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
            path = detections.file_of(self.detections, video)
            if not path.exists():
                x_TCHW = clip(source.data_root(), video, self.detection)
                found: list[Found] = []
                for part_TCHW in x_TCHW.split(_AT_ONCE):
                    found += detect(model, list(part_TCHW.to(device)))
                detections.write(path, frame_indices(video, self.detection.frames), found)
            counts_T = detections.read(path).counts_T
            rows.append({"id": video["id"], "frames": len(counts_T), "empty": int((counts_T == 0).sum())})
        write_text(self.detections / "found" / f"{shard:04d}.json", json.dumps(rows, indent=1) + "\n")
