"""Starting a step once for every GPU it was given: torchrun on one node, srun and torchrun on several."""

import os
import socket
import sys
from collections.abc import Mapping, Sequence

SIGNALS = "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1"
"""What torchrun passes on to the processes it started. Of SIGUSR1 it would die, and they with it."""


def spread(gpus: int, nodes: int) -> None:
    """Start this very command once for every GPU, in the place of this process; return where one is enough.

    `gpus` were asked for on each of `nodes` machines, of which this is the first. Also returns in a process
    that was started so, which torchrun has told its RANK.
    """
    command = launcher(gpus, nodes, os.environ)
    if command and "RANK" not in os.environ:
        command += ["-m", "retrace", *sys.argv[1:]]
        os.execvp(command[0], command)


def launcher(gpus: int, nodes: int, environment: Mapping[str, str]) -> list[str]:
    """Return the words of a command that starts a module once for every GPU, none for a single one.

    Under SLURM the GPUs are those that it made visible on this node, under whatever name they were asked for.
    """
    visible = environment.get("CUDA_VISIBLE_DEVICES", "") if "SLURM_JOB_ID" in environment else ""
    processes = len(visible.split(",")) if visible else max(gpus, 1)
    if processes * nodes == 1:
        return []
    torchrun = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}"]
    torchrun += [f"--signals-to-handle={SIGNALS}"]
    return [*torchrun, "--standalone"] if nodes == 1 else [*_srun(nodes), *torchrun, *_meet(nodes)]


def _srun(nodes: int) -> Sequence[str]:
    """Return the words that run a command once on each node, where it may use all that the job has there."""
    once = ("--ntasks-per-node=1", "--cpu-bind=none")
    return ("srun", f"--nodes={nodes}", f"--ntasks={nodes}", *once, "--kill-on-bad-exit=1")


def _meet(nodes: int) -> Sequence[str]:
    """Return torchrun's words for a meeting of several nodes on this one, at a port that is free on it."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    where = f"--rdzv-endpoint={socket.gethostname()}:{port}"
    return (f"--nnodes={nodes}", "--rdzv-backend=c10d", where)
