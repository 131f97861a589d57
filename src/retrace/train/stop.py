"""Ending early on request: a signal, or the time limit drawing near."""

import signal
import time
from types import FrameType

EXIT_RESUME = 75
"""Exit code of a training that saved a checkpoint and wants to be started again (EX_TEMPFAIL)."""

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class Interrupted(SystemExit):
    """Raised where the state of training is whole; unhandled, it ends the process with EXIT_RESUME."""

    def __init__(self, reason: str) -> None:
        super().__init__(EXIT_RESUME)
        self.reason = reason


class StopRequests:
    """Within this context SIGTERM, SIGUSR1 and the end of `minutes` make `check` raise Interrupted.

    A twentieth of the time, two minutes at most, is kept for the step under way and the checkpoint.
    """

    def __init__(self, minutes: float | None) -> None:
        self._reason: str | None = None
        self._deadline = None
        if minutes is not None:
            self._deadline = time.monotonic() + 60 * minutes - min(120.0, 3 * minutes)

    def __enter__(self) -> "StopRequests":
        self._previous = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise Interrupted if a stop has been asked for."""
        if self._deadline is not None and time.monotonic() > self._deadline:
            self._reason = "the time limit is near"
        if self._reason is not None:
            raise Interrupted(self._reason)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._reason = signal.Signals(number).name
