"""Ending early on request: a signal, or the time limit drawing near."""

import signal
import time
from types import FrameType

from retrace.train.exits import Interrupted
from retrace.train.ranks import Ranks

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class StopRequests:
    """Within this context SIGTERM, SIGUSR1 and the end of `minutes` make `check` raise Interrupted.

    A twentieth of the time, two minutes at most, is kept for the step under way and the checkpoint. Where one
    of several `ranks` is asked to stop, all of them do, at the same `check`.
    """

    def __init__(self, minutes: float | None, ranks: Ranks) -> None:
        self._ranks = ranks
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
        """Raise Interrupted if a stop has been asked for. All ranks have to call it equally often."""
        if self._deadline is not None and time.monotonic() > self._deadline:
            self._reason = "the time limit is near"
        if self._ranks.total(self._reason is not None):
            raise Interrupted(self._reason or "another rank was asked to stop")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._reason = signal.Signals(number).name
