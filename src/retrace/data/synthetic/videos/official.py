"""How the publishers write down what their videos show: entries, annotations and lists of labels.

Each format is a class with the same four functions; `retrace.data.sources` reads what they write.
"""

import base64
import csv
import hashlib
import io
import json
from collections.abc import Sequence
from typing import Any, Protocol

from retrace.data.sources.entry import Entry
from retrace.data.synthetic.videos.appearance import Flight
from retrace.data.synthetic.videos.divers import Jump
from retrace.data.synthetic.videos.draws import SPLITS
from retrace.data.synthetic.videos.motion import Act
from retrace.plan.video import Format, SplitName

_KINETICS_SECONDS = 10
"""Between the two times of a video on the list; ours are shorter, as are some of theirs."""


class Official(Protocol):
    """A format of annotations."""

    format: Format

    @staticmethod
    def entry(drawn: Any, classes: tuple[str, ...], split: SplitName, index: int) -> Entry:
        """Return what the annotation calls one video."""

    @staticmethod
    def annotation(videos: Sequence[tuple[Any, Entry]], split: SplitName) -> str:
        """Return the annotation of one split."""

    @staticmethod
    def labels(classes: tuple[str, ...]) -> str:
        """Return the list of labels."""


class SomethingV2:
    """JSON: id, label, template and what fills its brackets; labels: class to its index as text."""

    format: Format = "something-v2"

    @staticmethod
    def entry(act: Act, classes: tuple[str, ...], split: SplitName, index: int) -> Entry:
        name = str((SPLITS.index(split) + 1) * 1_000_000 + index)
        return Entry(name, name, classes[act.label], None, None, index + 1)

    @staticmethod
    def annotation(videos: Sequence[tuple[Act, Entry]], split: SplitName) -> str:
        return _json([SomethingV2._row(act, entry) for act, entry in videos])

    @staticmethod
    def labels(classes: tuple[str, ...]) -> str:
        return _json({name: str(index) for index, name in enumerate(classes)})

    @staticmethod
    def _row(act: Act, entry: Entry) -> dict[str, Any]:
        thing, name = f"a {act.colour} {act.shape}", str(entry.label)
        return {
            "id": entry.id,
            "label": name.replace("something", thing, 1).lower(),
            "template": name.replace("something", "[something]", 1),
            "placeholders": [thing],
        }


class Kinetics:
    """CSV: label, youtube_id, time_start, time_end, split; there is no list of labels."""

    format: Format = "kinetics"

    @staticmethod
    def entry(flight: Flight, classes: tuple[str, ...], split: SplitName, index: int) -> Entry:
        video, start = _tube_id(flight.scene.seed, split, index)
        end = start + _KINETICS_SECONDS
        return Entry(f"{video}_{start:06d}_{end:06d}", video, classes[flight.label], start, end, index + 2)

    @staticmethod
    def annotation(videos: Sequence[tuple[Flight, Entry]], split: SplitName) -> str:
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["label", "youtube_id", "time_start", "time_end", "split"])
        for _, entry in videos:
            table.writerow([entry.label, entry.video, entry.start, entry.end, split])
        return text.getvalue()

    @staticmethod
    def labels(classes: tuple[str, ...]) -> str:
        return "".join(f"{name}\n" for name in classes)


class Diving48:
    """JSON: vid_name, label, start_frame, end_frame; the vocabulary has the four parts of each class."""

    format: Format = "diving48"

    @staticmethod
    def entry(jump: Jump, classes: tuple[str, ...], split: SplitName, index: int) -> Entry:
        video, start = _tube_id(jump.scene.seed, split, index)
        name = f"{video}_{start:05d}"
        return Entry(name, name, classes[jump.label], 0, jump.frames, index + 1)

    @staticmethod
    def annotation(videos: Sequence[tuple[Jump, Entry]], split: SplitName) -> str:
        return _json(
            [
                {"vid_name": entry.id, "label": jump.label, "start_frame": 0, "end_frame": jump.frames}
                for jump, entry in videos
            ]
        )

    @staticmethod
    def labels(classes: tuple[str, ...]) -> str:
        return _json([name.split("_") for name in classes])


def _tube_id(seed: int, split: SplitName, index: int) -> tuple[str, int]:
    """Return eleven letters as YouTube gives them, and a second or place within that video, 0..255."""
    digest = hashlib.sha256(f"{seed}/{split}/{index}".encode()).digest()
    return base64.urlsafe_b64encode(digest[:8]).decode().rstrip("="), digest[8]


def _json(value: Any) -> str:
    return json.dumps(value, indent=1) + "\n"
