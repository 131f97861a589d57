"""The processes that train or score one run together, one for each GPU, as torchrun starts them.

Each learns from the environment variables RANK, WORLD_SIZE and LOCAL_RANK who it is. Without them, or with
one rank, nothing here does anything. GPUs talk by NCCL, processes on the CPU by gloo.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import torch
import torch.distributed as dist

from retrace.errors import UserError
from retrace.train.device import prepare_device
from retrace.train.exits import Abandoned

TIMEOUT = timedelta(minutes=30)
"""How long a rank waits for the others: for their clips, or for rank 0 to write a checkpoint."""


@dataclass
class Ranks:
    """Which rank this process is, of how many, and what they do together."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    """Its number on its node, and so the number of its GPU."""
    on_node: int = 1
    """Ranks on its node."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    _groups: dict[range, dist.ProcessGroup | None] = field(default_factory=dict)

    @property
    def first(self) -> bool:
        """Return whether this rank is the one that writes and speaks."""
        return self.rank == 0

    @property
    def nodes(self) -> int:
        """Return on how many machines the ranks are."""
        return -(-self.count // self.on_node)

    def add_up(self, values: torch.Tensor) -> torch.Tensor:
        """Return `values` summed over all ranks, the same on each to the last bit; in place.

        Every rank has to call it, as often and with the same shape.
        """
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def total(self, value: float) -> float:
        """Return the sum of one number over all ranks; see `add_up`."""
        if self.count == 1:
            return value
        return self.add_up(torch.tensor(value, dtype=torch.float64, device=self.device)).item()

    def wait(self) -> None:
        """Return when all ranks have called it."""
        self.total(0.0)

    def group(self, ranks: range) -> dist.ProcessGroup | None:
        """Return what `ranks`, if they are several, talk to each other by.

        Every rank has to call it, whether it is one of them or not, and in the same order as the others.
        """
        if len(ranks) == 1:
            return None
        if ranks not in self._groups:
            whole = len(ranks) == self.count
            self._groups[ranks] = dist.group.WORLD if whole else dist.new_group(list(ranks))
        return self._groups[ranks]


@contextmanager
def together() -> Iterator[Ranks]:
    """Yield this process's place among the ranks, which can reach each other and have their devices.

    Raises UserError where the environment or the GPUs do not fit, and Abandoned when another rank is gone.
    """
    ranks = of_environment()
    ranks.device = prepare_device(ranks.local_rank, ranks.on_node)
    if ranks.count == 1:
        yield ranks
        return
    on_gpu = ranks.device.type == "cuda"
    backend, device = ("nccl", ranks.device) if on_gpu else ("gloo", None)
    try:
        dist.init_process_group(backend, timeout=TIMEOUT, device_id=device)
        yield ranks
        ranks.wait()  # what rank 0 writes is there when any of them returns
    except Exception as error:
        if _says_lost(error):
            raise Abandoned("another rank is gone") from error
        raise
    # not after an error: ranks that no longer act together would wait for each other in it
    dist.destroy_process_group()


def of_environment() -> Ranks:
    """Return the place that torchrun gave this process; without torchrun it is alone.

    Raises UserError where its variables are incomplete or contradict each other.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    found = {name: os.environ[name] for name in names if name in os.environ}
    if "RANK" not in found and "WORLD_SIZE" not in found:
        return Ranks()
    told = ", ".join(f"{name}={value}" for name, value in found.items())
    if len(found) < len(names) or not all(value.isdecimal() for value in found.values()):
        raise UserError(f"expected {', '.join(names)}, as torchrun sets them; found {told}")
    rank, count, local_rank, on_node = (int(value) for value in found.values())
    if not (rank < count and local_rank < on_node <= count):
        raise UserError(f"{told} contradict each other: ranks are counted from 0")
    return Ranks(rank, count, local_rank, on_node)


def _says_lost(error: Exception) -> bool:
    """Return whether `error` tells that another rank died: NCCL's errors have a class, gloo's have none."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))
