"""How fast are videos brought to the store, against the ffmpeg command line and the JPEG practice?

Everything runs on one core, in turn. Times are what the core is busy with it (user and system, the other
processes' included, so that neighbours on the machine do not count), the median of the repeats:

- `ours`: `retrace.data.extract`, all its checks included;
- `same work`: one ffmpeg process, the same scaling, encoder and options (it does not check anything);
- `JPEGs`: the practice of the Deep Analysis authors, one ffmpeg process that writes a JPEG a frame;
- `decode`, `scale`, `encode`: the three parts of our work, each by itself.

    python benchmarks/extraction.py --repeats 5
    python benchmarks/extraction.py --videos path/to/videos
"""

import argparse
import os
import resource
import statistics
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from av.video.frame import VideoFrame
from natural_videos import FFMPEG, videos

from retrace.data import extract as extraction
from retrace.data.source import read, turn
from retrace.plan.video import H264, Mjpeg, Store

RATE = 25
SCALE = "scale='if(gt(iw,ih),{even},256)':'if(gt(iw,ih),256,{even})'"


def command_lines(source: Path, scratch: Path, codec: H264) -> dict[str, list[str]]:
    """Return what a user would type: the same work, and the JPEGs of the authors."""
    options = [part for name, value in extraction._options(codec).items() for part in (f"-{name}", value)]
    begin = [*FFMPEG, "-threads", "1", "-i", str(source), "-an", "-fps_mode", "passthrough"]
    same = ["-vf", SCALE.format(even=-2), "-c:v", "libx264", "-pix_fmt", "yuv420p", "-threads", "1", *options]
    jpeg = ["-vf", SCALE.format(even=-1), "-q:v", "0", "-threads", "1"]
    return {
        "same work": [*begin, *same, str(scratch / "same.mp4")],
        "JPEGs": [*begin, *jpeg, str(scratch / "jpegs" / "%05d.jpg")],
    }


def parts(source: Path, scratch: Path, store: Store) -> dict[str, Callable[[], object]]:
    """Return our work cut in three."""
    frames = list(read(source))
    how = turn(frames[0])
    size = (frames[0].height, frames[0].width) if how.transpose else (frames[0].width, frames[0].height)
    width, height = extraction._scaled(*size, store.short_side)

    def scaled() -> Iterator[VideoFrame]:
        graph = extraction._scaler(frames[0], how, width, height, store.codec)
        for frame in frames:
            graph.vpush(frame)
            yield graph.vpull()

    small = list(scaled())

    class Through:
        """A graph that hands on what it is given."""

        def vpush(self, frame: object) -> None:
            self.frame = frame

        def vpull(self) -> object:
            return self.frame

    return {
        "decode": lambda: deque(read(source), maxlen=0),
        "scale": lambda: deque(scaled(), maxlen=0),
        "encode": lambda: extraction._write(scratch / "part.mp4", small, Through(), store.codec, RATE),
    }


def core_seconds() -> float:
    """Return the seconds that this process and those it waited for kept a core busy."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def measure(
    source: Path, scratch: Path, store: Store, repeats: int
) -> tuple[dict[str, float], dict[str, int]]:
    """Return the median seconds of every way, and the bytes it makes."""
    target, pages = scratch / "ours.mp4", scratch / "jpegs"
    ways: dict[str, Callable[[], object]] = {
        "ours": lambda: extraction.extract(source, target, store, RATE),
        **{
            name: lambda command=command: subprocess.run(command, check=True)
            for name, command in command_lines(source, scratch, store.codec).items()
        },
        **parts(source, scratch, store),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    pages.mkdir(exist_ok=True)
    for _ in range(repeats + 1):
        for file in pages.iterdir():
            file.unlink()
        for name, way in ways.items():
            start = core_seconds()
            way()
            seconds[name].append(core_seconds() - start)
    as_jpeg = store.model_copy(update={"codec": Mjpeg(name="mjpeg", qscale=2)})
    sizes = {
        "h264": target.stat().st_size,
        "mjpeg": extraction.extract(source, target, as_jpeg, RATE).bytes,
        "JPEGs": sum(file.stat().st_size for file in pages.iterdir()),
        "frames": len(list(pages.iterdir())),
    }
    return {name: statistics.median(times[1:]) for name, times in seconds.items()}, sizes


def report(name: str, seconds: dict[str, float], frames: int) -> None:
    """Print one line."""
    ours = seconds["ours"]
    shares = " ".join(f"{part} {seconds[part] / ours:4.0%}" for part in ("decode", "scale", "encode"))
    print(
        f"{name:24} {frames / ours:6.0f} frames/s | same work / ours {seconds['same work'] / ours:5.2f} | "
        f"JPEGs / ours {seconds['JPEGs'] / ours:5.2f} | of ours: {shares} | with an encoder for nothing, "
        f"JPEGs / ours {seconds['JPEGs'] / (ours - seconds['encode']):5.2f}"
    )


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=Path, help="a folder of videos; default: generated ones")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--preset", default="ultrafast")
    parser.add_argument("--crf", type=int, default=25)
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    codec = H264(name="h264", crf=args.crf, preset=args.preset, keyframe_interval=12)
    store = Store(short_side=256, codec=codec)
    total: dict[str, float] = {}
    everything: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        sources = videos(args.videos, Path(folder))
        for source in sources:
            seconds, sizes = measure(source, Path(folder), store, args.repeats)
            report(source.name, seconds, sizes["frames"])
            total = {name: total.get(name, 0) + value for name, value in seconds.items()}
            everything = {name: everything.get(name, 0) + value for name, value in sizes.items()}
    report("all", total, everything["frames"])
    limit = max(("decode", "scale", "encode"), key=lambda part: total[part])
    print(f"the limit is: {limit}, {everything['frames'] / total[limit]:.0f} frames/s by itself")
    for name in ("h264", "mjpeg", "JPEGs"):
        print(f"{name:6} {everything[name] / len(sources) / 1e6:6.2f} MB a video")


if __name__ == "__main__":
    main()
