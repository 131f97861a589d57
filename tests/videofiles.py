"""Small videos of every kind, written by the ffmpeg command line. Every frame carries its own number."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np

FFMPEG = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y"]
FRAMES, WIDTH, HEIGHT, RATE = 30, 96, 64, 25
BITS = 6
SOUND = ["-f", "lavfi", "-i", "sine=duration=1.2"]
X264 = ["-c:v", "libx264", "-preset", "ultrafast", "-qp", "18"]
VP9 = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-crf", "20", "-b:v", "0"]

# name -> options of the encoder; those that begin from another file or another size stand in `make`
ENCODED = {
    "b-frames.mp4": [*X264, "-bf", "3", "-b_strategy", "0", "-g", "15"],
    "hevc.mp4": ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none"],
    "vp9.webm": VP9,
    "hidden-frames.webm": ["-c:v", "libvpx", "-auto-alt-ref", "1", "-lag-in-frames", "16", "-b:v", "300k"],
    "mpeg4.avi": ["-c:v", "mpeg4", "-bf", "2", "-q:v", "3"],
    "h264.avi": [*X264, "-bf", "3", "-b_strategy", "0"],
    "mjpeg.avi": ["-c:v", "mjpeg", "-q:v", "3"],
    "ten-bit.mkv": [*X264, "-preset", "medium", "-pix_fmt", "yuv420p10le"],
    "full-range.mp4": [*X264, "-pix_fmt", "yuvj420p"],
    "bt709.mp4": [*X264, "-vf", "scale=out_color_matrix=bt709", "-colorspace", "bt709"],
    "interlaced.mp4": [*X264, "-preset", "fast", "-flags", "+ildct+ilme", "-x264-params", "tff=1"],
    "variable-rate.mkv": [
        *(*X264, "-bf", "2", "-fps_mode", "passthrough", "-enc_time_base", "1/1000"),
        *("-vf", "settb=1/1000,setpts=(N+5*floor(N/7)+0.4*mod(N\\,3))/25/TB"),
    ],
    "late-start.mkv": [*X264, "-bf", "2", "-output_ts_offset", "7"],
    "stream.ts": ["-c:v", "mpeg2video", "-q:v", "3", "-bf", "2"],
    "fragmented.mp4": [*X264, "-g", "10", "-movflags", "frag_keyframe+empty_moov"],
}
SIZES = {"odd.webm": (97, 63, VP9), "odd.avi": (97, 63, ["-c:v", "mjpeg", "-q:v", "3"])}
# what the file asks a player to do, and how a picture (THWC) has to lie in the file to come out upright
TURNED = {
    "turned-90.mp4": (["-display_rotation", "90"], lambda clip: np.rot90(clip, -1, (1, 2))),
    "turned-180.mp4": (["-display_rotation", "180"], lambda clip: np.rot90(clip, 2, (1, 2))),
    "turned-270.mp4": (["-display_rotation", "270"], lambda clip: np.rot90(clip, 1, (1, 2))),
    "mirrored.mp4": (["-display_hflip"], lambda clip: clip[:, :, ::-1]),
    "turned-and-mirrored.mp4": (
        ["-display_rotation", "90", "-display_vflip"],
        lambda clip: np.rot90(clip[:, ::-1], -1, (1, 2)),
    ),
}
KINDS = [*ENCODED, *SIZES, *TURNED, "sound.mp4", "one-frame.mp4", "no-duration.mkv", "cut.mp4", "cut.mkv"]


def pictures(count: int = FRAMES, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Return `count` smooth colour pictures (THWC); the top third is a bar code of the frame's number."""
    t, y, x = np.ogrid[:count, :height, :width]
    waves = [np.sin((x + 3 * t) / 11 + y / 17), np.sin((y - 2 * t) / 9), np.cos((x - y + t) / 13)]
    clip = np.stack([np.broadcast_to(wave, (count, height, width)) for wave in waves], -1) * 90 + 128
    bits = (np.arange(count)[:, None] >> np.arange(BITS)) & 1
    clip[:, : height // 3] = (30 + 195 * bits)[:, None, np.arange(width) * BITS // width, None]
    return clip.astype(np.uint8)


def numbers(clip_THWC: np.ndarray) -> list[int]:
    """Read the bar codes of `pictures`."""
    _, height, width, _ = clip_THWC.shape
    columns = (2 * np.arange(BITS) + 1) * width // (2 * BITS)
    bits = clip_THWC[:, height // 6, columns].mean(-1) > 128
    return [int(number) for number in bits @ (1 << np.arange(BITS))]


def encode(path: Path, clip_THWC: np.ndarray, *options: str, before: list[str] | None = None) -> Path:
    """Write a clip with these options of the encoder; `before` are further inputs."""
    _, height, width, _ = clip_THWC.shape
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(RATE), "-i", "pipe:"]
    chroma = [] if "-pix_fmt" in options else ["-pix_fmt", "yuv420p"]
    command = [arg for arg in FFMPEG if arg != "-nostdin"]
    command += [*raw, *(before or []), *chroma, *options, str(path)]
    subprocess.run(command, input=clip_THWC.tobytes(), check=True)
    return path


def make(folder: Path, name: str) -> Path:
    """Write the video of one kind into `folder`; return its path."""
    path = folder / name
    if name in ENCODED:
        return encode(path, pictures(), *ENCODED[name])
    if name in SIZES:
        width, height, options = SIZES[name]
        return encode(path, pictures(width=width, height=height), *options)
    if name == "one-frame.mp4":
        return encode(path, pictures(1), *X264)
    if name == "sound.mp4":
        return encode(path, pictures(), *X264, "-bf", "2", "-c:a", "aac", before=SOUND)
    if name in TURNED:
        ask, lay = TURNED[name]
        lying = encode(folder / f"lying-{name}", np.ascontiguousarray(lay(pictures())), *X264, "-bf", "2")
        return copied(path, [*ask, "-i", str(lying)])
    plain = folder / "b-frames.mp4"
    if not plain.exists():
        make(folder, plain.name)
    if name.startswith("cut."):
        return copied(path, ["-ss", "0.4", "-i", str(plain)])
    assert name == "no-duration.mkv"
    live = [*FFMPEG, "-i", str(plain), "-c", "copy", "-f", "matroska", "pipe:"]
    path.write_bytes(subprocess.run(live, capture_output=True, check=True).stdout)
    return path


def sound_only(path: Path) -> Path:
    """Write a file with sound alone."""
    subprocess.run([*FFMPEG, *SOUND, "-c:a", "aac", str(path)], check=True)
    return path


def jpegs(folder: Path, clip_THWC: np.ndarray, first: int = 1) -> Path:
    """Write a clip as 00001.jpg and so on."""
    folder.mkdir(parents=True)
    start = ["-start_number", str(first), "-q:v", "2", "-pix_fmt", "yuvj420p"]
    encode(folder / "%05d.jpg", clip_THWC, *start)
    return folder


def by_command_line(path: Path, height: int, width: int, chosen: list[int] | None = None) -> np.ndarray:
    """Decode a file with the ffmpeg command line: uint8 THWC of all frames or of the chosen ones."""
    choice = [] if chosen is None else ["-vf", "select=" + "+".join(f"eq(n\\,{index})" for index in chosen)]
    command = [*FFMPEG, "-i", str(path), "-map", "0:v:0", *choice, "-fps_mode", "passthrough"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio of two uint8 arrays in dB."""
    error = float(np.mean((a.astype(np.float32) - b) ** 2))
    return 99.0 if error == 0 else 10 * np.log10(255**2 / error)


def copied(path: Path, source: list[str]) -> Path:
    subprocess.run([*FFMPEG, *source, "-c", "copy", str(path)], check=True)
    return path
