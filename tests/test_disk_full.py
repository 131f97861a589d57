"""A full disk ends a step with a clear word; what was there stays, and nothing is half there."""

import errno
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from retrace.errors import UserError
from retrace.evaluate import score as scoring
from retrace.files import atomic, write_text
from retrace.plan.spec import View
from retrace.train.loop import train
from toy import interrupt, results, toy_run, toy_split, workplace, write_data, write_split

RUN = toy_run()
FULL = "could not be written: the disk is full"


@pytest.fixture(autouse=True)
def place(tmp_path):
    with workplace(tmp_path):
        write_data(RUN)
        yield tmp_path


def no_room(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def files(folder: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_without_room_for_a_checkpoint_the_one_before_stays_and_the_run_goes_on_from_it(monkeypatch):
    train(RUN, Path("undisturbed"))
    interrupt(RUN, Path("run"), steps=4)
    before = files("run/checkpoint")
    with monkeypatch.context() as full:
        full.setattr("retrace.train.checkpoint.SAVE_EVERY_SECONDS", -1.0)
        full.setattr("retrace.files.os.fsync", no_room)
        with pytest.raises(UserError, match=f"latest.pt {FULL}"):
            train(RUN, Path("run"))
    assert files("run/checkpoint") == before
    assert FULL in json.loads(Path("run/failure.json").read_text())["reason"]
    train(RUN, Path("run"))
    assert results(Path("run")) == results(Path("undisturbed"))


def test_without_room_for_the_weights_there_are_none_and_the_checkpoint_stays(monkeypatch):
    interrupt(RUN, Path("run"), steps=14)
    before = files("run/checkpoint")
    with monkeypatch.context() as full:
        full.setattr("retrace.train.weights.to_disk", no_room)
        with pytest.raises(UserError, match=f"weights.safetensors {FULL}"):
            train(RUN, Path("run"))
    assert files("run/checkpoint") == before
    assert {path.name for path in Path("run").iterdir()} == {"checkpoint", "failure.json", "log.jsonl"}


def test_without_room_even_for_the_failure_the_reason_is_told(monkeypatch, capsys):
    with monkeypatch.context() as full:
        full.setattr("retrace.train.loop.rewrite_log", no_room)
        full.setattr("retrace.train.outputs.write_text", no_room)
        with pytest.raises(OSError, match="No space left"):
            train(RUN, Path("run"))
    assert "run/failure.json could not be written" in capsys.readouterr().err


def test_without_room_for_scores_those_before_stay(monkeypatch):
    write_split(toy_split("test", 31))
    view = View(name="toy", order="forward", domains={"near": toy_split("test", 31)})
    train(RUN, Path("run"))
    scoring.score(RUN, Path("run"), view, Path("out"))
    before = files("out")
    with monkeypatch.context() as full:
        full.setattr(scoring.pq, "write_table", no_room)
        with pytest.raises(UserError, match=f"scores.parquet {FULL}"):
            scoring.score(RUN, Path("run"), view, Path("out"))
    assert files("out") == before


@pytest.fixture
def small_disk(place):
    """A file system with a megabyte of room."""
    disk = place / "disk"
    disk.mkdir()
    if not shutil.which("mount"):
        pytest.skip("there is no mount here")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_every_library_that_writes_is_understood_when_it_means_a_full_disk(small_disk):
    large = {"a": torch.rand(1000, 1000)}

    def checkpoint(path: Path) -> None:
        with path.open("wb") as file:
            torch.save(large, file)

    writers = {
        "latest.pt": checkpoint,
        "weights.safetensors": lambda path: save_file(large, path),
        "scores.parquet": lambda path: pq.write_table(pa.table({"a": np.random.rand(10**6)}), path),
        "log.jsonl": lambda path: path.write_text("x" * 2**21),
    }
    for name, write in writers.items():
        write_text(small_disk / name, "before")
        with pytest.raises(UserError, match=f"{name} {FULL}"), atomic(small_disk / name) as temporary:
            write(temporary)
        assert (small_disk / name).read_text() == "before"
    assert {path.name for path in small_disk.iterdir()} == writers.keys()


def test_a_run_on_a_disk_that_fills_up_goes_on_when_there_is_room(small_disk, monkeypatch):
    monkeypatch.setattr("retrace.train.checkpoint.SAVE_EVERY_SECONDS", -1.0)
    train(RUN, Path("undisturbed"))
    run = small_disk / "run"
    interrupt(RUN, run, steps=4)
    (small_disk / "other").write_bytes(b"x" * (2**20 - 3 * (run / "checkpoint/latest.pt").stat().st_size))
    with pytest.raises(UserError, match=FULL):
        for _ in range(100):  # each step somebody else takes some room
            with (small_disk / "other").open("ab") as other:
                other.write(b"x" * 4096)
            interrupt(RUN, run, steps=1)
    (small_disk / "other").unlink()
    train(RUN, run)
    kept, expected = load_file(run / "weights.safetensors"), load_file("undisturbed/weights.safetensors")
    assert all(torch.equal(kept[name], expected[name]) for name in expected)
