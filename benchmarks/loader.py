"""How many training clips a second does one core load, against the practice of Deep Analysis?

Ours: 8 uniform frames from the store, TSN's multi-scale crop to 224, a flip, uint8. Theirs, on the same
frames: one JPEG a frame, opened, cropped and resized with Pillow, stacked. Both leave the rest to the
device. They take turns, epoch by epoch, on one core; core-seconds, medians of the repeats.

A last figure loads with a worker process while this one pretends to train: how long did it wait?

    python benchmarks/loader.py --repeats 7
    python benchmarks/loader.py --videos path/to/videos
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from natural_videos import FFMPEG, videos
from PIL import Image

from retrace.data.extract import extract
from retrace.data.loader import Loader, Train, Videos
from retrace.data.sampling import train_indices
from retrace.data.shards import SCHEMA, write_rows
from retrace.data.transforms import multi_scale_places, multi_scale_sizes
from retrace.plan.clip import TrainClip
from retrace.plan.video import H264, Codec, Mjpeg, Store

CODECS = {
    "h264": H264(name="h264", crf=25, preset="ultrafast", keyframe_interval=12),
    "mjpeg": Mjpeg(name="mjpeg", qscale=2),
}
SCALES = (1, 0.875, 0.75, 0.66)
CLIP = TrainClip.model_validate(
    {
        "side": 224,
        "filter": "bilinear",
        "antialias": True,
        "colour": "rgb",
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        "sampling": {"kind": "uniform", "frames": 8},
        "resize": None,
        "crop": {"kind": "multi-scale", "scales": SCALES},
        "flip": {"probability": 0.5, "rule": "always"},
        "brightness": 0,
    }
)
STEP_S = 0.05
"""How long the pretended trainer works on a clip of its own."""


def stored(sources: list[Path], folder: Path, codec: Codec) -> Videos:
    """Extract the videos and return them as the loader knows them."""
    rows = []
    for source in sources:
        found = extract(source, folder / f"{source.name}.mp4", Store(short_side=256, codec=codec), 25)
        row = dict.fromkeys(SCHEMA.names) | {"id": source.name, "split": "train", "label": 0, "class": "any"}
        rows.append(row | found._asdict() | {"file": f"{source.name}.mp4"})
    write_rows(folder / "videos.parquet", rows)
    return Videos(folder, "train", folder)


def jpegs(sources: list[Path], folder: Path) -> list[Path]:
    """Write every frame as the authors do."""
    for source in sources:
        (folder / source.name).mkdir(parents=True)
        scale = ["-vf", "scale='if(gt(iw,ih),-1,256)':'if(gt(iw,ih),256,-1)'", "-fps_mode", "passthrough"]
        subprocess.run(
            [*FFMPEG, "-i", str(source), *scale, "-q:v", "2", str(folder / source.name / "%05d.jpg")],
            check=True,
        )
    return [folder / source.name for source in sources]


def by_pillow(folder: Path, frames: int, rng: np.random.Generator) -> torch.Tensor:
    """Return one training clip from JPEG files, TCHW uint8."""
    pictures = [
        Image.open(folder / f"{index + 1:05d}.jpg").convert("RGB")
        for index in train_indices(CLIP.sampling, frames, 25.0, rng)
    ]
    width, height = pictures[0].size
    sizes = multi_scale_sizes(height, width, SCALES, 224)
    crop_height, crop_width = sizes[rng.integers(len(sizes))]
    places = multi_scale_places(height, width, crop_height, crop_width)
    top, left = places[rng.integers(len(places))]
    box = (left, top, left + crop_width, top + crop_height)
    pictures = [picture.crop(box).resize((224, 224), Image.Resampling.BILINEAR) for picture in pictures]
    if rng.random() < 0.5:
        pictures = [picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for picture in pictures]
    return torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures])).permute(0, 3, 1, 2)


def clips_per_second(runs: dict[str, Callable[[int], int]], repeats: int) -> dict[str, float]:
    """Return the median clips of a core-second; the runs take turns, and the first round does not count."""
    speeds: dict[str, list[float]] = {name: [] for name in runs}
    for epoch in range(repeats + 1):
        for name, run in runs.items():
            start = time.process_time()
            clips = run(epoch)
            speeds[name].append(clips / (time.process_time() - start))
    return {name: statistics.median(found[1:]) for name, found in speeds.items()}


def waiting(train: Train, batches: list[np.ndarray]) -> float:
    """Return the share of its time that a trainer waits which takes STEP_S a clip, with one worker."""
    loader = Loader(train, 1)
    for batch in loader.epoch(batches):
        time.sleep(STEP_S * len(batch.x))
    return loader.waiting_share()


def main() -> None:
    """Parse the command line, store, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=Path, help="a folder of videos; default: generated ones")
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(1)
    cores = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        sources = videos(args.videos, scratch)
        ours = {name: stored(sources, scratch / name, codec) for name, codec in CODECS.items()}
        theirs, frames = jpegs(sources, scratch / "jpegs"), ours["h264"].n_frames_N
        trains = {name: Train(found, CLIP, (0,), seed=1) for name, found in ours.items()}
        batches = np.array_split(np.tile(np.arange(len(sources)), 8), 4)

        def load(name: str, epoch: int) -> int:
            return sum(len(batch.x) for batch in Loader(trains[name], 0).epoch(batches, epoch))

        def open_jpegs(epoch: int) -> int:
            indices = np.concatenate(batches)
            for index in indices:
                rng = np.random.default_rng([1, epoch, int(index)])
                by_pillow(theirs[index], int(frames[index]), rng)
            return len(indices)

        os.sched_setaffinity(0, {max(cores)})
        runs = {f"ours, {name}": partial(load, name) for name in ours} | {"JPEG practice": open_jpegs}
        speed = clips_per_second(runs, args.repeats)
        os.sched_setaffinity(0, cores)
        share = waiting(trains["h264"], batches)
    for name, found in speed.items():
        ratio = found / speed["JPEG practice"]
        print(f"{name:14} {found:7.1f} clips of 8 frames a core-second, {ratio:.2f} of the JPEG practice")
    print(f"at {1000 * STEP_S:.0f} ms a clip the trainer waits {100 * share:.1f} % of its time (one worker)")


if __name__ == "__main__":
    main()
