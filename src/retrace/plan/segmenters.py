"""Every segmenter's page by name, and what it is resolved to together with the pages of datasets."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from retrace.errors import UserError
from retrace.plan.composition import BlurElsewhere, Composed, Segmented
from retrace.plan.identity import digest
from retrace.plan.layout import segmenter_folder
from retrace.plan.load import Assumption, documents
from retrace.plan.mistakes import checked
from retrace.plan.segmenter import Detection, MaskSplits, Segmenter, SegmenterPage
from retrace.plan.strict import nearest
from retrace.plan.video import VideoSplit

if TYPE_CHECKING:
    from retrace.plan.library import Library

FORMAT = "diving48"
"""Of the annotations that are written for composed videos."""


class Segmenters:
    """Every page in segmenters/.

    Attributes: `documents` (as read) and `pages`, by name.
    """

    def __init__(self, library: "Library") -> None:
        """Read all pages. Raises UserError naming file, line and key of each mistake."""
        self._library = library
        self.documents = documents(library.root, "segmenters")
        self.pages = {
            name: checked(SegmenterPage.model_validate, page.data, page)
            for name, page in self.documents.items()
        }

    def check(self) -> None:
        """Resolve every page, so that every mistake is found now. Raises UserError."""
        for name in self.pages:
            self.detection(name)

    def require(self, name: str) -> None:
        """Raise UserError with the nearest name if there is no such segmenter."""
        if name not in self.pages:
            raise UserError(f"there is no segmenter '{name}'; {nearest(name, self.pages)}")

    def behind(self, datasets: Iterable[str]) -> list[str]:
        """Return the names of the segmenters that made the videos of some datasets."""
        pages = (self._library.page(name) for name in datasets)
        return sorted({page.segmented.by for page in pages if page.segmented is not None})

    def folder_behind(self, dataset: str) -> Path | None:
        """Return the folder of the segmenter that made the videos of `dataset`, or None if none did."""
        name = next(iter(self.behind([dataset])), None)
        return None if name is None else segmenter_folder(name, self.training(name))

    def assumptions(self, name: str) -> tuple[Assumption, ...]:
        """Return the values of a segmenter and its labelled frames that no paper prints."""
        frames = self._library.documents[self.pages[name].frames]
        return (*self.documents[name].assumptions, *frames.assumptions)

    def training(self, name: str) -> Segmenter:
        """Return how a segmenter is trained. Raises UserError if its labelled frames are nothing known."""
        page = self.pages[name]
        return Segmenter(
            recipe=page.recipe,
            frames=self._frames(name),
            model=page.model,
            training=page.training,
        )

    def detection(self, name: str) -> Detection:
        """Return the pass of a segmenter over its videos. Raises UserError if there are no such videos."""
        asked, library, document = self.pages[name].videos, self._library, self.documents[name]
        filmed = {other: page for other, page in library.wholes.items() if page.segmented is None}
        if asked.of not in filmed:
            message = f"'{asked.of}' is no dataset of videos as filmed; {nearest(asked.of, filmed)}"
            raise UserError(document.problem(("videos", "of"), message))
        splits = filmed[asked.of].splits
        if asked.split not in splits:
            message = f"'{asked.of}' has no split '{asked.split}'; {nearest(asked.split, splits)}"
            raise UserError(document.problem(("videos", "split"), message))
        return Detection(
            segmenter=digest(self.training(name)),
            videos=VideoSplit(collection=library.collection(asked.of), split=asked.split),
            **asked.model_dump(include={"frames", "height", "width", "antialias"}),
        )

    def composed(self, name: str, segmented: Segmented, classes: tuple[str, ...]) -> Composed:
        """Return how the videos of the dataset `name` are made. Raises UserError where they cannot be."""
        document, library = self._library.documents[name], self._library
        if segmented.by not in self.pages:
            message = f"there is no segmenter '{segmented.by}'; {nearest(segmented.by, self.pages)}"
            raise UserError(document.problem(("segmented", "by"), message))
        detection = self.detection(segmented.by)
        source = detection.videos
        if source.classes != classes:
            raise UserError(document.problem(("classes",), f"'{source.dataset}' has other classes"))
        if library.videos[name].splits.keys() != {source.split}:
            message = f"the segmenter is run over the split '{source.split}', so that is what there is"
            raise UserError(document.problem(("splits",), message))
        for page, where in ((name, ("files", "format")), (source.dataset, ("segmented", "by"))):
            if library.page(page).files.format != FORMAT:
                message = f"videos are composed in the format {FORMAT}, and '{page}' has another one"
                raise UserError(document.problem(where, message))
        effect = segmented.effect
        if isinstance(effect, BlurElsewhere) and effect.kernel // 2 >= min(detection.height, detection.width):
            message = f"a kernel of {effect.kernel} pixels reaches over frames of {detection.height} rows"
            raise UserError(document.problem(("segmented", "effect", "kernel"), message))
        return Composed(detections=digest(detection), **segmented.model_dump(exclude={"by"}))

    def _frames(self, segmenter: str) -> MaskSplits:
        name, library = self.pages[segmenter].frames, self._library
        page = library.masks.get(name)
        if page is None:
            message = f"there are no labelled frames '{name}'; {nearest(name, library.masks)}"
            raise UserError(self.documents[segmenter].problem(("frames",), message))
        generated = [name for name, own in library.wholes.items() if own.generator is not None]
        if page.of is not None and page.of not in generated:
            message = f"'{page.of}' is no generated dataset of videos; {nearest(page.of, generated)}"
            raise UserError(library.documents[name].problem(("of",), message))
        return MaskSplits(
            dataset=name,
            **page.model_dump(include={"version", "train", "val", "seed"}),
            footage=library.collection(page.of).footage if page.of is not None else None,
        )
