"""Several ranks on this machine, as torchrun would start them, but forked from a process that has torch."""

import multiprocessing
import os
import socket
from collections.abc import Callable
from multiprocessing import forkserver

MEETINGS = 20
"""How many programs one start of ranks may go through."""

context = multiprocessing.get_context("forkserver")


def prepare() -> None:
    """Start the process to fork from, which imports torch while the first tests run."""
    slow = ["retrace.train.loop", "retrace.evaluate.score", "pytest", "torch._dynamo"]
    context.set_forkserver_preload(slow)
    forkserver.ensure_running()


def start(ranks: int, work: Callable[..., None], *args: object) -> list:
    """Do `work` with `args` on each of `ranks`; return the processes."""
    ports = _free_ports(MEETINGS) if ranks > 1 else []
    processes = [
        context.Process(target=_rank, args=(rank, ranks, ports, work, args)) for rank in range(ranks)
    ]
    for process in processes:
        process.start()
    return processes


def exit_codes(processes: list, seconds: float = 60) -> list[int]:
    """Return the exit code of each; those that hang are killed."""
    for process in processes:
        process.join(seconds)
        if process.is_alive():
            process.kill()
            process.join()
    return [process.exitcode for process in processes]


def on_ranks(ranks: int, work: Callable[..., None], *args: object) -> list[int]:
    """Do `work` on `ranks` and return their exit codes."""
    return exit_codes(start(ranks, work, *args))


def meet_anew() -> None:
    """Let the ranks meet once more, elsewhere: torchrun would start new processes for each program."""
    if places := os.environ.get("PLACES"):
        os.environ["MASTER_PORT"], _, os.environ["PLACES"] = places.partition(" ")


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("localhost", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _rank(rank: int, ranks: int, ports: list[int], work: Callable[..., None], args: tuple) -> None:
    places = {"RANK": rank, "WORLD_SIZE": ranks, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": ranks}
    if ranks > 1:
        os.environ |= {name: str(value) for name, value in places.items()}
        os.environ |= {"MASTER_ADDR": "localhost", "PLACES": " ".join(map(str, ports))}
        meet_anew()
    work(*args)
