"""Extraction loses nothing silently: whole videos give all frames, broken ones a reason and nothing else."""

import os
import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from pydantic import ValidationError

import videofiles
from brokenvideos import BROKEN, changed, hole
from retrace.data.decode import decode
from retrace.data.extract import Extracted, extract
from retrace.data.matroska import blocks
from retrace.data.source import BrokenVideo
from retrace.errors import UserError
from retrace.plan.video import H264, Mjpeg, Store
from videofiles import FRAMES, X264, by_command_line, encode, jpegs, make, numbers, pictures, psnr

REAL = Path(__file__).parents[2] / "shared" / "data" / "videos"
H264_128 = Store(short_side=128, codec=H264(name="h264", crf=16, preset="ultrafast", keyframe_interval=12))
MJPEG_128 = Store(short_side=128, codec=Mjpeg(name="mjpeg", qscale=2))
SCALE = "scale='if(gt(iw,ih),-2,128)':'if(gt(iw,ih),128,-2)'"
# what a turned or an odd picture measures once its short side is 128
WIDTHS = {"odd.webm": 198, "odd.avi": 198}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("videos")


@pytest.mark.parametrize("kind", videofiles.KINDS)
def test_every_frame_is_stored_upright_at_its_place_with_the_true_rate(folder: Path, kind: str, tmp_path):
    first = 10 if kind == "cut.mp4" else 0
    count = 1 if kind == "one-frame.mp4" else FRAMES - first
    done = extract(make(folder, kind), tmp_path / "stored.mp4", H264_128, fps=10)
    assert (done.frames, done.width, done.height) == (count, WIDTHS.get(kind, 192), 128)
    assert done.bytes == (tmp_path / "stored.mp4").stat().st_size
    clip = decode(tmp_path / "stored.mp4", range(count))
    assert clip.shape == (count, done.height, done.width, 3)
    assert numbers(clip) == list(range(first, first + count))
    if kind == "one-frame.mp4":
        assert done.fps == 10  # one time stamp tells no rate
    elif kind == "variable-rate.mkv":
        assert done.fps == pytest.approx(29 / ((29 + 5 * 4 + 0.4 * 2) / 25), rel=1e-3)
    else:
        assert done.fps == pytest.approx(25, rel=1e-3)


@pytest.mark.parametrize("store", [H264_128, MJPEG_128], ids=["h264", "mjpeg"])
@pytest.mark.parametrize("kind", ["b-frames.mp4", "ten-bit.mkv", "full-range.mp4", "bt709.mp4", "odd.webm"])
def test_stored_frames_look_like_those_the_command_line_scales(folder: Path, tmp_path, kind: str, store):
    source = make(folder, kind)
    done = extract(source, tmp_path / "stored.mp4", store, fps=25)
    scaled = tmp_path / "scaled.mkv"
    subprocess.run(
        [*videofiles.FFMPEG, "-i", source, "-vf", SCALE, "-fps_mode", "passthrough", "-c:v", "ffv1", scaled],
        check=True,
    )
    theirs = by_command_line(scaled, done.height, done.width)
    assert psnr(decode(tmp_path / "stored.mp4", range(FRAMES)), theirs) > 36


def test_the_same_source_gives_the_same_bytes(folder: Path, tmp_path):
    source = make(folder, "sound.mp4")
    for store in (H264_128, MJPEG_128):
        first = extract(source, tmp_path / "a.mp4", store, fps=25)
        again = extract(source, tmp_path / "elsewhere" / "b.mp4", store, fps=25)
        assert first == again
        assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "elsewhere" / "b.mp4").read_bytes()


def test_a_folder_of_jpegs_is_stored_at_the_nominal_rate(tmp_path):
    source = jpegs(tmp_path / "frames", pictures(12))
    done = extract(source, tmp_path / "stored.mp4", H264_128, fps=12)
    assert done == Extracted(12, 12, 192, 128, done.bytes)
    assert numbers(decode(tmp_path / "stored.mp4", range(12))) == list(range(12))


def test_portrait_keeps_its_aspect_and_the_long_side_is_the_nearest_even_number(tmp_path):
    source = encode(tmp_path / "portrait.mp4", pictures(2, width=48, height=68), *X264)
    done = extract(source, tmp_path / "stored.mp4", H264_128, fps=25)
    assert (done.width, done.height) == (128, 182)  # 68 * 128 / 48 = 181.33


def test_an_odd_short_side_is_refused():
    with pytest.raises(ValidationError, match="multiple of 2"):  # yuv420p has no half pixels of colour
        Store.model_validate(H264_128.model_dump() | {"short_side": 127})


@pytest.mark.parametrize(
    "name", ["arm_wrestling.mp4", "bikes.mp4", "carphone_pristine.mp4", "flipping_a_pancake.mkv", "test.avi"]
)
def test_real_videos_pass(name: str, tmp_path):
    if not (REAL / name).exists():
        pytest.skip("the real videos are not here")
    store = H264_128.model_copy(update={"short_side": 64})
    done = extract(REAL / name, tmp_path / "stored.mp4", store, fps=10)
    with pytest.raises(UserError, match=f"frame {done.frames} was asked for, it has {done.frames}"):
        decode(REAL / name, [done.frames])
    assert 24 < done.fps < 31


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_source_gives_a_reason_and_leaves_nothing_behind(folder: Path, tmp_path, name: str):
    write, reason = BROKEN[name]
    (tmp_path / "in").mkdir()
    source = write(folder, tmp_path / "in")
    with pytest.raises(BrokenVideo, match=reason) as told:
        extract(source, tmp_path / "out" / "stored.mp4", H264_128, fps=25)
    assert str(told.value) == f"{source}: {told.value.reason}"
    assert "Errno" not in told.value.reason
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_named(folder: Path, tmp_path):
    source = tmp_path / "secret.mp4"
    shutil.copy(make(folder, "b-frames.mp4"), source)
    source.chmod(0)
    with pytest.raises(BrokenVideo, match="Permission denied"):
        extract(source, tmp_path / "out" / "stored.mp4", H264_128, fps=25)


@pytest.mark.parametrize(
    "kind", ["b-frames.mp4", "vp9.webm", "mpeg4.avi", "mjpeg.avi", "hevc.mp4", "fragmented.mp4"]
)
def test_flipped_bits_give_a_whole_file_or_a_reason(folder: Path, tmp_path, kind: str):
    data = np.frombuffer(make(folder, kind).read_bytes(), np.uint8)
    for seed in range(12):
        draw = np.random.default_rng(seed)
        damaged = data.copy()
        damaged[draw.integers(len(data), size=1 << seed % 6)] ^= 1 << draw.integers(8, dtype=np.uint8)
        source, target = tmp_path / kind, tmp_path / "out" / f"{seed}.mp4"
        source.write_bytes(damaged.tobytes())
        try:
            done = extract(source, target, H264_128, fps=25)
        except BrokenVideo:
            assert not target.exists()
        else:
            assert len(decode(target, range(done.frames))) == done.frames
            target.unlink()
    assert not list((tmp_path / "out").glob("*"))


def test_a_walk_through_matroska_counts_the_packets_of_every_track(folder: Path, tmp_path):
    source = videofiles.copied(tmp_path / "sound.mkv", ["-i", str(make(folder, "sound.mp4"))])
    with av.open(str(source)) as container:
        theirs = [packet.stream_index for packet in container.demux() if packet.size]
    assert blocks(source) == [theirs.count(0), theirs.count(1)]
    assert theirs.count(0) == FRAMES


def test_a_failure_keeps_what_was_there(folder: Path, tmp_path):
    target = tmp_path / "stored.mp4"
    extract(make(folder, "b-frames.mp4"), target, H264_128, fps=25)
    before = target.read_bytes()
    source = changed("b-frames.mp4", hole)(folder, tmp_path)
    with pytest.raises(BrokenVideo):
        extract(source, target, H264_128, fps=25)
    assert target.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b-frames.mp4", "stored.mp4"]
