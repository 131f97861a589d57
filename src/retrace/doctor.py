"""What stands between this machine and a scale: pages, data the user brings, disk, GPU."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from retrace.data.composed import frames_folder
from retrace.data.manifest import REJECTING
from retrace.data.prepare import Preparation
from retrace.data.synthetic.digits import LABEL_FILES, MNIST_FILES
from retrace.errors import UserError
from retrace.plan.config import load
from retrace.plan.datasets import VideoDataset
from retrace.plan.library import Library
from retrace.plan.plan import Plan
from retrace.plan.spec import Split, SyncMnist

_FAULTS = (*REJECTING, "no_file")
"""The lists of annotations.json that tell of videos one does not have."""

_NAMED = 20
"""Videos that the doctor names."""


def examine(plan: Plan, root: Path) -> str:
    """Return one line per thing looked at, each marked ok, missing or note."""
    plan.check()
    lines = [f"ok       pages: {len(plan.papers)} papers, {len(plan.datasets)} datasets, scale {plan.scale}"]
    lines += _mnist(plan, Path(load(root).mnist))
    lines.append(_disk(plan, root))
    lines.append(_gpu())
    return "\n".join(lines)


def examine_data(preparation: Preparation) -> str:
    """Return one line per thing that one dataset of videos needs, marked ok or missing.

    The annotations are read and every video is looked for, as the rule `manifest` does; nothing is kept.
    """
    page = preparation.files
    if page.generator is not None:
        return f"ok       {preparation.name}: generated; there is nothing to bring"
    if page.segmented is not None:
        return _made_here(preparation.library, preparation.whole, page.segmented.by)
    try:
        root = preparation.data_root()
        if not root.is_dir():
            raise UserError(f"config.yaml: data.{preparation.whole}: there is no folder {root}")
        with tempfile.TemporaryDirectory() as folder:
            report = preparation.dry_manifest(Path(folder))
    except UserError as error:
        return "\n".join([f"missing  {error}", *_what_belongs_there(page)])
    lines = [f"ok       folder: {root}, annotations in the format {page.files.format}"]
    for split, counts in report["splits"].items():
        mark = "missing" if counts["missing"] else "ok     "
        there, annotated = counts["annotated"] - counts["missing"], counts["annotated"]
        expected = f"the page expects {counts['expected']}"
        lines.append(f"{mark}  {split}: {there} of {annotated} annotated videos are there; {expected}")
    found = [(name, note) for name in _FAULTS for note in report[name]]
    lines += [
        f"         {name.replace('_', ' ')}: {note['id']}: {note['reason']}" for name, note in found[:_NAMED]
    ]
    if len(found) > _NAMED:
        lines.append(
            f"         and {len(found) - _NAMED} more; the rule `manifest` lists all in annotations.json"
        )
    return "\n".join(lines)


def examine_frames(library: Library, name: str, folders: Mapping[str, str]) -> str:
    """Return one line per thing that a dataset of labelled frames needs, marked ok or missing."""
    from retrace.segment.frames import IMAGES, MASKS, check_count, read_frames  # here: it needs torch

    page = library.masks[name]
    if page.of is not None:
        return f"ok       {name}: generated with the videos of {page.of}; there is nothing to bring"
    try:
        root = frames_folder(name, folders)
        frames = read_frames(root)
        check_count(len(frames), name, page.train, page.val)
    except UserError as error:
        note = f"a folder with {IMAGES}/x.jpg and {MASKS}/x_mask.png: black, and a colour for each diver"
        return f"missing  {error}\nnote     access: {page.access}\nnote     expected: {note}"
    divers = sum(len(frame.masks_NHW) for frame in frames)
    return f"ok       folder: {root}, {len(frames)} frames with {divers} divers"


def _made_here(library: Library, name: str, segmenter: str) -> str:
    page = library.segmenters.pages[segmenter]
    return (
        f"ok       {name}: made here of {page.videos.of}, by segmenters/{segmenter}.yaml\n"
        f"note     of that: `retrace doctor data {page.videos.of}`, `retrace doctor data {page.frames}`\n"
        f"note     have you such videos already, delete `segmented` from datasets/{name}.yaml"
    )


def _what_belongs_there(page: VideoDataset) -> list[str]:
    files = page.files
    wanted = {f"annotations of {split}": paths for split, paths in files.annotations.items()}
    if files.labels:
        wanted["list of labels"] = files.labels
    wanted["videos"] = files.videos
    lines = [f"note     access: {page.access}"]
    for what, paths in wanted.items():
        lines.append(f"note     {what}, the first of these that is there:")
        lines += [f"           {path}" for path in paths]
    return lines


def clips_bytes(split: Split) -> int:
    """Return the size of the clips of `split` on disk in bytes (one byte per value)."""
    return split.clips * split.frames * split.side**2 * split.channels


def _mnist(plan: Plan, folder: Path) -> list[str]:
    splits = [s for s in plan.splits.values() if s.generator.digits == "mnist"]
    wanted = {MNIST_FILES[s.split] for s in splits}
    wanted |= {LABEL_FILES[s.split] for s in splits if isinstance(s.generator, SyncMnist)}
    if not wanted:
        return [f"ok       digits: scale {plan.scale} needs no MNIST files"]
    lines = []
    for name in sorted(wanted):
        found = next((p for p in (folder / name, folder / f"{name}.gz") if p.exists()), None)
        missing = f"missing  {folder / name} (or .gz): put it there or let torchvision fetch it"
        lines.append(f"ok       digits: {found}" if found else missing)
    return lines


def _disk(plan: Plan, root: Path) -> str:
    todo = [split for folder, split in plan.splits.items() if not (root / folder / "clips.npy").exists()]
    need, free = sum(map(clips_bytes, todo)), shutil.disk_usage(root).free
    mark = "ok     " if need < free else "missing"
    return f"{mark}  disk: {need / 1e9:.2f} GB of clips to make, {free / 1e9:.0f} GB free"


def _gpu() -> str:
    if shutil.which("nvidia-smi"):
        return "ok       GPU: nvidia-smi answers; add --resources gpu=1 to train one run at a time on it"
    return "note     GPU: none found; trained runs use the CPU, one core each"
