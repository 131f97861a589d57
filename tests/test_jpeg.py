"""JPEG round trips through mosaics against Pillow, image by image."""

import io

import numpy as np
import pytest
from PIL import Image

from retrace.data.synthetic import jpeg


def alone(image, quality):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize("quality", [1, 30, 75, 100])
def test_blocks_in_a_mosaic_come_back_as_if_alone(quality):
    blocks = np.random.default_rng(quality).integers(0, 256, (130, 8, 8), dtype=np.uint8)
    expected = np.stack([alone(block, quality) for block in blocks])
    assert np.array_equal(jpeg.round_trip(blocks, quality), expected)


def test_frames_come_back_as_if_alone():
    frames = np.random.default_rng(0).integers(0, 256, (5, 24, 40), dtype=np.uint8)
    expected = np.stack([alone(frame, 75) for frame in frames])
    assert np.array_equal(jpeg.round_trip_frames(frames, 75), expected)


def test_many_mosaics_and_none_are_no_exception(monkeypatch):
    blocks = np.random.default_rng(0).integers(0, 256, (300, 8, 8), dtype=np.uint8)
    expected = jpeg.round_trip(blocks, 75)
    monkeypatch.setattr(jpeg, "_ROWS", 1)
    assert np.array_equal(jpeg.round_trip(blocks, 75), expected)
    assert jpeg.round_trip(blocks[:0], 75).shape == (0, 8, 8)


def test_cutting_is_undone_by_joining():
    frames = np.arange(2 * 16 * 24).reshape(2, 16, 24)
    assert np.array_equal(jpeg.cut(frames)[1, 1, 2], frames[1, 8:16, 16:24])
    assert np.array_equal(jpeg.join(jpeg.cut(frames), frames.shape), frames)
