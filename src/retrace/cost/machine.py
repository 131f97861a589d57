"""The machine that a speed is measured on: its clock, its memory, and what it is called."""

import ctypes
import gc
import os
import platform
import time
from pathlib import Path
from typing import Any

import torch

MEMORY_SHARE = 0.5
"""How much of a computer's memory a batch may take: beyond it the machine would swap before it says no."""
_KILO = 1024
_SELF = Path("/proc/self")


class Gpu:
    """The first GPU: wall time between synchronisations, its allocator's peak, its own end of memory."""

    device = torch.device("cuda")
    clock = "wall time"

    def __init__(self) -> None:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False

    def tune(self) -> None:
        """From now on try all algorithms for each new shape and take the fastest, as the papers do."""
        torch.backends.cudnn.benchmark = True

    def name(self) -> str:
        """Return the name of the card."""
        return torch.cuda.get_device_name()

    def memory(self) -> int:
        """Return the bytes of memory there are."""
        return torch.cuda.get_device_properties(0).total_memory

    def now(self) -> float:
        """Return the time in seconds, after all work that was asked for."""
        torch.cuda.synchronize()
        return time.perf_counter()

    def start_peak(self) -> None:
        """Forget the peak of memory so far."""
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()

    def peak(self) -> int:
        """Return the most bytes that tensors took at once, weights included."""
        return torch.cuda.max_memory_allocated()

    def may_fit(self, expected_bytes: float) -> bool:
        """A GPU is asked: it says so itself when its memory is full."""
        return True


class Cpu:
    """One thread: CPU time of the process, so that other work hardly shows; growth of its peak memory."""

    device = torch.device("cpu")
    clock = "CPU time of one thread"

    def __init__(self) -> None:
        torch.set_num_threads(1)
        self._before = 0

    def tune(self) -> None:
        """There is one algorithm for each shape."""

    def name(self) -> str:
        """Return what the processor is and can."""
        return f"{_model() or platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"

    def memory(self) -> int:
        """Return the bytes of memory there are."""
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    def now(self) -> float:
        """Return the process's CPU time in seconds."""
        return time.process_time()

    def start_peak(self) -> None:
        """Forget the peak of memory so far."""
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # or freed memory is used again, and none of it counts
        (_SELF / "clear_refs").write_text("5")
        self._before = _status("VmRSS")

    def peak(self) -> int:
        """Return by how many bytes the process has grown at most."""
        return max(_status("VmHWM") - self._before, 0)

    def may_fit(self, expected_bytes: float) -> bool:
        """Tell whether a batch that is expected to take so many bytes stays within its share."""
        return expected_bytes <= MEMORY_SHARE * self.memory()


def machine() -> Gpu | Cpu:
    """Return the GPU if there is one, else the CPU."""
    return Gpu() if torch.cuda.is_available() else Cpu()


def told(here: Gpu | Cpu) -> dict[str, Any]:
    """Return as plain data what has to stand beside a speed."""
    return {
        "hardware": here.name(),
        "device": here.device.type,
        "memory_bytes": here.memory(),
        "threads": torch.get_num_threads(),
        "clock": here.clock,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }


def _model() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)


def _status(key: str) -> int:
    """Return an entry of /proc/self/status in bytes."""
    lines = (_SELF / "status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * _KILO for line in lines if line.startswith(f"{key}:"))
