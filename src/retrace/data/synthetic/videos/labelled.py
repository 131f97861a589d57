"""Frames with masks as the authors of "Recur, Attend or Convolve?" drew them by hand (supplement, D).

images/<video>_<sample>.jpg and masks/<video>_<sample>_mask.png match by their sorted names. A mask is an RGB
picture: black is background, each other colour one diver. The sample counts the frames of an even choice.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from retrace.data.synthetic.videos import divers
from retrace.files import atomic

FOLDER = "frames-with-masks"

COLOURS = np.array([[40, 90, 200], [90, 200, 60]], np.uint8)
"""Of the nearer diver and the further one; in this order also when sorted."""

_JPEG_QUALITY = 95


def write_labelled(folder: Path, name: str, jump: divers.Jump, video_THWC: np.ndarray) -> None:
    """Write the labelled frame of one video and its mask below `folder`."""
    frame = divers.labelled_frame(jump)
    mask_HW3 = np.zeros(video_THWC.shape[1:], np.uint8)
    for colour, instance_HW in zip(COLOURS, divers.masks(jump)[frame], strict=False):
        mask_HW3[instance_HW] = colour
    image, mask = places(folder, name, jump)
    with atomic(image) as temporary:
        Image.fromarray(video_THWC[frame]).save(temporary, quality=_JPEG_QUALITY)
    with atomic(mask) as temporary:
        Image.fromarray(mask_HW3).save(temporary)


def places(folder: Path, name: str, jump: divers.Jump) -> tuple[Path, Path]:
    """Return where the labelled frame of the video `name` and its mask lie; the mask is written last."""
    stem = f"{name}_{jump.sample}"
    return folder / FOLDER / "images" / f"{stem}.jpg", folder / FOLDER / "masks" / f"{stem}_mask.png"
