"""Official folders in miniature: pages, collections, annotations and empty videos."""

import csv
import io
import json
from pathlib import Path

from retrace.data.manifest import build_manifest, read_manifest
from retrace.plan.datasets import ClassList, Expected, Files, VideoDataset
from retrace.plan.video import H264, Collection, Footage, Holdout, Store

STORE = Store(short_side=64, codec=H264(name="h264", crf=18, preset="fast", keyframe_interval=12))
KINETICS = ("abseiling", 'air drumming, "live"', "passing American football (in game)", "person's head")
V2 = ("Lifting up one end of something, then letting it drop down", "Holding something", "Closing something")
MOMENTS = ("clapping", "adult+female+singing")
DIVES = (
    ("Back", "15som", "05Twis", "FREE"),
    ("Back", "25som", "NoTwis", "TUCK"),
    ("Forward", "Dive", "NoTwis", "PIKE"),
)
DIVING = tuple("_".join(parts) for parts in DIVES)
HEADER = "label,youtube_id,time_start,time_end,split,is_cc\n"


def page(form, videos, annotations, splits=None, labels=(), classes=1):
    """Return the page of a dataset with one place for each annotation, unless a tuple names more."""
    places = {split: (files,) if isinstance(files, str) else files for split, files in annotations.items()}
    return VideoDataset(
        kind="videos",
        title="Small",
        version=3,
        origin="here",
        access="free",
        licence="none",
        flip="forbid",
        fps=12,
        views=(),
        classes=ClassList(file="small.txt", count=classes, sha256="0" * 64),
        files=Files(format=form, annotations=places, labels=labels, videos=videos),
        splits=splits or {split: Expected(videos=100) for split in places},
        store=STORE,
        shards=2,
    )


def collection(classes, form="kinetics", name="small", per_class=None, seed=None):
    """Return a collection with these classes of the footage of `small`."""
    footage = Footage(
        dataset="small", version=3, format=form, generator=None, classes=None, videos=None, store=STORE
    )
    return Collection(
        dataset=name,
        version=3,
        classes=tuple(classes),
        per_class=per_class,
        seed=seed,
        flip="forbid",
        mirror=(),
        footage=footage,
    )


def fill(root: Path, *paths: str) -> None:
    """Make empty files; a path that ends in "/" is a folder with one frame in it."""
    for path in paths:
        file = root / path / "00001.jpg" if path.endswith("/") else root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")


def write(root: Path, **files) -> None:
    """Write files: text and bytes as they are, all else as JSON. `__` in a name stands for its dot."""
    for name, content in files.items():
        path = root / name.replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def kinetics_csv(split: str, *rows: tuple[str, str]) -> str:
    """Return a Kinetics annotation with a row for each (youtube_id, class)."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows((label, video, 0, 10, split, 0) for video, label in rows)
    return HEADER + text.getvalue()


def kinetics(*videos, **options):
    """Return a page in the format of Kinetics with a training split."""
    return page("kinetics", videos or ("{split}/{id}.mp4",), {"train": "train.csv"}, **options)


def simple(root, *rows: tuple[str, str]):
    """Write a Kinetics annotation with a row for each (id, class)."""
    write(root, train__csv=kinetics_csv("train", *rows))


def build(root: Path, classes, of):
    """Build the manifest of a page; return its rows and annotations.json."""
    folder = root.parent / f"{root.name}-made"
    whole = collection(classes, of.files.format)
    if of.holdout is not None:
        held = Holdout(**of.holdout.model_dump(), videos=of.splits[of.holdout.split].videos)
        whole = whole.model_copy(update={"holdout": held})
    build_manifest(whole, of, root, folder)
    report = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    return read_manifest(folder / "manifest.parquet").to_pylist(), report
