"""Small frames with divers that are bright bars, in the authors' format, and a segmenter that learns them."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from retrace.plan.segmenter import FineTuning, MaskRcnn, MaskSplits, Segmenter
from retrace.plan.spec import Adam
from retrace.segment.found import Found
from retrace.segment.frames import Frame

HEIGHT, WIDTH = 48, 64
SMALL = MaskRcnn(
    backbone="resnet18",
    width=4,
    channels=8,
    head=16,
    anchors=(8, 12, 16, 24, 32),
    proposals=(40, 20),
    rois=8,
    score=0.05,
    weights="random",
    norm="group",
    trainable=5,
    short_side=HEIGHT,
    long_side=WIDTH,
)


def segmenter(**training: object) -> Segmenter:
    """Return one that trains 2 epochs of 3 steps on 6 frames, with 3 to validate on."""
    standard = {
        "optimizer": Adam(name="adam", lr=0.003, weight_decay=0),
        "schedule": "cosine",
        "batch": 2,
        "drop_last": True,
        "epochs": 2,
        "patience": 2,
        "flip": 0.5,
        "seed": 1,
    }
    splits = MaskSplits(dataset="bars-masks", version=1, train=6, val=3, seed=42, footage=None)
    return Segmenter(
        recipe=1, frames=splits, model=SMALL, training=FineTuning.model_validate(standard | training)
    )


def bars(number: int, divers: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return an image and its mask, uint8 RGB: upright bars on dark noise, each of a colour of its own."""
    rng = np.random.default_rng(number)
    image = rng.integers(0, 60, (HEIGHT, WIDTH, 3), np.uint8)
    mask = np.zeros_like(image)
    for diver in range(divers):
        top, left = rng.integers(2, 20), rng.integers(4, 20) + 28 * diver
        bar = slice(top, top + 20), slice(left, left + 8)
        image[bar], mask[bar] = (230, 200, 170), (0, 120 * diver, 255)
    return image, mask


def write_frames(root: Path, count: int = 9) -> Path:
    """Write `count` frames and their masks below `root`, every third with two divers."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number in range(count):
        image, mask = bars(number, 1 + (number % 3 == 2))
        Image.fromarray(image).save(root / f"images/video_{number:03d}_13.jpg", quality=95)
        Image.fromarray(mask).save(root / f"masks/video_{number:03d}_13_mask.png")
    return root


def found(*boxes: tuple[float, float, float, float], confidence: float = 1.0) -> Found:
    """Return detections with these boxes, the scores falling, each of one confidence in all of its box."""
    scores = torch.linspace(0.9, 0.5, len(boxes)) if boxes else torch.zeros(0)
    return Found(torch.tensor(boxes).view(-1, 4), scores, torch.full((len(boxes), 28, 28), confidence))


def frame_of(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (HEIGHT, WIDTH)) -> Frame:
    """Return a black frame whose divers fill these boxes, first and last column and row included."""
    masks = torch.zeros(len(boxes), *size, dtype=torch.bool)
    for mask_HW, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        mask_HW[y0 : y1 + 1, x0 : x1 + 1] = True
    return Frame("frame", torch.zeros(3, *size, dtype=torch.uint8), masks)
