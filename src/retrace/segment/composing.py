"""The step from what was found to composed videos, for one dataset by its name."""

import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from torch import Tensor

from retrace.data.composed import Video, entry, of_shard, source_videos
from retrace.data.paths import Pattern, values
from retrace.data.prepare import Preparation
from retrace.data.progress import with_progress
from retrace.errors import UserError
from retrace.files import write_text
from retrace.plan.layout import detections_folder
from retrace.plan.library import Library
from retrace.segment import detections
from retrace.segment.clips import clip
from retrace.segment.compose import compose, regions
from retrace.segment.known import Known
from retrace.segment.write import write_video


class Composing:
    """One dataset whose videos are composed here. `folders` are the user's folders by dataset.

    Raises UserError if there is no such dataset, if its videos are not composed, or if a page is wrong.
    """

    def __init__(self, library: Library, name: str, folders: Mapping[str, str]) -> None:
        self.target = Preparation(library, name, folders, 0)
        page = self.target.files
        if page.segmented is None or self.target.whole != name:
            raise UserError(
                f"datasets/{name}.yaml has no entry 'segmented': its videos are not composed here"
            )
        self.page, self.how = page, page.segmented
        self.detection = library.segmenters.detection(self.how.by)
        self.source = Preparation(library, self.detection.videos.dataset, folders, 0)
        self.detections = library.root / detections_folder(self.how.by, self.detection)

    def compose(self, shard: int) -> None:
        """Compose the videos of one shard; finished ones stay. The report has a row for each."""
        split = self.detection.videos.split
        mine = of_shard(source_videos(self.source.folder, split), shard, self.page.shards)
        known, pattern = Known(self.detection.videos), Pattern(self.page.files.videos[0])
        rows: list[dict[str, Any]] = []
        for video in with_progress(mine, f"shard {shard} of {self.page.shards}"):
            found = detections.read(detections.file_of(self.detections, video))
            region_THW = regions(found.found(), (self.detection.height, self.detection.width), self.how)
            path = str(pattern.fill(values(entry(video, self.detection.frames), split)))
            self._write(path, video, region_THW)
            score = known.score(video["id"], found.frames_T, region_THW)
            empty = int((~region_THW.flatten(1).any(1)).sum())
            row = {"id": video["id"], "frames": len(region_THW), "empty": empty}
            rows.append(row | {"known": score and score._asdict()})
        write_text(self.target.composed(shard), json.dumps(rows, indent=1) + "\n")

    def _write(self, path: str, video: Video, region_THW: Tensor) -> None:
        """Write the composed video to `path` below the originals, unless it is there."""
        place = self.target.originals / path
        if not place.exists():
            x_TCHW = clip(self.source.data_root(), video, self.detection)
            y_TCHW = compose(x_TCHW, region_THW, self.how.effect)
            write_video(place, y_TCHW, Fraction(self.page.fps).limit_denominator(1001), self.how.bit_rate)
