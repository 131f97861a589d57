"""Bring the frames of a source to one size and store them in one file, from which any frame is near.

The authors of Deep Analysis write every frame as a JPEG with the short side at 256
(`ffmpeg -vf scale=-1:256 -q:v 0`, their data pipeline). Here the same scaling goes into one video file.
"""

from collections.abc import Iterable
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import av
from av.container import OutputContainer
from av.filter import Graph
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from retrace.data.decode import STORED, is_stored
from retrace.data.source import BrokenVideo, Turn, opened, read, turn
from retrace.files import atomic
from retrace.plan.video import H264, Codec, Mjpeg, Store

ENCODERS = {"h264": "libx264", "mjpeg": "mjpeg"}
PIXELS = {"h264": "yuv420p", "mjpeg": "yuvj420p"}
LONGEST_SIDE = 16384  # what H.264 encoders take
LAMBDA = 118  # FFmpeg's FF_QP2LAMBDA
TICK = Fraction(1, 1000)


class Extracted(NamedTuple):
    """What is stored of a video. `width` and `height` are upright, `fps` is the mean rate of the source."""

    frames: int
    fps: float
    width: int
    height: int
    bytes: int


def extract(source: Path, target: Path, store: Store, fps: float) -> Extracted:
    """Store every frame of `source`, a video file or a folder of JPEGs, as the one file `target`.

    The short side becomes `store.short_side`; the long side follows with the aspect of the pixels kept and
    is rounded to the nearest even number, as FFmpeg's `scale=-2:256` does (340x240 becomes 362x256). Frame
    i is shown at tick i of a clock with `fps` ticks a second. The `fps` returned is the mean rate by the
    source's time stamps, or the `fps` given where it has none.

    The file is there wholly or not at all, and the same source gives the same bytes.

    Raises BrokenVideo for a source that does not give all its frames, see `retrace.data.source.read`.
    """
    frames = read(source)
    first = next(frames)  # what is no video at all fails before anything is written
    how = turn(first)
    upright = (first.height, first.width) if how.transpose else (first.width, first.height)
    width, height = _scaled(*upright, store.short_side)
    if max(width, height) > LONGEST_SIDE:
        raise BrokenVideo(source, f"would be stored as {width}x{height}, with a side over {LONGEST_SIDE}")
    with atomic(target) as temporary:
        graph = _scaler(first, how, width, height, store.codec)
        count = _write(temporary, chain([first], frames), graph, store.codec, fps)
        _check_written(source, temporary, count)
    return facts(target)


def facts(stored: Path) -> Extracted:
    """Return what a stored file tells of itself, without decoding it. Raises BrokenVideo if it is none."""
    with opened(stored) as (container, stream):
        if not is_stored(container, stream):
            raise BrokenVideo(stored, "is not as `retrace extract` wrote it; delete it and make it again")
        rate = float(container.metadata["comment"].removeprefix(STORED))
        return Extracted(stream.frames, rate, stream.width, stream.height, stored.stat().st_size)


def _scaled(width: int, height: int, short_side: int) -> tuple[int, int]:
    short, long = sorted((width, height))
    long_side = 2 * ((long * short_side + short) // (2 * short))  # half of it rounded, then doubled
    return (long_side, short_side) if width > height else (short_side, long_side)


def _scaler(first: VideoFrame, how: Turn, width: int, height: int, codec: Codec) -> Graph:
    """Return FFmpeg's filters that turn frames like `first` upright and scale them, bicubic."""
    graph = Graph()
    graph.threads = 1
    nodes = [graph.add_buffer(width=first.width, height=first.height, format=first.format, time_base=TICK)]
    if how.transpose:
        nodes.append(graph.add("transpose", "cclock_flip"))
    nodes += [graph.add(mirror) for mirror in ("hflip",) * how.mirror_x + ("vflip",) * how.mirror_y]
    # JPEG is full range and BT.601 by definition, video is neither by custom
    colours = "out_range=tv" if isinstance(codec, H264) else "out_range=pc:out_color_matrix=bt601"
    nodes.append(graph.add("scale", f"{width}:{height}:flags=bicubic:{colours}"))
    nodes.append(graph.add("format", PIXELS[codec.name]))
    nodes.append(graph.add("buffersink"))
    graph.link_nodes(*nodes).configure()
    return graph


def _write(path: Path, frames: Iterable[VideoFrame], graph: Graph, codec: Codec, fps: float) -> int:
    """Write the scaled frames to `path` and return how many they are.

    The packets wait until the last frame is seen: the head of the file tells the mean rate of all.
    """
    tick = 1 / Fraction(fps).limit_denominator(1001)
    stream = first = frame = None
    packets: list[Packet] = []
    with av.open(f"file:{path}", "w", format="mp4", container_options={"fflags": "+bitexact"}) as container:
        for count, frame in enumerate(frames):
            first = first or frame
            graph.vpush(frame)
            small = graph.vpull()
            stream = stream or _stream(container, small, codec, tick)
            small.pts, small.time_base, small.pict_type = count, tick, PictureType.NONE
            packets += stream.encode(small)
        container.metadata["comment"] = f"{STORED}{_mean_rate(first, frame, count) or fps!r}"
        container.mux(packets + stream.encode(None))
    return count + 1


def _mean_rate(first: VideoFrame, last: VideoFrame, count: int) -> float | None:
    """Return the frames a second between the time stamps of two frames, `count` frames apart."""
    if None in (first.pts, last.pts, last.time_base) or last.pts <= first.pts:
        return None
    return float(count / ((last.pts - first.pts) * last.time_base))


def _stream(container: OutputContainer, like: VideoFrame, codec: Codec, tick: Fraction) -> VideoStream:
    stream = container.add_stream(ENCODERS[codec.name], rate=1 / tick, options=_options(codec))
    stream.width, stream.height, stream.pix_fmt = like.width, like.height, like.format.name
    context = stream.codec_context
    context.time_base = tick
    context.thread_count = 1  # the bytes depend on the number of threads
    context.color_range, context.colorspace = like.color_range, like.colorspace
    context.color_primaries, context.color_trc = like.color_primaries, like.color_trc
    if isinstance(codec, Mjpeg):
        context.qscale = True
        context.global_quality = codec.qscale * LAMBDA
    return stream


def _options(codec: Codec) -> dict[str, str]:
    if isinstance(codec, Mjpeg):
        return {"qmin": str(codec.qscale), "qmax": str(codec.qscale)}
    every = codec.keyframe_interval
    return {
        "crf": str(codec.crf),
        "preset": codec.preset,
        "tune": "fastdecode",  # neither CABAC nor deblocking: twice the frames a second when read
        # qcomp=1 without aq: one quantiser for all that moves and all that rests, so no video is worse off
        "x264-params": f"keyint={every}:min-keyint={every}:scenecut=0:bframes=0:qcomp=1:aq-mode=0:mbtree=0",
        "a53cc": "0",  # no captions
    }


def _check_written(source: Path, path: Path, count: int) -> None:
    with opened(path) as (container, stream):
        packets = sum(packet.size > 0 for packet in container.demux(stream))
        if packets != count or not is_stored(container, stream):
            raise BrokenVideo(source, f"{count} frames were decoded, {packets} were written")
