"""Every frame of a video or of a folder of JPEGs, in the order of presentation, or the reason why not.

Frames are the decoder's own, not yet upright: `Turn` says how they are held. Nothing is lost silently: what
a container promises, what its packets carry and what the decoder returns must agree.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.codec.context import CodecContext
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from retrace.data.matroska import blocks
from retrace.errors import UserError

# A file says what it is by its content, and some formats (playlists, scripts) name other files to be read.
CONTAINERS = "mov,matroska,avi,flv,asf,mpeg,mpegts,ogg"
MAX_PIXELS = 1 << 26  # 8192 x 8192; a damaged header may claim far more than there is memory
ONE_FRAME_A_PACKET = {"h264", "hevc", "vp9", "av1", "mjpeg"}  # others hide or repeat pictures at will
JPEG_END, WITHIN = b"\xff\xd9", 64  # the mark stands in the last bytes; padding may follow


class BrokenVideo(UserError):
    """A source that does not give every frame it promises. The message is its path and a reason."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.reason = reason


class Turn(NamedTuple):
    """How to bring a frame upright: swap its axes first, then mirror what is left."""

    transpose: bool
    mirror_x: bool
    mirror_y: bool


def read(path: Path) -> Iterator[VideoFrame]:
    """Yield every frame of a video file, or of a folder of JPEGs named by number, in order of presentation.

    Raises BrokenVideo where a file is damaged or cut off, holds no frame, or changes its frame size, and
    where a number is missing from a folder.
    """
    frames = pictures(path, numbered(path)) if path.is_dir() else _read_file(path)
    look, count = None, 0
    for count, frame in enumerate(frames, 1):
        now = (frame.width, frame.height, frame.format.name)
        if look not in (None, now):
            before, after = ("{}x{} {}".format(*values) for values in (look, now))
            raise BrokenVideo(path, f"changes from {before} to {after} at frame {count - 1}")
        look = now
        yield frame
    if not count:
        raise BrokenVideo(path, "holds no frame")


def turn(frame: VideoFrame) -> Turn:
    """Return how a frame's display matrix asks it to be held. Only quarter turns and mirrors are known."""
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV trips over a kind it does not know, such as a JPEG's EXIF, but knows the angle
        angle = math.radians(frame.rotation)
        a, c = math.cos(angle), math.sin(angle)
        b, d = -c, a
    else:
        # x' = a x + c y, y' = b x + d y in fixed point, y downwards (ISO/IEC 14496-12, 6.2.2)
        a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist() if matrix else (1, 0, 0, 0, 1)
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Turn(True, c < 0, b < 0)
    return Turn(False, a < 0, d < 0)


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video file and its first stream of moving pictures for decoding on the calling thread."""
    if not path.is_file():  # a pipe or a device would never end
        raise BrokenVideo(path, "is not a file" if path.exists() else "does not exist")
    with explained(path, "cannot be opened as a video"):
        container = av.open(
            f"file:{path}",
            options={"threads": "1", "max_pixels": str(MAX_PIXELS)},
            container_options={"format_whitelist": CONTAINERS, "protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    with container:
        cover = av.stream.Disposition.attached_pic
        stream = next((one for one in container.streams.video if not one.disposition & cover), None)
        if stream is None:
            raise BrokenVideo(path, "holds no video, only sound or other data")
        if stream.codec_context is None:
            raise BrokenVideo(path, "is in a codec that cannot be decoded")
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        yield container, stream


def numbered(folder: Path) -> list[Path]:
    """Return the JPEGs of a folder in the order of the numbers they are named by, which begin at 0 or 1."""
    by_number = {}
    for file in folder.iterdir():
        if file.suffix.lower() in (".jpg", ".jpeg") and not file.name.startswith("."):
            if not (file.stem.isascii() and file.stem.isdecimal()):
                raise BrokenVideo(folder, f"{file.name} is not named by a number, like 00001.jpg")
            by_number[int(file.stem)] = file
    if not by_number:
        raise BrokenVideo(folder, "is a folder without JPEGs")
    first = 0 if 0 in by_number else 1
    for number in range(first, first + len(by_number)):
        if number not in by_number:
            raise BrokenVideo(folder, f"frame number {number} is missing, {max(by_number)} is there")
    return [by_number[number] for number in sorted(by_number)]


def pictures(folder: Path, files: list[Path]) -> Iterator[VideoFrame]:
    """Decode JPEGs, each by itself. Raises BrokenVideo with the name of a damaged one."""
    decoder = CodecContext.create("mjpeg", "r")
    decoder.thread_count = 1
    decoder.options = {"err_detect": "explode", "max_pixels": str(MAX_PIXELS)}
    for file in files:
        with explained(folder, f"{file.name} cannot be decoded"):
            data = file.read_bytes()
            frames = decoder.decode(av.Packet(data))
        # the decoder fills up what was cut off, so look for the end mark
        if len(frames) != 1 or frames[0].is_corrupt or JPEG_END not in data[-WITHIN:]:
            raise BrokenVideo(folder, f"{file.name} is damaged or cut off")
        yield frames[0]


def _read_file(path: Path) -> Iterator[VideoFrame]:
    with opened(path) as (container, stream):
        yield from frames_of(path, container, stream)


def frames_of(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Yield all frames of a stream just opened, and check that none is missing."""
    promised = _promised(path, container, stream)
    shown_at: list[int | None] = []  # for every packet that is to become a frame
    count, begin, last, interlaced = 0, None, -1, False
    avi = container.format.name == "avi"  # there a time stamp is a count of frames, in the order of decoding
    with explained(path, "is damaged"):
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise BrokenVideo(path, f"is damaged or cut off after {count} frames")
            if packet.size:
                promised -= 1
                begin = packet.pts if begin is None else begin
                last = max(last, packet.dts if packet.dts is not None else 0)
                shown_at += [] if packet.is_discard else [packet.pts]
            for frame in packet.decode():
                if frame.is_corrupt:
                    raise BrokenVideo(path, f"frame {count} is damaged")
                if avi:
                    frame.pts = count
                count, interlaced = count + 1, interlaced or frame.interlaced_frame
                yield frame
    if avi:
        promised = stream.frames - 1 - last
    if promised > 0:
        raise BrokenVideo(path, f"is damaged or cut off: {promised} frames are missing")
    # What is shown before the first key frame needs what was cut away before it: no player shows that. The
    # two fields of an interlaced frame may come in a packet each.
    due = sum(None not in (begin, pts) and pts >= begin for pts in shown_at)
    if count < due and stream.codec_context.name in ONE_FRAME_A_PACKET and not interlaced:
        raise BrokenVideo(path, f"is damaged: {count} of {due} frames can be decoded")


def _promised(path: Path, container: InputContainer, stream: VideoStream) -> int:
    """Return how many packets with frames a container just opened promises, 0 where it promises none."""
    if "mov" in container.format.name:
        return len(stream.index_entries)
    if "matroska" in container.format.name:
        try:
            tracks = blocks(path)
        except ValueError as error:
            raise BrokenVideo(path, f"is {error}") from error
        return tracks[stream.index] if stream.index < len(tracks) else 0
    return 0


@contextmanager
def explained(path: Path, what: str) -> Iterator[None]:
    """Say in plain words what a library's error is about."""
    try:
        yield
    except (av.FFmpegError, OSError, MemoryError) as error:
        raise BrokenVideo(path, f"{what} ({getattr(error, 'strerror', None) or error})") from error
