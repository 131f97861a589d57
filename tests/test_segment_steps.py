"""From generated videos to S1, S2 and T: what is found decides, what is known only scores it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from PIL import Image

from pages import ROOT
from retrace.data.decode import decode
from retrace.data.prepare import Preparation
from retrace.data.synthetic.videos import divers
from retrace.doctor import examine_data, examine_frames
from retrace.errors import UserError
from retrace.plan.library import Library
from retrace.segment import detections
from retrace.segment.composing import Composing
from retrace.segment.found import Found
from retrace.segment.known import Known
from retrace.segment.steps import Segmenting
from segments import write_frames

DOMAINS = ("divers-s1", "divers-s2", "divers-t")
FRAMES, VIDEOS = 4, 4


def change(root: Path, file: str, **changes: object) -> None:
    path = root / file
    page = yaml.safe_load(path.read_text(encoding="utf-8"))
    for key, value in changes.items():
        page[key] = {**page[key], **value} if isinstance(value, dict) and key in page else value
    path.write_text(yaml.safe_dump(page, sort_keys=False), encoding="utf-8")


def write_pages(root: Path) -> Path:
    """Copy the pages below `root`, and make the generated videos, their segmenter and domains tiny."""
    for folder in ("datasets", "segmenters"):
        shutil.copytree(ROOT / folder, root / folder)
    splits = {"train": {"videos": 6}, "val": {"videos": 2}, "test": {"videos": VIDEOS}}
    generator = {"labelled": 5, "frames": [8, 12], "pairs": 0.5}
    change(root, "datasets/divers.yaml", splits=splits, generator=generator, shards=1)
    change(root, "datasets/divers-masks.yaml", train=4, val=1)
    training = {"epochs": 1, "patience": 1}
    videos = {"frames": FRAMES, "shards": 2}
    change(root, "segmenters/divers.yaml", training=training, videos=videos, model={"score": 0})
    for name in DOMAINS:
        change(root, f"datasets/{name}.yaml", splits={"test": {"videos": VIDEOS}}, shards=2)
    return root


def prepare(library: Library, name: str, share: float = 0.0) -> Preparation:
    steps = Preparation(library, name, {}, share)
    steps.manifest()
    for shard in range(steps.page.shards):
        steps.extract(shard)
    steps.audit()
    return steps


def compose(library: Library, name: str) -> Composing:
    steps = Composing(library, name, {})
    for shard in range(steps.page.shards):
        steps.compose(shard)
    return steps


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Library:
    """The tiny pages, the videos generated and stored, the divers found by a hardly trained network."""
    library = Library(write_pages(tmp_path_factory.mktemp("root") / "root"))
    Preparation(library, "divers", {}, 0).synthesize()
    prepare(library, "divers")
    steps = Segmenting(library, "divers", {})
    steps.tune(None)
    for shard in range(2):
        steps.detect(shard)
    return library


@pytest.fixture
def copied(library, tmp_path) -> Library:
    """The same to spoil, with nothing composed yet."""
    shutil.copytree(library.root, tmp_path / "root", ignore=shutil.ignore_patterns(*DOMAINS))
    return Library(tmp_path / "root")


def jumps(library: Library) -> dict[str, divers.Jump]:
    return Known(library.segmenters.detection("divers").videos)._jumps


def know(library: Library) -> None:
    """Put the known masks in the place of what was found: the nearer diver first."""
    steps = Segmenting(library, "divers", {})
    for video, jump in jumps(library).items():
        path = detections.file_of(steps.detections, {"split": "test", "id": video})
        indices = detections.read(path).frames_T
        detections.write(path, indices, [as_found(masks) for masks in divers.masks(jump)[indices]])


def as_found(masks_NHW: np.ndarray) -> Found:
    masks_NHW = masks_NHW[masks_NHW.any((1, 2))]
    boxes = divers.boxes(masks_NHW).reshape(-1, 4)
    cut = [mask[y0 : y1 + 1, x0 : x1 + 1] for mask, (x0, y0, x1, y1) in zip(masks_NHW, boxes, strict=True)]
    small = [np.asarray(Image.fromarray(mask.astype(np.float32)).resize((28, 28))) for mask in cut]
    masks = torch.from_numpy(np.stack(small)) if small else torch.zeros(0, 28, 28)
    masks = masks.clamp(min=0.01)  # a network is never quite sure
    return Found(torch.from_numpy(boxes).float(), torch.linspace(0.9, 0.8, len(boxes)), masks)


def told(steps: Preparation) -> dict:
    return json.loads((steps.folder / "audit.json").read_text())["composed"]


def test_every_test_video_is_found_and_composed_with_its_class(library):
    source = pq.read_table(Preparation(library, "divers", {}, 0).folder / "videos.parquet").to_pylist()
    expected = {row["id"]: row["label"] for row in source if row["split"] == "test"}
    assert len(expected) == VIDEOS
    for name in DOMAINS:
        compose(library, name)
        steps = prepare(library, name)
        rows = pq.read_table(steps.folder / "videos.parquet").to_pylist()
        assert {row["id"]: row["label"] for row in rows} == expected
        assert {(row["frames"], row["fps"], row["split"]) for row in rows} == {(FRAMES, 5.0, "test")}
        assert (steps.folder / "contact-sheet.png").is_file()
        found = told(steps)
        assert found["frames"] == FRAMES * VIDEOS
        assert 0 <= found["known"]["iou"] <= found["known"]["covered"] <= 1


def test_with_the_known_masks_the_domains_are_what_they_are_called(copied):
    know(copied)
    audits = {}
    for name in DOMAINS:
        compose(copied, name)
        audits[name] = told(prepare(copied, name))
    visible = np.array([divers.masks(jump)[frames].any((1, 2, 3)) for jump, frames in sampled(copied)])
    for audit in audits.values():
        assert audit["known"]["frames_with_diver"] == visible.sum()
        assert audit["known"]["nothing_found"] == 0
        assert audit["nothing_found"] == pytest.approx(1 - visible.mean())
    shape, box, texture = (audits[name]["known"] for name in DOMAINS)
    assert shape["iou"] > 0.8
    assert box["covered"] == texture["covered"] == 1
    assert box["iou"] < 0.7 * shape["iou"]
    check_pictures(copied)


def sampled(library: Library):
    for jump in jumps(library).values():
        yield jump, np.linspace(0, jump.frames - 1, FRAMES).round().astype(int)


def check_pictures(library: Library) -> None:
    """The diver is to be seen in S1 and S2 and not in T; what is far from it in T and not in S1 and S2."""
    on_diver: dict[str, list[np.ndarray]] = {name: [] for name in DOMAINS}
    far_away: dict[str, list[np.ndarray]] = {name: [] for name in DOMAINS}
    for video, (jump, frames) in zip(jumps(library), sampled(library), strict=True):
        masks_THW = divers.masks(jump)[frames].any(1)
        filmed_THWC = divers.render(jump)[frames].astype(int)
        far_THW = np.stack([far_from(mask_HW) for mask_HW in masks_THW])
        for name in DOMAINS:
            path = Composing(library, name, {}).target.originals / f"rgb/{video}_cropped.mp4"
            off_THW = np.abs(decode(path, range(FRAMES)).astype(int) - filmed_THWC).mean(3)
            on_diver[name].append(off_THW[masks_THW])
            far_away[name].append(off_THW[far_THW])
    on, far = (
        {name: np.concatenate(parts).mean() for name, parts in off.items()} for off in (on_diver, far_away)
    )
    assert max(on["divers-s1"], on["divers-s2"]) < 16 < 30 < on["divers-t"]
    assert far["divers-t"] < 6 < 9 < min(far["divers-s1"], far["divers-s2"]), far


def far_from(mask_HW: np.ndarray) -> np.ndarray:
    """Return the pixels outside of the box of a mask and a margin around it."""
    far_HW = np.ones_like(mask_HW)
    if mask_HW.any():
        x0, y0, x1, y1 = divers.boxes(mask_HW)
        far_HW[max(y0 - 6, 0) : y1 + 7, max(x0 - 6, 0) : x1 + 7] = False
    return far_HW


def test_what_is_finished_is_not_made_again(copied):
    steps = Segmenting(copied, "divers", {})
    compose(copied, "divers-t")
    made = [*steps.detections.rglob("*.npz"), *copied.root.glob("results/data/divers-t/*/rgb/*.mp4")]
    assert len(made) == 2 * VIDEOS
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in made}
    lost = made[0], made[-1]
    for path in lost:
        path.unlink()
    reports = {path: path.read_bytes() for path in (*steps.detections.glob("found/*"),)}
    for shard in range(2):
        steps.detect(shard)
    compose(copied, "divers-t")
    for path, (moment, content) in before.items():
        assert path.read_bytes() == content
        assert (path.stat().st_mtime_ns == moment) == (path not in lost)
    assert {path: path.read_bytes() for path in reports} == reports


def test_the_number_of_shards_changes_no_byte(library, tmp_path):
    shutil.copytree(library.root, tmp_path / "root")
    for folder in ("data/divers-t", "data/divers"):
        for path in (tmp_path / "root/results" / folder).glob("detections-*"):
            shutil.rmtree(path)
    change(tmp_path / "root", "segmenters/divers.yaml", videos={"shards": 1})
    other = Segmenting(Library(tmp_path / "root"), "divers", {})
    other.detect(0)
    mine = Segmenting(library, "divers", {}).detections
    assert other.detections.name == mine.name
    for path in mine.rglob("*.npz"):
        assert (other.detections / path.relative_to(mine)).read_bytes() == path.read_bytes()


def test_a_video_that_its_source_has_lost_is_told_as_lost(copied):
    source = Preparation(copied, "divers", {}, 0.5)
    video = next(iter(jumps(copied)))
    (source.originals / f"rgb/{video}.mp4").write_bytes(b"no video")
    shutil.rmtree(source.frames)
    prepare(copied, "divers", share=0.5)
    for shard in range(2):
        Segmenting(copied, "divers", {}).detect(shard)
    compose(copied, "divers-s1")
    with pytest.raises(UserError, match=r"1 of 4 videos are missing or broken"):
        prepare(copied, "divers-s1")
    steps = prepare(copied, "divers-s1", share=0.5)
    audit = json.loads((steps.folder / "audit.json").read_text())
    assert [loss["id"] for loss in audit["lost"]] == [video]
    assert audit["composed"]["frames"] == FRAMES * (VIDEOS - 1)


def test_mistakes_are_told(library):
    with pytest.raises(UserError, match="there is no segmenter 'diver'; did you mean 'divers'"):
        Segmenting(library, "diver", {})
    with pytest.raises(UserError, match=r"there are the shards 0 to 1, not 2"):
        Segmenting(library, "divers", {}).detect(2)
    with pytest.raises(UserError, match=r"datasets/divers.yaml has no entry 'segmented'"):
        Composing(library, "divers", {})
    with pytest.raises(UserError, match=r"does not say where the frames of diving48-masks are"):
        Segmenting(library, "diving48", {}).frames_root()


def test_the_doctor_tells_of_labelled_frames_and_of_what_is_made_here(library, tmp_path):
    said = examine_data(Preparation(library, "diving48-s1", {}, 0))
    assert said.startswith("ok       diving48-s1: made here of diving48-v2, by segmenters/diving48.yaml")
    assert "delete `segmented` from datasets/diving48-s1.yaml" in said
    assert "generated with the videos of divers" in examine_frames(library, "divers-masks", {})
    said = examine_frames(library, "diving48-masks", {})
    assert said.startswith("missing  config.yaml: data: does not say where the frames of diving48-masks are")
    assert "doi:10.7910/DVN/OXKE6E" in said and "images/" in said and "masks/" in said
    there = write_frames(tmp_path / "frames")
    said = examine_frames(library, "diving48-masks", {"diving48-masks": str(there)})
    assert (
        said.startswith("missing  ") and "there are 9 labelled frames" in said and "290 to train on" in said
    )
    change(library.root, "datasets/diving48-masks.yaml", train=6, val=3)
    said = examine_frames(Library(library.root), "diving48-masks", {"diving48-masks": str(there)})
    assert said == f"ok       folder: {there}, 9 frames with 12 divers"
