"""S1, S2 and T against a composition spelt out pixel by pixel, and at the edges of what can be found."""

import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.transforms.functional import gaussian_blur

from pages import ENVIRONMENT, ROOT
from retrace.data.decode import decode
from retrace.errors import UserError
from retrace.plan.library import Library
from retrace.segment import detections
from retrace.segment.clips import frame_indices
from retrace.segment.compose import blurred, compose, regions
from retrace.segment.found import Found
from retrace.segment.region import region
from retrace.segment.write import write_video
from segments import found, frame_of

LIBRARY = Library(ROOT)
DOMAINS = {name: LIBRARY.videos[f"diving48-{name}"].segmented for name in ("s1", "s2", "t")}
SIZE = (70, 90)


def frame(seed: int = 0, size: tuple[int, int] = SIZE) -> torch.Tensor:
    """Return one frame, x_TCHW in [0, 1], of whole grey levels."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (1, 3, *size), generator=generator) / 255


def soft(seed: int, *boxes) -> Found:
    """Return detections whose confidence differs from cell to cell, some of it 0."""
    generator = torch.Generator().manual_seed(seed)
    masks = (torch.rand(len(boxes), 28, 28, generator=generator) * 1.4 - 0.4).clamp(min=0)
    return found(*boxes)._replace(masks_NSS=masks)


def stretched(found: Found, size, instances: int | None, threshold: float) -> np.ndarray:
    """The region, with every pixel's confidence interpolated by hand from the four cells around it."""
    region = np.zeros(size, bool)
    for box, mask in list(zip(found.boxes_N4.tolist(), found.masks_NSS.numpy(), strict=True))[:instances]:
        cells = np.pad(mask.astype(np.float64), 1)  # a cell of nothing on every side
        middle = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]
        half = [(box[2] - box[0]) / 2 * 30 / 28, (box[3] - box[1]) / 2 * 30 / 28]
        x0, y0 = int(middle[0] - half[0]), int(middle[1] - half[1])
        width, height = int(middle[0] + half[0]) - x0 + 1, int(middle[1] + half[1]) - y0 + 1
        for y in range(max(y0, 0), min(y0 + height, size[0])):
            for x in range(max(x0, 0), min(x0 + width, size[1])):
                row = min(max((y - y0 + 0.5) * 30 / height - 0.5, 0), 29)
                column = min(max((x - x0 + 0.5) * 30 / width - 0.5, 0), 29)
                r, c = int(row), int(column)
                below, right = min(r + 1, 29), min(c + 1, 29)
                fy, fx = row - r, column - c
                upper = cells[r, c] * (1 - fx) + cells[r, right] * fx
                lower = cells[below, c] * (1 - fx) + cells[below, right] * fx
                region[y, x] |= upper * (1 - fy) + lower * fy > threshold
    return region


def blurred_by_hand(x_HW3: np.ndarray, kernel: int, sigma: float) -> np.ndarray:
    """The frame blurred with a Gaussian, mirrored at its edges, without an edge pixel twice."""
    reach = kernel // 2
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        pad = [(reach, reach) if a == axis else (0, 0) for a in range(3)]
        padded = np.pad(x_HW3, pad, mode="reflect")
        x_HW3 = sum(w * np.take(padded, range(i, i + x_HW3.shape[axis]), axis) for i, w in enumerate(weights))
    return x_HW3


BOXES = {
    "one": [(20.3, 10.7, 44.9, 52.2)],
    "two": [(5.1, 8.2, 25.7, 60.4), (50.0, 20.0, 80.5, 41.5)],
    "three, of which domains S have two": [(5, 8, 25, 60), (50, 20, 80, 41), (60, 50, 88, 66)],
    "at the border": [(-3.0, -4.0, 12.0, 20.0), (75.4, 50.9, 90.0, 70.0)],
}


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("boxes", BOXES)
def test_a_domain_is_what_it_is_pixel_by_pixel(domain, boxes):
    how, x_TCHW, one = DOMAINS[domain], frame(), soft(1, *BOXES[boxes])
    region_THW = regions([one], SIZE, how)
    region = stretched(one, SIZE, how.instances, how.threshold)
    assert (region_THW[0].numpy() != region).sum() <= 2  # at a threshold one rounding decides
    region = region_THW[0].numpy()[..., None]
    y_HW3 = compose(x_TCHW, region_THW, how.effect)[0].permute(1, 2, 0).numpy()
    x_HW3 = x_TCHW[0].permute(1, 2, 0).double().numpy()
    if domain == "t":
        assert np.array_equal(y_HW3, np.where(region, [124, 117, 104], np.rint(255 * x_HW3)))
    else:
        expected = np.where(region, x_HW3, blurred_by_hand(x_HW3, 55, 15)) * 255
        assert np.abs(y_HW3 + 0.5 - expected).max() < 0.51  # cut, not rounded
        assert np.array_equal(y_HW3[region[..., 0]], np.rint(expected[region[..., 0]]))


def test_a_region_is_what_torchvision_pastes():
    for seed in range(40):
        generator = torch.Generator().manual_seed(seed)
        low = torch.rand(3, 2, generator=generator) * torch.tensor([85.0, 65.0])
        high = (low + torch.rand(3, 2, generator=generator) * 60).minimum(torch.tensor([90.0, 70.0]))
        one = soft(seed, *torch.cat([low, high], 1).tolist())
        pasted = paste_masks_in_image(one.masks_NSS[:, None], one.boxes_N4, SIZE)[:, 0]
        for threshold, instances in ((0.0, None), (0.4, 2)):
            expected = (pasted[:instances] > threshold).any(0)
            assert torch.equal(region(one, SIZE, instances, threshold), expected)


def test_the_blur_is_torchvisions():
    x_TCHW = torch.cat([frame(1), frame(2)])
    for kernel, sigma in ((55, 15.0), (19, 5.0), (1, 2.0)):
        expected = gaussian_blur(x_TCHW, [kernel, kernel], [sigma, sigma])
        torch.testing.assert_close(blurred(x_TCHW, kernel, sigma), expected, atol=1e-5, rtol=0)


def test_composing_does_not_wait_for_torchvision():
    slow = "{'torchvision', 'torch._dynamo', 'pandas'} & {*sys.modules}"
    program = f"import retrace.segment.composing, sys; print({slow})"
    answer = subprocess.run(
        [sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "set()"


def test_shape_is_what_is_above_the_threshold_and_box_all_that_is_above_nothing():
    one = found((20, 10, 44, 52))
    one = one._replace(masks_NSS=torch.full((1, 28, 28), 0.3))
    assert not regions([one], SIZE, DOMAINS["s1"]).any()
    for domain in ("s2", "t"):
        region_HW = regions([one], SIZE, DOMAINS[domain])[0]
        inside = frame_of((20, 10, 44, 52), size=SIZE).masks_NHW[0]
        assert region_HW[inside].all()
        assert region_HW.sum() < 1.25 * inside.sum()  # a cell wider, of the 28


@pytest.mark.parametrize("domain", DOMAINS)
def test_without_a_diver_shape_is_blurred_all_over_and_texture_is_left_alone(domain):
    how, x_TCHW = DOMAINS[domain], frame()
    region_THW = regions([found()], SIZE, how)
    assert not region_THW.any()
    y_TCHW = compose(x_TCHW, region_THW, how.effect)
    if domain == "t":
        assert torch.equal(y_TCHW, (255 * x_TCHW).round().to(torch.uint8))
    else:
        expected = blurred_by_hand(x_TCHW[0].permute(1, 2, 0).double().numpy(), 55, 15)
        assert np.abs(y_TCHW[0].permute(1, 2, 0).numpy() + 0.5 - 255 * expected).max() < 0.51


def test_all_that_is_found_is_painted_over_and_two_are_kept():
    three = found((5, 8, 25, 60), (50, 20, 80, 41), (60, 50, 88, 66))
    third = region(Found(*(value[2:] for value in three)), SIZE, None, 0)
    assert regions([three], SIZE, DOMAINS["t"])[0][third].all()
    for domain in ("s1", "s2"):
        assert regions([three], SIZE, DOMAINS[domain])[0][third].sum() < third.sum() / 4


def test_every_grey_level_that_is_kept_stays_what_it_was():
    levels = torch.arange(256).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    everywhere = torch.ones(1, 16, 16, dtype=torch.bool)
    effect = DOMAINS["s1"].effect.model_copy(update={"kernel": 5})
    assert torch.equal(compose(levels / 255, everywhere, effect), levels.to(torch.uint8))


def test_what_was_found_is_kept_as_it_was(tmp_path):
    frames = [soft(1, (5, 8, 25, 60), (50, 20, 80, 41)), found(), soft(2, (3, 4, 50, 60))]
    tiny = frames[0].masks_NSS.clone()
    tiny[0, 3, 4] = 1e-20  # more than nothing, and less than half precision can tell
    frames[0] = frames[0]._replace(masks_NSS=tiny)
    detections.write(tmp_path / "a.npz", [0, 5, 9], frames)
    read = detections.read(tmp_path / "a.npz")
    assert read.frames_T.tolist() == [0, 5, 9] and read.counts_T.tolist() == [2, 0, 1]
    for before, after in zip(frames, read.found(), strict=True):
        assert torch.equal(before.boxes_N4, after.boxes_N4)
        assert torch.equal(before.scores_N, after.scores_N)
        torch.testing.assert_close(before.masks_NSS, after.masks_NSS, atol=3e-4, rtol=0)
        assert torch.equal(before.masks_NSS > 0, after.masks_NSS > 0)
    detections.write(tmp_path / "b.npz", [0, 5, 9], frames)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    content = (tmp_path / "a.npz").read_bytes()
    for spoilt in (content[:200], content[:-40], content.replace(b"boxes_N4", b"boxes_N5"), b""):
        (tmp_path / "a.npz").write_bytes(spoilt)
        with pytest.raises(UserError, match=r"a.npz cannot be read .* find the divers again"):
            detections.read(tmp_path / "a.npz")


def test_32_of_100_frames_are_those_of_the_authors():
    expected = [0, 3, 6, 10, 13, 16, 19, 22, 26, 29, 32, 35, 38, 42, 45, 48]
    expected += [51, 54, 57, 61, 64, 67, 70, 73, 77, 80, 83, 86, 89, 93, 96, 99]
    assert frame_indices({"frames": 100}, 32) == expected
    assert frame_indices({"frames": 3}, 5) == [0, 0, 1, 2, 2]  # 0.5 and 1.5 go to the even number
    assert frame_indices({"frames": 1}, 3) == [0, 0, 0]


@pytest.mark.parametrize("size", [(369, 492), (120, 160)])
def test_composed_frames_come_back_from_their_file(tmp_path, size):
    still = torch.nn.functional.interpolate(frame(4, (6, 8)), size, mode="bicubic").clamp(0, 1)
    x_TCHW = (still * 255).to(torch.uint8).repeat(32, 1, 1, 1)
    x_TCHW[:, :, :8, :8] = torch.arange(32)[:, None, None, None] * 8
    for name in ("a", "b"):
        write_video(tmp_path / f"{name}.mp4", x_TCHW, Fraction(5), 1_024_000)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    y_THWC = decode(tmp_path / "a.mp4", range(32))
    assert y_THWC.shape == (32, *size, 3)
    assert (
        np.abs(y_THWC.astype(int) - x_TCHW.permute(0, 2, 3, 1).numpy()).mean() < 4
    )  # colours have half the size
    marks = y_THWC[:, 2:6, 2:6].mean((1, 2, 3))
    assert np.abs(marks - np.arange(32) * 8).max() < 6
    with av.open(str(tmp_path / "a.mp4")) as file:
        stream = file.streams.video[0]
        assert (stream.codec_context.name, stream.average_rate) == ("mpeg4", 5)
        assert stream.codec_context.pix_fmt == "yuv420p"
