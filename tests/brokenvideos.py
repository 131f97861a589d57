"""Sources that no extraction may take for whole: what writes each of them, and the reason to be given."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import videofiles
from videofiles import encode, jpegs, make, pictures

# takes the folder of whole videos and an empty one, writes into the second, returns the source
Writer = Callable[[Path, Path], Path]
Change = Callable[[bytes], bytes]

UNOPENED = "cannot be opened as a video"
HARMED = f"{UNOPENED}|damaged|cut off"


def content(name: str, data: bytes) -> Writer:
    """Write a file of these bytes."""

    def write(whole: Path, home: Path) -> Path:
        (home / name).write_bytes(data)
        return home / name

    return write


def changed(kind: str, change: Change) -> Writer:
    """Write a whole video, changed."""
    return lambda whole, home: content(kind, change(make(whole, kind).read_bytes()))(whole, home)


def cut(kind: str, share: float) -> Writer:
    """Write the first part of a whole video."""
    return changed(kind, lambda data: data[: int(len(data) * share)])


def folder(change: Callable[[Path], object]) -> Writer:
    """Write a folder of JPEGs, changed."""

    def write(whole: Path, home: Path) -> Path:
        path = jpegs(home / "frames", pictures(8))
        change(path)
        return path

    return write


def fourth(change: Change) -> Writer:
    """Write a folder of JPEGs, the fourth changed."""
    return folder(lambda path: (path / "00004.jpg").write_bytes(change((path / "00004.jpg").read_bytes())))


def narrower(path: Path) -> None:
    """Make the fourth JPEG of a folder narrower."""
    encode(path / "00004.jpg", pictures(1, width=80), "-pix_fmt", "yuvj420p")


def hole(data: bytes) -> bytes:
    """Zero a part in the middle."""
    at = len(data) // 2
    return data[: at - 400] + bytes(800) + data[at + 400 :]


def huge(data: bytes) -> bytes:
    """Claim 65500x65500 in the first frame header of a JPEG."""
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + b"\xff\xdc\xff\xdc" + data[at + 4 :]


def sizes_change(whole: Path, home: Path) -> Path:
    """Copy JPEGs of two sizes into one video."""
    frames = folder(narrower)(whole, home)
    return videofiles.copied(home / "sizes.mkv", ["-i", str(frames / "%05d.jpg")])


def mixed(whole: Path, home: Path) -> Path:
    """Put a WebM under the header of an MP4."""
    header = make(whole, "b-frames.mp4").read_bytes()[:48]
    return content("mixed.mp4", header + make(whole, "vp9.webm").read_bytes())(whole, home)


def thread(whole: Path, home: Path) -> Path:
    """Write a video that would be stored far too high."""
    return encode(home / "thread.avi", pictures(3, width=8, height=1600), "-c:v", "mjpeg")


def png(whole: Path, home: Path) -> Path:
    """Name a picture a video."""
    return encode(home / "1.png", pictures(1), "-pix_fmt", "rgb24").rename(home / "png.mp4")


def pipe(whole: Path, home: Path) -> Path:
    """Make a file that would be read forever."""
    os.mkfifo(home / "pipe.mp4")
    return home / "pipe.mp4"


def dangling(whole: Path, home: Path) -> Path:
    """Make a link to nothing."""
    (home / "link.mp4").symlink_to("nowhere.mp4")
    return home / "link.mp4"


def folder_of_videos(whole: Path, home: Path) -> Path:
    """Give a folder where a file was meant."""
    shutil.copy(make(whole, "mjpeg.avi"), home)
    return home


CUTS = {
    "b-frames.mp4": (0.01, 0.5, 0.9),
    "fragmented.mp4": (0.02, 0.4, 0.8),
    "vp9.webm": (0.01, 0.3, 0.7, 0.99),
    "ten-bit.mkv": (0.2, 0.95),
    "mpeg4.avi": (0.05, 0.3, 0.6, 0.9),
    "mjpeg.avi": (0.6,),
}
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nother.ts\n#EXT-X-ENDLIST\n"
BROKEN: dict[str, tuple[Writer, str]] = {
    **{
        f"{kind} cut at {share}": (cut(kind, share), f"{HARMED}|holds no")
        for kind, shares in CUTS.items()
        for share in shares
    },
    "zero bytes": (content("zero.mp4", b""), UNOPENED),
    "nothing but zeros": (content("zeros.mp4", bytes(100_000)), UNOPENED),
    "text": (content("text.mp4", b"not a video at all\n" * 500), UNOPENED),
    "a playlist that names another file": (content("list.mp4", PLAYLIST), UNOPENED),
    "a script that names another file": (content("a.webm", b"ffconcat version 1.0\nfile a.mp4\n"), UNOPENED),
    "a picture": (png, UNOPENED),
    "sound only": (lambda whole, home: videofiles.sound_only(home / "sound.mp4"), "holds no video"),
    "webm under an mp4 header": (mixed, UNOPENED),
    "another codec's name": (changed("b-frames.mp4", lambda data: data.replace(b"avc1", b"vp09")), HARMED),
    "no codec's name": (changed("b-frames.mp4", lambda data: data.replace(b"avc1", b"zzzz")), "codec|opened"),
    "a hole in mp4": (changed("b-frames.mp4", hole), "damaged"),
    "a hole in webm": (changed("vp9.webm", hole), "damaged"),
    "sizes change": (sizes_change, "changes from 96x64 yuvj420p to 80x64 yuvj420p at frame 3"),
    "a thread": (thread, "would be stored as 128x25600"),
    "absurd size": (changed("mjpeg.avi", huge), HARMED),
    "a pipe": (pipe, "is not a file"),
    "a dangling link": (dangling, "does not exist"),
    "nothing": (lambda whole, home: home / "nothing.mp4", "does not exist"),
    "a folder of videos": (folder_of_videos, "without JPEGs"),
    "an empty folder": (folder(lambda path: [file.unlink() for file in path.iterdir()]), "without JPEGs"),
    "a gap": (folder(lambda path: (path / "00005.jpg").unlink()), "number 5 is missing, 8 is there"),
    "a late start": (folder(lambda path: (path / "00001.jpg").unlink()), "number 1 is missing"),
    "a JPEG without a number": (
        folder(lambda path: (path / "00003.jpg").rename(path / "cover.jpg")),
        r"cover\.jpg is not named by a number",
    ),
    "a JPEG cut off": (fourth(lambda data: data[:600]), r"00004\.jpg"),
    "a JPEG of zero bytes": (fourth(lambda data: b""), r"00004\.jpg"),
    "a JPEG of text": (fourth(lambda data: b"text" * 99), r"00004\.jpg"),
    "a JPEG of absurd size": (fourth(huge), r"00004\.jpg"),
    "JPEGs of two sizes": (folder(narrower), "changes from 96x64 yuvj420p to 80x64 yuvj420p at frame 3"),
}
