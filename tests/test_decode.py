"""The frame asked for is the frame that comes, for every kind of file; checked by the ffmpeg command line.

Every generated frame carries its number as a bar code, so an index is proved by what is to be seen.
"""

from pathlib import Path

import numpy as np
import pytest

import videofiles
from retrace.data.decode import decode
from retrace.data.extract import extract
from retrace.data.source import BrokenVideo
from retrace.errors import UserError
from retrace.plan.video import H264, Mjpeg, Store
from videofiles import FRAMES, by_command_line, jpegs, make, numbers, pictures, psnr

CUT_AWAY = {"cut.mp4": 10}  # frames before the first that its edit list shows
REAL = Path(__file__).parents[2] / "shared" / "data" / "videos"
STORES = {
    "h264": Store(short_side=64, codec=H264(name="h264", crf=20, preset="ultrafast", keyframe_interval=12)),
    "mjpeg": Store(short_side=64, codec=Mjpeg(name="mjpeg", qscale=2)),
}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("videos")


@pytest.mark.parametrize("kind", videofiles.KINDS)
def test_every_frame_is_the_command_lines_frame_and_bears_its_number(folder: Path, kind: str):
    path = make(folder, kind)
    first = CUT_AWAY.get(kind, 0)
    count = 1 if kind == "one-frame.mp4" else FRAMES - first
    clip = decode(path, range(count))
    assert clip.dtype == np.uint8
    assert numbers(clip) == list(range(first, first + count))
    theirs = by_command_line(path, *clip.shape[1:3])
    assert len(theirs) == count
    assert min(map(psnr, clip, theirs)) > 40
    with pytest.raises(UserError, match=rf"{kind}: frame {count} was asked for, it has {count} \(0 to"):
        decode(path, [count])


@pytest.mark.parametrize("kind", ["variable-rate.mkv", "mpeg4.avi", "turned-90.mp4"])
def test_frames_come_in_the_order_asked_for_and_may_repeat(folder: Path, kind: str):
    asked = [17, 3, 29, 3, 0, 17]
    assert numbers(decode(make(folder, kind), asked)) == asked


@pytest.mark.parametrize("codec", STORES)
def test_any_frames_of_a_stored_file_equal_those_decoded_from_its_start(folder: Path, codec: str):
    stored = folder / f"stored-{codec}.mp4"
    extract(make(folder, "b-frames.mp4"), stored, STORES[codec], fps=25)
    theirs = by_command_line(stored, 64, 96)
    assert numbers(theirs) == list(range(FRAMES))
    draw = np.random.default_rng(0)
    for _ in range(60):
        asked = draw.integers(FRAMES, size=draw.integers(1, 9))
        np.testing.assert_array_equal(decode(stored, asked), theirs[asked])


def test_a_stored_file_cut_by_other_means_is_still_exact(folder: Path):
    stored = folder / "stored.mp4"
    extract(make(folder, "b-frames.mp4"), stored, STORES["h264"], fps=25)
    cut = folder / "stored-cut.mp4"  # keeps the comment by which stored files are known
    videofiles.copied(cut, ["-ss", "0.6", "-i", str(stored)])
    theirs = numbers(by_command_line(cut, 64, 96))
    assert theirs != list(range(FRAMES))
    assert numbers(decode(cut, range(len(theirs)))) == theirs


def test_a_folder_of_jpegs_is_a_video_too(folder: Path):
    path = jpegs(folder / "jpegs", pictures(12))
    assert numbers(decode(path, [11, 0, 5, 5])) == [11, 0, 5, 5]
    theirs = by_command_line(path / "%05d.jpg", 64, 96)
    assert min(map(psnr, decode(path, range(12)), theirs)) > 40
    with pytest.raises(UserError, match=r"frame 12 was asked for, it has 12 \(0 to 11\)"):
        decode(path, [12])


def test_frames_before_the_first_and_no_frames_at_all_are_refused(folder: Path):
    path = make(folder, "mjpeg.avi")
    with pytest.raises(UserError, match="frame -1 was asked for"):
        decode(path, [3, -1])
    with pytest.raises(UserError, match="no frame was asked for"):
        decode(path, [])


def test_sound_alone_is_no_video(folder: Path):
    with pytest.raises(BrokenVideo, match="holds no video"):
        decode(videofiles.sound_only(folder / "sound-only.mp4"), [0])


def test_a_damaged_stored_file_raises_instead_of_giving_another_frame(folder: Path):
    whole = folder / "whole.mp4"
    extract(make(folder, "b-frames.mp4"), whole, STORES["h264"], fps=25)
    data = whole.read_bytes()
    damaged = folder / "damaged.mp4"
    at = data.index(b"mdat") + 4
    damaged.write_bytes(data[: at + 2000] + bytes(4000) + data[at + 6000 :])
    with pytest.raises(BrokenVideo, match=r"damaged\.mp4"):
        decode(damaged, range(FRAMES))


def test_frames_of_different_sizes_make_no_clip(folder: Path):
    path = jpegs(folder / "two-sizes", pictures(3))
    videofiles.encode(path / "00002.jpg", pictures(1, width=80), "-pix_fmt", "yuvj420p")
    assert decode(path, [1]).shape == (1, 64, 80, 3)
    with pytest.raises(BrokenVideo, match="not all of one size"):
        decode(path, [0, 1])


@pytest.mark.parametrize(
    "name", ["arm_wrestling.mp4", "bikes.mp4", "carphone_pristine.mp4", "flipping_a_pancake.mkv", "test.avi"]
)
def test_real_videos_give_the_command_lines_frames(name: str):
    if not (REAL / name).exists():
        pytest.skip("the real videos are not here")
    with pytest.raises(UserError) as told:
        decode(REAL / name, [10**6])
    count = int(str(told.value).rsplit(" ", 1)[1].rstrip(")")) + 1
    asked = sorted({0, 1, 77, 119, count // 2, count - 2, count - 1})
    clip = decode(REAL / name, asked)
    theirs = by_command_line(REAL / name, *clip.shape[1:3], [*asked, count, count + 1])
    assert len(theirs) == len(asked)  # nor has the command line a frame more
    assert min(map(psnr, clip, theirs)) > 40
