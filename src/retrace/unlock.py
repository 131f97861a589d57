"""Taking away the lock that a killed Snakemake leaves behind, and only that one."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil

from retrace.errors import UserError

LOCKS = Path(".snakemake/locks")
PROGRAMS = {"snakemake", "retrace"}


def unlock(root: Path) -> None:
    """Remove Snakemake's lock on `root` if nobody on this machine works there; do nothing if there is none.

    The lock is a file that names no owner, so a killed Snakemake keeps its folder locked for ever. A step
    that outlived its Snakemake counts as work too: two processes must not write the same run. Raises
    UserError that names the process which still works there.
    """
    if not (root / LOCKS).exists():
        return
    for process in _at_work(root.resolve()):
        command = " ".join(process.cmdline())
        raise UserError(f"process {process.pid} is at work here; wait for it or stop it first: {command}")
    shutil.rmtree(root / LOCKS)


def _at_work(root: Path) -> Iterator[psutil.Process]:
    """Yield every process that runs Snakemake or a step in `root`, except this one and what started it."""
    own = {psutil.Process().pid, *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter():
        try:
            works = process.pid not in own and _program(process.cmdline()) in PROGRAMS
            if works and Path(process.cwd()) == root:
                yield process
        except psutil.Error:  # it has ended meanwhile, or belongs to somebody else
            continue


def _program(command: list[str]) -> str:
    """Return the name of the program that `command` runs, seen through the Python that runs it."""
    words = command[:3]
    if words and Path(words[0]).name.startswith("python"):
        words = words[2:] if words[1:2] == ["-m"] else words[1:]
    return Path(words[0]).name if words else ""
