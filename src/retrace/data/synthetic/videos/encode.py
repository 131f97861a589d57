"""Videos as files, in the codecs of the publishers whose formats they take."""

from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from retrace.files import atomic


class Encoder(NamedTuple):
    """A codec, and its options."""

    codec: str
    options: dict[str, str]


ENCODERS = {
    ".webm": Encoder(
        "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "crf": "20", "b": "0", "g": "48"}
    ),
    ".mp4": Encoder("libx264", {"preset": "veryfast", "crf": "18", "bf": "3", "g": "48", "mbtree": "0"}),
}
"""By suffix. B-frames and distant key frames are what the publishers' files have, so ours have them too.

With B-frames, x264's tree of macroblocks depends on memory it has not set: the same frames made other bytes
in up to two calls of three. Without it they made the same in all of 600.
"""


def write_video(path: Path, video_THWC: np.ndarray, fps: int) -> None:
    """Write uint8 RGB frames with even sides to `path`, whose suffix is one of ENCODERS; atomic.

    One thread and no time stamps: the same frames make the same bytes.
    """
    encoder = ENCODERS[path.suffix]
    with atomic(path) as temporary, av.open(temporary, "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(encoder.codec, rate=fps, options=encoder.options)
        stream.height, stream.width = video_THWC.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for frame_HWC in video_THWC:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame_HWC, format="rgb24")))
        container.mux(stream.encode())
