"""The steps from a folder of videos to stored frames, each for one dataset by its name.

Everything a step needs stands on the dataset's page; where the user keeps the files comes from outside.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrace.data import audit as audits
from retrace.data import manifest as manifests
from retrace.data import shards
from retrace.data import subsample as subsets
from retrace.data.composed import summary, write_annotations
from retrace.data.synthetic.videos.write import synthesize as write_videos
from retrace.errors import UserError
from retrace.files import write_text
from retrace.plan.datasets import VideoDataset
from retrace.plan.layout import collection_folder, frames_folder, originals_folder
from retrace.plan.library import Library
from retrace.plan.video import Collection


class Preparation:
    """One dataset of videos on its way into the store.

    `folders` are the user's folders by dataset, `max_missing` is the share of its videos that may be lost.
    Raises UserError if there is no such dataset, or if its page is wrong.
    """

    def __init__(self, library: Library, name: str, folders: Mapping[str, str], max_missing: float) -> None:
        library.require_videos(name)
        self.library, self.name = library, name
        self.page, self.whole = library.videos[name], library.whole(name)
        self.files: VideoDataset = library.page(name)
        self.collection: Collection = library.collection(name)
        self.whole_collection = library.collection(self.whole)
        self.folders, self.max_missing = folders, max_missing
        self.folder = library.root / collection_folder(self.collection)
        self.frames = library.root / frames_folder(self.collection.footage)
        self.originals = library.root / originals_folder(self.collection.footage)

    def data_root(self) -> Path:
        """Return the folder of the original videos. Raises UserError if nobody has said where it is."""
        if self.files.generator is not None or self.files.segmented is not None:
            return self.originals
        if self.whole not in self.folders:
            raise UserError(
                f"config.yaml: data: does not say where the videos of {self.whole} are; add a line "
                f"'{self.whole}: /folder'. `retrace doctor data {self.whole}` says what belongs there."
            )
        return Path(self.folders[self.whole])

    def synthesize(self) -> None:
        """Generate the videos, in the publisher's format; finished ones are kept."""
        if self.files.generator is None:
            raise UserError(f"{self.whole} is not generated: its videos are the user's own")
        write_videos(self.collection.footage, self.files, self.whole_collection.classes, self.originals)
        write_text(self.originals / "complete.json", json.dumps(self.collection.footage.videos) + "\n")

    def manifest(self) -> None:
        """Read the annotations and find the videos."""
        if self.name != self.whole:
            raise UserError(
                f"{self.name} is made of {self.whole}: `retrace subsample {self.name}` chooses its videos"
            )
        if self.files.segmented is not None:
            detection = self.library.segmenters.detection(self.files.segmented.by)
            source = self.library.root / collection_folder(detection.videos.collection)
            split, frames = detection.videos.split, detection.frames
            write_annotations(self.files, source, split, frames, self.collection, self.originals)
        manifests.build_manifest(self.collection, self.files, self.data_root(), self.folder)

    def subsample(self) -> None:
        """Choose the videos of a mini set from the manifest of its whole."""
        if self.name == self.whole:
            raise UserError(f"{self.name} is a whole: `retrace manifest {self.name}` finds its videos")
        whole = self.library.root / collection_folder(self.whole_collection) / "manifest.parquet"
        subsets.subsample(self.collection, whole, self.folder, self.page.splits)

    def dry_manifest(self, folder: Path) -> dict[str, Any]:
        """Do what `manifest` does, in `folder` and from the user's files alone; return annotations.json."""
        whole = folder / "whole"
        manifests.build_manifest(self.whole_collection, self.files, self.data_root(), whole)
        if self.name == self.whole:
            return json.loads((whole / "annotations.json").read_text(encoding="utf-8"))
        subsets.subsample(self.collection, whole / "manifest.parquet", folder, self.page.splits)
        return json.loads((folder / "annotations.json").read_text(encoding="utf-8"))

    def extract(self, shard: int) -> None:
        """Store the frames of one shard, and report on every video of it."""
        count = self.page.shards
        if not 0 <= shard < count:
            raise UserError(f"{self.name} has the shards 0 to {count - 1}, not {shard}")
        rows = shards.extract_shard(
            self.folder / "manifest.parquet",
            shard,
            count,
            root=self.data_root(),
            frames=self.frames,
            store=self.collection.footage.store,
            fps=self.files.fps,
            share=self.max_missing,
        )
        shards.write_rows(self._shard(shard), rows)

    def audit(self) -> None:
        """Gather the shards: counts against the page's, losses, contact sheet."""
        done = [self._shard(shard) for shard in range(self.page.shards)]
        audits.audit(
            self.collection,
            self.page.splits,
            done,
            folder=self.folder,
            frames=self.frames,
            share=self.max_missing,
            composed=self._composition(),
        )

    def composed(self, shard: int) -> Path:
        """Return the report of one shard of composed videos."""
        return self.originals / "composed" / f"{shard:04d}.json"

    def _composition(self) -> dict[str, Any] | None:
        if self.files.segmented is None:
            return None
        return summary([self.composed(shard) for shard in range(self.files.shards)])

    def _shard(self, shard: int) -> Path:
        return self.folder / "shards" / f"{shard:04d}.parquet"
