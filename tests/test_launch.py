"""How a step is started on the GPUs it was given, and that it is."""

import socket
import sys

import pytest

from retrace.launch import launcher, spread


def test_one_gpu_needs_no_launcher():
    assert launcher(1, 1, {}) == []
    assert launcher(1, 1, {"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": "3"}) == []


def test_a_gpu_asked_for_under_another_name_counts_as_one():
    assert launcher(0, 1, {}) == []


def test_several_gpus_of_one_machine_take_torchrun():
    words = launcher(4, 1, {})
    assert words[:3] == [sys.executable, "-m", "torch.distributed.run"]
    assert {"--standalone", "--nproc-per-node=4"} <= set(words)


def test_under_slurm_the_gpus_are_those_it_made_visible():
    job = {"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": "0,2,5"}
    assert "--nproc-per-node=3" in launcher(0, 1, job)
    assert "--nproc-per-node=8" in launcher(8, 1, {"SLURM_JOB_ID": "7"})
    assert launcher(1, 1, {"CUDA_VISIBLE_DEVICES": "0,2,5"}) == []


def test_several_machines_meet_on_this_one_at_a_free_port():
    words = launcher(1, 2, {})
    srun, torchrun = words[: words.index(sys.executable)], words[words.index(sys.executable) :]
    assert srun[0] == "srun" and {"--nodes=2", "--ntasks=2", "--ntasks-per-node=1"} <= set(srun)
    assert {"--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d"} <= set(torchrun)
    endpoint = next(word for word in torchrun if word.startswith("--rdzv-endpoint="))
    host, port = endpoint.partition("=")[2].rsplit(":", 1)
    assert host == socket.gethostname()
    with socket.socket() as probe:
        probe.bind(("", int(port)))


def test_the_warning_of_a_time_limit_does_not_kill_torchrun():
    word = next(word for word in launcher(2, 1, {}) if word.startswith("--signals-to-handle="))
    assert "SIGUSR1" in word.partition("=")[2].split(",")


def test_what_torchrun_has_started_is_not_spread_again(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setattr("os.execvp", lambda *command: pytest.fail(f"{command} was started"))
    spread(2, 1)


def test_the_command_itself_is_started_again_on_every_gpu(monkeypatch):
    started = []
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setattr("sys.argv", ["retrace", "train", "--spec", "a spec.json", "--gpus", "2"])
    monkeypatch.setattr("os.execvp", lambda program, words: started.append((program, words)))
    spread(2, 1)
    [(program, words)] = started
    assert program == sys.executable
    assert words[-7:] == ["-m", "retrace", "train", "--spec", "a spec.json", "--gpus", "2"]
