"""As a cluster's job starts them: torchrun, its signals, and the environment that it gives a rank."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from pages import ENVIRONMENT
from retrace.cli import main
from retrace.errors import UserError
from retrace.models import registry
from retrace.plan.layout import run_folder
from retrace.train import device
from retrace.train.ranks import of_environment
from toy import toy_run, workplace, write_data

SIGNALS = "--signals-to-handle=SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1"
TORCHRUN = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", SIGNALS]
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
RUN = toy_run(select="last", epochs=100, patience=100)
FOLDER = run_folder(RUN)


def wait_for_epochs(count: int, running: subprocess.Popen) -> None:
    log = FOLDER / "log.jsonl"
    while not log.exists() or len(log.read_text().splitlines()) < count:
        assert running.poll() is None, running.communicate()[1]
        time.sleep(0.05)


def test_two_ranks_under_torchrun_stop_at_a_signal_and_one_goes_on(tmp_path):
    """torchrun itself always leaves with 1; what stays is a checkpoint and no failure."""
    with workplace(tmp_path, registry.build):
        write_data(RUN)
        FOLDER.mkdir(parents=True)
        (FOLDER / "spec.json").write_text(RUN.model_dump_json())
        train = ["train", "--spec", str(FOLDER / "spec.json")]
        command = [sys.executable, "-m", *TORCHRUN, "-m", "retrace", *train]
        running = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
        wait_for_epochs(2, running)
        running.send_signal(signal.SIGUSR1)
        _, said = running.communicate(timeout=60)
        assert running.returncode == 1
        assert said.count("stopped at epoch") == 1 and "SIGUSR1. Start again to resume." in said
        assert [path.name for path in (FOLDER / "checkpoint").iterdir()] == ["latest.pt"]
        assert not (FOLDER / "failure.json").exists() and not (FOLDER / "weights.safetensors").exists()
        main(train)
        logged = [json.loads(line) for line in (FOLDER / "log.jsonl").read_text().splitlines()]
        assert [record["epoch"] for record in logged] == list(range(1, 101))
        assert torch.isfinite(load_file(FOLDER / "weights.safetensors")["head.weight"]).all()


def set_variables(monkeypatch, **values: str) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_without_torchrun_a_process_is_alone(monkeypatch):
    set_variables(monkeypatch, LOCAL_RANK="3")
    assert (of_environment().rank, of_environment().count) == (0, 1)


def test_with_torchrun_a_process_knows_its_place_among_two_nodes(monkeypatch):
    set_variables(monkeypatch, RANK="5", WORLD_SIZE="8", LOCAL_RANK="1", LOCAL_WORLD_SIZE="4")
    ranks = of_environment()
    assert (ranks.rank, ranks.count, ranks.local_rank, ranks.on_node, ranks.nodes) == (5, 8, 1, 4, 2)
    assert not ranks.first


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"RANK": "0", "WORLD_SIZE": "2"}, "expected RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE"),
        ({"RANK": "x", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}, "found RANK=x"),
        (
            {"RANK": "2", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"},
            "contradict each other",
        ),
    ],
)
def test_an_environment_that_makes_no_sense_is_refused(monkeypatch, values, message):
    set_variables(monkeypatch, **values)
    with pytest.raises(UserError, match=message):
        of_environment()


def test_more_ranks_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match="4 ranks were started on this machine, which has 2 GPUs"):
        device.prepare_device(3, 4)


def test_ranks_of_one_machine_share_its_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    gpu = torch.device("cuda")
    assert [device.loader_workers(gpu, ranks) for ranks in (1, 4, 16)] == [15, 3, 0]
    assert device.loader_workers(torch.device("cpu"), 1) == 0
