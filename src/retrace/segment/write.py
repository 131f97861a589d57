"""Composed frames as a video, encoded as the authors' are."""

from fractions import Fraction
from pathlib import Path

import av
from torch import Tensor

from retrace.files import atomic

CODEC, PIXELS = "mpeg4", "yuv420p"


def write_video(path: Path, x_TCHW: Tensor, fps: Fraction, bit_rate: int) -> None:
    """Write uint8 RGB frames as MPEG-4 (authors' code), with a side of any parity; atomic.

    One thread and no time stamps: the same frames make the same bytes.
    """
    frames_THWC = x_TCHW.permute(0, 2, 3, 1).contiguous().numpy()
    with atomic(path) as temporary, av.open(temporary, "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(CODEC, rate=fps)
        stream.height, stream.width = frames_THWC.shape[1:3]
        stream.pix_fmt, stream.bit_rate = PIXELS, bit_rate
        stream.codec_context.thread_count = 1
        for frame_HWC in frames_THWC:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame_HWC, format="rgb24")))
        container.mux(stream.encode())
