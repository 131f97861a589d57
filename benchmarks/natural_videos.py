"""Videos to measure with: the user's own, or generated ones as hard to code as what a camera sees."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np

FFMPEG = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y"]
SIZES = {"kinetics": (340, 256, 300, 30), "phone": (640, 480, 250, 25), "something": (427, 240, 48, 12)}
SUFFIXES = {".mp4", ".mkv", ".webm", ".avi", ".mov"}


def videos(folder: Path | None, scratch: Path) -> list[Path]:
    """Return the videos of a folder, or generate some below `scratch`."""
    if folder is not None:
        return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    return [_generate(scratch, name, seed) for seed, name in enumerate(SIZES)]


def _generate(scratch: Path, name: str, seed: int) -> Path:
    """Three textured layers move over each other, seen by a noisy sensor; coded as video sites do."""
    width, height, frames, rate = SIZES[name]
    draw = np.random.default_rng(seed)
    layers = [_texture(draw, 1024) for _ in range(3)]
    masks = [(_texture(draw, 1024).mean(-1, keepdims=True) > 150).astype(np.float32) for _ in range(2)]
    steps = draw.uniform(-1.5, 1.5, (3, 2))
    codec = ["-c:v", "libvpx-vp9", "-b:v", "500k", "-deadline", "realtime", "-cpu-used", "6"]
    if name != "something":
        codec = ["-c:v", "libx264", "-preset", "medium", "-crf", "23"]
    path = scratch / (name + (".webm" if name == "something" else ".mp4"))
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(rate), "-i", "pipe:"]
    command = [arg for arg in FFMPEG if arg != "-nostdin"]
    command += [*raw, *codec, "-pix_fmt", "yuv420p", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
        for frame in range(frames):
            shifts = (steps * frame).astype(int)
            picture = _window(layers[0], shifts[0], height, width)
            for layer, mask, shift in zip(layers[1:], masks, shifts[1:], strict=True):
                over = _window(mask, shift, height, width)
                picture = picture * (1 - over) + _window(layer, shift, height, width) * over
            noisy = picture + draw.normal(0, 0.8, (height, width, 1))
            encoder.stdin.write(noisy.clip(0, 255).astype(np.uint8).tobytes())
    return path


def _window(canvas: np.ndarray, shift: np.ndarray, height: int, width: int) -> np.ndarray:
    rows, columns = (np.arange(size) + by for size, by in zip((height, width), shift, strict=True))
    return canvas[np.ix_(rows % len(canvas), columns % len(canvas))]


def _texture(draw: np.random.Generator, side: int) -> np.ndarray:
    """Return a periodic colour texture with the 1/f spectrum of natural pictures."""
    fy, fx = np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij")
    amplitude = 1 / np.maximum(np.hypot(fy, fx), 1 / side) ** 1.6
    grey, *tints = (np.fft.irfft2(amplitude * np.fft.rfft2(draw.normal(size=(side, side)))) for _ in range(4))
    colours = np.stack([grey + 0.4 * tint for tint in tints], -1)
    return (128 + 45 * (colours - colours.mean()) / colours.std()).astype(np.float32)
