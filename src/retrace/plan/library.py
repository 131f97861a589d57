"""The library: every dataset's page by name, and the collections of videos that pages add up to."""

import hashlib
import random
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from retrace.errors import UserError
from retrace.plan.datasets import ClassList, Dataset, DatasetPage, LabelledFrames, Page, Subset, VideoDataset
from retrace.plan.load import Assumption, Document, documents
from retrace.plan.mistakes import checked
from retrace.plan.segmenters import Segmenters
from retrace.plan.strict import nearest
from retrace.plan.video import Collection, Footage, Holdout

CLASSES = "datasets/classes"
"""Where the class lists lie: one name a line, in the order of the labels."""


class Library:
    """Every page in datasets/, and those in segmenters/.

    Attributes: `documents` (datasets' pages as read), `clips` (datasets stored as arrays), `videos` (datasets
    of videos and subsets of them), `masks` (labelled frames) and `segmenters`, each by name.
    """

    def __init__(self, root: Path) -> None:
        """Read all pages under `root`. Raises UserError naming file, line and key of each mistake."""
        self.root = root
        self.documents = documents(root, "datasets")
        pages: dict[str, Page] = {
            name: checked(DatasetPage.model_validate, page.data, page).root
            for name, page in self.documents.items()
        }
        self.clips = {name: page for name, page in pages.items() if isinstance(page, Dataset)}
        self.videos = {name: page for name, page in pages.items() if isinstance(page, VideoDataset | Subset)}
        self.masks = {name: page for name, page in pages.items() if isinstance(page, LabelledFrames)}
        self.segmenters = Segmenters(self)
        self._collections: dict[str, Collection] = {}

    def check_stand_ins(self, stand_ins: Mapping[str, str], scale: Document) -> None:
        """Raise UserError, placed in the page `scale`, for what is no stand-in or needs none."""
        generated = {name for name in self.videos if self.is_generated(name)}
        for name, stand_in in stand_ins.items():
            where = ("stand_ins", name)
            if name not in self.videos.keys() - generated:
                hint = nearest(name, self.videos.keys() - generated)
                raise UserError(scale.problem(where, f"'{name}' is no dataset of real videos; {hint}"))
            if stand_in not in generated:
                hint = nearest(stand_in, generated)
                raise UserError(
                    scale.problem(where, f"'{stand_in}' is no generated dataset of videos; {hint}")
                )

    def is_generated(self, name: str) -> bool:
        """Tell whether there are videos of this name, and generated, or made of such as are."""
        page = self.wholes.get(name)
        if page is None:
            return False
        if page.segmented is not None:
            self.collection(name)  # a wrong name is told with its place
            return self.is_generated(self.segmenters.detection(page.segmented.by).videos.dataset)
        return page.generator is not None

    def check(self) -> None:
        """Resolve every collection, so that every mistake on any page is found now. Raises UserError."""
        self.segmenters.check()
        for name in self.videos:
            self.collection(name)

    def subset_names(self) -> list[str]:
        """Return the names of all datasets that are made of another one's videos."""
        return [name for name in self.videos if self.whole(name) != name]

    @cached_property
    def wholes(self) -> dict[str, VideoDataset]:
        """The pages of all datasets of videos that are no subsets, by name."""
        return {name: page for name, page in self.videos.items() if isinstance(page, VideoDataset)}

    def require_videos(self, name: str) -> None:
        """Raise UserError with the nearest name if there is no such dataset of videos."""
        if name not in self.videos:
            raise UserError(f"there is no dataset of videos '{name}'; {nearest(name, self.videos)}")

    def whole(self, name: str) -> str:
        """Return the name of the dataset whose videos `name` is made of: that of a subset, or its own."""
        page = self.videos[name]
        return page.of if isinstance(page, Subset) else name

    def page(self, name: str) -> VideoDataset:
        """Return the page that tells of the files of `name`. Raises UserError if it is of nothing known."""
        page = self.videos[name]
        if isinstance(page, VideoDataset):
            return page
        whole = self.videos.get(page.of)
        if not isinstance(whole, VideoDataset):
            valid = [other for other, found in self.videos.items() if isinstance(found, VideoDataset)]
            message = f"'{page.of}' is no dataset of videos; {nearest(page.of, valid)}"
            raise UserError(self.documents[name].problem(("of",), message))
        return whole

    def collection(self, name: str) -> Collection:
        """Return the videos that the page `name` declares.

        Raises UserError where a class list is missing or differs from its checksum, where a subset is of
        nothing known, or has classes that its whole lacks.
        """
        if name not in self._collections:
            self._collections[name] = self._collection(name)
        return self._collections[name]

    def _collection(self, name: str) -> Collection:
        page, whole = self.videos[name], self.page(name)
        classes = self._class_list(whole.classes, self.whole(name))
        self._check_mirror(whole, classes, self.whole(name))
        subset = page if isinstance(page, Subset) else None
        return Collection(
            dataset=name,
            version=page.version,
            classes=self._chosen(subset, classes, name) if subset else classes,
            per_class=subset.per_class if subset else None,
            seed=subset.seed if subset else None,
            flip=whole.flip,
            mirror=whole.mirror,
            footage=self._footage(self.whole(name), whole, classes),
            holdout=_holdout(whole),
        )

    def _footage(self, name: str, page: VideoDataset, classes: tuple[str, ...]) -> Footage:
        generated, how = page.generator is not None, page.segmented
        return Footage(
            dataset=name,
            version=page.version,
            format=page.files.format,
            generator=page.generator,
            classes=classes if generated else None,
            videos=page.annotated() if generated else None,
            store=page.store,
            composed=self.segmenters.composed(name, how, classes) if how is not None else None,
        )

    def assumptions(self, name: str, videos: bool = True) -> tuple[Assumption, ...]:
        """Return what no paper prints of the dataset `name`, or of its segmenter alone."""
        own, page = self.documents[name].assumptions if videos else (), self.wholes.get(name)
        if page is None or page.segmented is None:
            return own
        return own + self.segmenters.assumptions(page.segmented.by)

    def _chosen(self, page: Subset, known: tuple[str, ...], name: str) -> tuple[str, ...]:
        """Return the classes of a subset: a draw keeps the order of the whole, a list has its own."""
        document = self.documents[name]
        if isinstance(page.classes, int):
            if page.classes > len(known):
                message = f"'{page.of}' has {len(known)} classes, {page.classes} cannot be drawn from them"
                raise UserError(document.problem(("classes",), message))
            drawn = set(random.Random(page.seed).sample(known, page.classes))
            return tuple(found for found in known if found in drawn)
        listed = self._class_list(page.classes, name)
        for found in listed:
            if found not in known:
                hint = nearest(found, known)
                message = f"{page.classes.file} names '{found}', which '{page.of}' lacks; {hint}"
                raise UserError(document.problem(("classes", "file"), message))
        return listed

    def _class_list(self, wanted: ClassList, name: str) -> tuple[str, ...]:
        file, document = f"{CLASSES}/{wanted.file}", self.documents[name]
        try:
            content = (self.root / file).read_bytes()
        except OSError as error:
            message = f"{file} cannot be read: {error.strerror}"
            raise UserError(document.problem(("classes", "file"), message)) from error
        return _names(wanted, file, content, document)

    def _check_mirror(self, page: VideoDataset, classes: tuple[str, ...], name: str) -> None:
        for index, pair in enumerate(page.mirror):
            for found in pair:
                if found not in classes:
                    message = f"'{found}' is no class of this dataset; {nearest(found, classes)}"
                    raise UserError(self.documents[name].problem(("mirror", index), message))


def _holdout(page: VideoDataset) -> Holdout | None:
    if page.holdout is None:
        return None
    return Holdout(**page.holdout.model_dump(), videos=page.splits[page.holdout.split].videos)


def _names(wanted: ClassList, file: str, content: bytes, document: Document) -> tuple[str, ...]:
    """Return the names in a class list, having checked that it is the list that the page means."""
    found = hashlib.sha256(content).hexdigest()
    if found != wanted.sha256:
        message = f"{file} has the checksum {found}, expected {wanted.sha256}"
        raise UserError(document.problem(("classes", "sha256"), message))
    names = tuple(content.decode("utf-8", errors="replace").split("\n")[:-1])
    if len(names) != wanted.count or len(set(names)) != len(names) or not all(names):
        message = f"{file} should name {wanted.count} classes, each once, one a line"
        raise UserError(document.problem(("classes", "count"), message))
    return names
