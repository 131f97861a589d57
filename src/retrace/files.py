"""Files that are either wholly there or not there at all."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrace.errors import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, remove it on failure.

    The temporary file keeps the suffix, because many writers choose their format by it.
    Raises UserError if the disk is full.
    """
    path = Path(path)
    with room_for(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Turn whatever error a full disk becomes, while `path` is written, into a UserError that says so."""
    try:
        yield
    except Exception as error:
        if _tells_full(error):
            raise UserError(f"{path} could not be written: the disk is full, or a quota used up.") from error
        raise


def to_disk(path: Path) -> None:
    """Return when `path` is on the disk: in no cache that goes with the machine, and no error outstanding."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def write_text(path: Path | str, text: str) -> None:
    """Write `text` to `path` atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _tells_full(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        if any(f"(os error {number})" in str(error) for number in _FULL):  # libraries in Rust
            return True
        error = error.__cause__ or error.__context__  # torch.save puts an error of its own over it
    return False


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
