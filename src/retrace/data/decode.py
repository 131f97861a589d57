"""The one function that decodes: any frames of any source, by their place in the order of presentation."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from retrace.data.source import BrokenVideo, Turn, explained, frames_of, numbered, opened, pictures, turn
from retrace.errors import UserError

# Begins the comment of the files that `extract` writes, and of no others: frame i is shown at tick i, and
# depends on nothing after it and on nothing before the last key frame. The frames a second follow.
STORED = "retrace frames 1, fps "


def decode(path: Path, frame_indices: Sequence[int]) -> np.ndarray:
    """Return the frames with these indices as uint8 RGB of shape (T, height, width, 3), upright.

    `path` is a video file or a folder of JPEGs. Indices count from 0 in the order of presentation, come in
    any order and may repeat. In a stored file only what lies between the nearest key frame and the wanted
    frame is decoded; any other file is decoded from its start, because only that is exact.

    Raises UserError for an index that the source does not have, BrokenVideo for a damaged source.
    """
    wanted = sorted({int(index) for index in frame_indices})
    if not wanted:
        raise UserError(f"{path}: no frame was asked for")
    if wanted[0] < 0:
        raise UserError(f"{path}: frame {wanted[0]} was asked for, frames count from 0")
    reformatter = VideoReformatter()
    picked = {
        index: _rgb(frame, reformatter) for index, frame in zip(wanted, _picked(path, wanted), strict=True)
    }
    if len({picture.shape for picture in picked.values()}) > 1:
        raise BrokenVideo(path, "its frames are not all of one size")
    return np.stack([picked[int(index)] for index in frame_indices])


def is_stored(container: InputContainer, stream: VideoStream) -> bool:
    """Is this a file as `extract` writes them, with the timing it had when it was written?"""
    if not container.metadata.get("comment", "").startswith(STORED):
        return False
    entries = stream.index_entries
    count = len(entries)
    if not count or count != stream.frames:
        return False
    return entries[0].timestamp == 0 == entries[-1].timestamp % max(count - 1, 1)


def _picked(path: Path, wanted: list[int]) -> Iterator[VideoFrame]:
    if path.is_dir():
        files = numbered(path)
        _check(path, wanted, len(files))
        yield from pictures(path, [files[index] for index in wanted])
        return
    with opened(path) as (container, stream):
        if is_stored(container, stream):
            _check(path, wanted, stream.frames)
            yield from _from_key_frames(path, container, stream, wanted)
        else:
            yield from _from_the_start(path, frames_of(path, container, stream), wanted)


def _from_the_start(path: Path, frames: Iterator[VideoFrame], wanted: list[int]) -> Iterator[VideoFrame]:
    left, count = set(wanted), 0
    for count, frame in enumerate(frames, 1):
        if count - 1 in left:
            left.remove(count - 1)
            yield frame
        if not left:
            return
    _check(path, wanted, count)


def _from_key_frames(
    path: Path, container: InputContainer, stream: VideoStream, wanted: list[int]
) -> Iterator[VideoFrame]:
    entries = stream.index_entries
    tick = entries[-1].timestamp // (len(entries) - 1) if len(entries) > 1 else 1
    frames, at = container.decode(stream), -1
    for index in wanted:
        key = entries.search_timestamp(index * tick)
        with explained(path, f"frame {index} cannot be decoded"):
            if key > at + 1:
                container.seek(key * tick, stream=stream)
                frames = container.decode(stream)
            for frame in frames:
                at = frame.pts // tick
                if frame.is_corrupt:
                    raise BrokenVideo(path, f"frame {at} is damaged")
                if at >= index:
                    break
        if at != index:
            raise BrokenVideo(path, f"frame {index} is missing")
        yield frame


def _check(path: Path, wanted: list[int], count: int) -> None:
    if wanted[-1] >= count:
        raise UserError(f"{path}: frame {wanted[-1]} was asked for, it has {count} (0 to {count - 1})")


def _rgb(frame: VideoFrame, reformatter: VideoReformatter) -> np.ndarray:
    if frame.interlaced_frame:
        frame = _woven(frame)
    plane = reformatter.reformat(
        frame, format="rgb24", interpolation=Interpolation.BICUBIC, threads=1
    ).planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(frame.height, plane.line_size)
    return _upright(rows[:, : 3 * frame.width].reshape(frame.height, frame.width, 3), turn(frame))


def _woven(frame: VideoFrame) -> VideoFrame:
    """Take the two fields for one picture, as `extract` does; the reformatter would blend colours in each."""
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    graph.link_nodes(source, graph.add("setfield", "prog"), graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()


def _upright(picture_HWC: np.ndarray, how: Turn) -> np.ndarray:
    if how.transpose:
        picture_HWC = picture_HWC.swapaxes(0, 1)
    return picture_HWC[:: -1 if how.mirror_y else 1, :: -1 if how.mirror_x else 1]
