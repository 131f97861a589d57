"""How many frames a Matroska or WebM file holds, by walking its elements (RFC 8794, RFC 9559).

The format counts no frames, and its reader steps over what is damaged without a word: only the walk tells
that a file is whole.
"""

import mmap
from collections import Counter
from pathlib import Path

SEGMENT, TRACKS, TRACK, CLUSTER, BLOCK_GROUP = 0x18538067, 0x1654AE6B, 0xAE, 0x1F43B675, 0xA0
TRACK_NUMBER, SIMPLE_BLOCK, BLOCK = 0xD7, 0xA3, 0xA1


def blocks(path: Path) -> list[int]:
    """Return how many blocks each track has, in the order in which the file declares its tracks.

    Raises ValueError, which says how, where the elements do not follow each other to the file's end.
    """
    count: Counter[int] = Counter()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at, end = 0, len(data)
        while at < end:
            name, at = _number(data, at, 4, marked=True)
            size, at = _number(data, at, 8)
            if name in (SEGMENT, TRACKS, TRACK, CLUSTER, BLOCK_GROUP):
                continue  # step into it; whether its size is known does not matter then
            if name == TRACK_NUMBER:
                count[int.from_bytes(data[at : at + size], "big")] = 0
            elif name in (SIMPLE_BLOCK, BLOCK):
                count[_number(data, at, 8)[0]] += 1
            at += size
    if at > end:
        raise ValueError(f"cut off: {at - end} bytes are missing at the end")
    return list(count.values())


def _number(data: mmap.mmap, at: int, longest: int, marked: bool = False) -> tuple[int, int]:
    """Read a number whose leading zero bits tell its length, with or without the bit that marks it."""
    length = 9 - data[at].bit_length() if at < len(data) else 1
    if length > longest:
        raise ValueError(f"damaged at byte {at}")
    number = int.from_bytes(data[at : at + length], "big")
    return number if marked else number & ~(1 << 7 * length), at + length
