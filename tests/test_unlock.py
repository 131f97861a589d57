"""A killed Snakemake's lock is taken away, a living one's is not."""

import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from retrace.errors import UserError
from retrace.unlock import LOCKS, unlock


@pytest.fixture
def locked(tmp_path) -> Path:
    (tmp_path / LOCKS).mkdir(parents=True)
    (tmp_path / LOCKS / "0.input.lock").write_text("results/x\n")
    (tmp_path / ".snakemake/metadata").mkdir()
    return tmp_path


@contextmanager
def process(folder: Path, *command: str, executable: str | None = None):
    """Let a process run in `folder` that looks like `command`."""
    running = subprocess.Popen(command, executable=executable, cwd=folder)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def called(name: str, folder: Path):
    """Let a process run in `folder` that goes by `name`."""
    return process(folder, name, "60", executable=shutil.which("sleep"))


def refused(folder: Path, running: subprocess.Popen) -> bool:
    with pytest.raises(UserError, match=f"^process {running.pid} is at work here; wait for it or stop it"):
        unlock(folder)
    return (folder / LOCKS / "0.input.lock").exists()


def test_without_a_lock_there_is_nothing_to_do(tmp_path):
    unlock(tmp_path)
    with called("snakemake", tmp_path):
        unlock(tmp_path)


def test_a_lock_that_nobody_holds_is_removed_and_nothing_else(locked):
    unlock(locked)
    assert not (locked / LOCKS).exists()
    assert (locked / ".snakemake/metadata").exists()
    unlock(locked)


@pytest.mark.parametrize("name", ["snakemake", "/somewhere/.venv/bin/snakemake", "/usr/bin/retrace"])
def test_a_lock_stays_while_somebody_works_there(locked, name):
    with called(name, locked) as running:
        assert refused(locked, running)
    unlock(locked)
    assert not (locked / LOCKS).exists()


def test_a_program_is_known_behind_the_python_that_runs_it(locked):
    (locked / "snakemake.py").write_text("import time; time.sleep(60)")
    with process(locked, sys.executable, "-m", "snakemake") as running:
        assert refused(locked, running)
    (locked / "snakemake.py").rename(locked / "snakemake")
    with process(locked, sys.executable, "snakemake", "--cores", "1") as running:
        assert refused(locked, running)


def test_work_elsewhere_and_other_work_do_not_count(locked, tmp_path_factory):
    looking = [sys.executable, "-c", "import time; time.sleep(60)", "elsewhere/retrace"]
    with called("snakemake", tmp_path_factory.mktemp("elsewhere")), process(locked, *looking):
        unlock(locked)
    assert not (locked / LOCKS).exists()
