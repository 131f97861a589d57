"""How fast are clips read from the store, against reading the original with PyAV, decord and torchcodec?

Two clips a video: 8 frames spread over it, and 32 frames, every second of a stretch in the middle. Everything
runs on one core, in turn, and each time is how long the core is busy with it, the median of the repeats. A
library that is not installed is left out and named. The others read the original and do not scale it.

    python benchmarks/reading.py --repeats 7
    python benchmarks/reading.py --videos path/to/videos
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
from natural_videos import videos

from retrace.data.decode import decode
from retrace.data.extract import extract
from retrace.plan.video import H264, Mjpeg, Store

Reader = Callable[[Path, Sequence[int]], np.ndarray]


def by_pyav(path: Path, indices: Sequence[int]) -> np.ndarray:
    """Decode from the start, as is exact, and convert what is wanted."""
    wanted, clip = set(indices), []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for index, frame in enumerate(container.decode(stream)):
            if index in wanted:
                clip.append(frame.to_ndarray(format="rgb24"))
            if len(clip) == len(wanted):
                break
    return np.stack(clip)


def by_decord(path: Path, indices: Sequence[int]) -> np.ndarray:
    """decord's own random access."""
    import decord

    return decord.VideoReader(str(path), num_threads=1).get_batch(list(indices)).asnumpy()


def by_torchcodec(path: Path, indices: Sequence[int], mode: str = "exact") -> np.ndarray:
    """torchcodec with a scan of the file first, which makes its indices exact."""
    from torchcodec.decoders import VideoDecoder

    reader = VideoDecoder(str(path), dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode=mode)
    return reader.get_frames_at(list(indices)).data.numpy()


def by_torchcodec_without_scan(path: Path, indices: Sequence[int]) -> np.ndarray:
    """torchcodec's quicker mode, which guesses by the frame rate."""
    return by_torchcodec(path, indices, "approximate")


def works(name: str, reader: Reader, path: Path) -> bool:
    """Say why a library is left out."""
    try:
        reader(path, [0])
    except (ImportError, OSError, RuntimeError) as error:
        print(f"left out: {name} ({str(error).strip().splitlines()[0]})")
        return False
    return True


def clips(frames: int) -> dict[str, list[int]]:
    """Return the indices of the two clips."""
    dense = min(32, frames // 2)
    return {
        "8 uniform": [int((2 * i + 1) * frames / 16) for i in range(8)],
        f"{dense} dense": [frames // 2 - dense + 2 * i for i in range(dense)],
    }


def medians(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the median seconds of each run; they take turns, and the first round does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats + 1):
        for name, run in runs.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    return {name: statistics.median(times[1:]) for name, times in seconds.items()}


def main() -> None:
    """Parse the command line, store, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=Path, help="a folder of videos; default: generated ones")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--preset", default="ultrafast")
    parser.add_argument("--crf", type=int, default=25)
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    h264 = H264(name="h264", crf=args.crf, preset=args.preset, keyframe_interval=12)
    stores = {"h264": h264, "mjpeg": Mjpeg(name="mjpeg", qscale=2)}
    others = {
        "PyAV": by_pyav,
        "decord": by_decord,
        "torchcodec": by_torchcodec,
        "torchcodec, no scan": by_torchcodec_without_scan,
    }
    totals: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        sources = videos(args.videos, Path(folder))
        others = {name: reader for name, reader in others.items() if works(name, reader, sources[0])}
        for source in sources:
            stored = {name: Path(folder) / f"stored-{name}.mp4" for name in stores}
            for name, codec in stores.items():
                frames = extract(source, stored[name], Store(short_side=256, codec=codec), 25).frames
            for clip, indices in clips(frames).items():
                runs = {
                    f"ours, {name}": lambda p=path, i=indices: decode(p, i) for name, path in stored.items()
                }
                runs |= {
                    name: lambda read=reader, i=indices, p=source: read(p, i)
                    for name, reader in others.items()
                }
                report(f"{source.name}, {clip}", seconds := medians(runs, args.repeats))
                kind = clip.split()[1]
                sums = totals.setdefault(kind, dict.fromkeys(runs, 0.0))
                totals[kind] = {name: sums[name] + seconds[name] for name in runs}
    for kind, seconds in totals.items():
        report(f"all, {kind}", seconds)


def report(title: str, seconds: dict[str, float]) -> None:
    """Print the milliseconds of each way, and how far ahead of the best of the others ours is."""
    ours = seconds["ours, h264"]
    best = min((name for name in seconds if not name.startswith("ours")), key=seconds.__getitem__)
    times = ", ".join(f"{name} {1000 * value:.1f}" for name, value in seconds.items())
    print(f"{title:36} {seconds[best] / ours:5.2f} x the best other ({best}) | ms: {times}")


if __name__ == "__main__":
    main()
