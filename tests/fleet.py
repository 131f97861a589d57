"""Several ranks on this machine, as torchrun would start them, but forked from a process that has torch."""

import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing import forkserver

from torch.distributed import TCPStore

_PROGRAMS = 12
"""The most that ranks go through in one start."""
_CONTEXT = multiprocessing.get_context("forkserver")


def prepare() -> None:
    """Start the process to fork from, which imports torch while the first tests run."""
    slow = ["retrace.train.loop", "retrace.evaluate.score", "pytest", "torch._dynamo"]
    _CONTEXT.set_forkserver_preload(slow)
    forkserver.ensure_running()


def on_ranks(ranks: int, work: Callable[..., None], *args: object, seconds: float = 90) -> list[int]:
    """Do `work` with `args` on each of `ranks`; return their exit codes. Those that hang are killed."""
    # where they meet; torchrun, too, has such a store of its own
    places = [TCPStore("localhost", 0, is_master=True, wait_for_workers=False) for _ in range(_PROGRAMS)]
    ports = " ".join(str(place.port) for place in places)
    everyone = [(rank, ranks, ports, work, args) for rank in range(ranks)]
    processes = [_CONTEXT.Process(target=_rank, args=one) for one in everyone]
    for process in processes:
        process.start()
    end = time.monotonic() + seconds
    for process in processes:
        process.join(max(end - time.monotonic(), 0))
        if process.is_alive():
            process.kill()
            process.join()
    return [process.exitcode for process in processes]


def meet_anew() -> None:
    """Let the ranks meet once more, as for a new program: torchrun would start new processes for it."""
    os.environ["MASTER_PORT"], _, os.environ["LATER_PORTS"] = os.environ["LATER_PORTS"].partition(" ")


def _rank(rank: int, ranks: int, ports: str, work: Callable[..., None], args: tuple) -> None:
    places = {"RANK": rank, "WORLD_SIZE": ranks, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": ranks}
    os.environ |= {name: str(value) for name, value in places.items()}
    os.environ |= {"MASTER_ADDR": "localhost", "LATER_PORTS": ports, "TORCHELASTIC_USE_AGENT_STORE": "True"}
    meet_anew()
    work(*args)
