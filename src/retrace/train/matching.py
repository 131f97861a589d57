"""Epochs matched by validation accuracy, so that models are compared where they are equally good.

"Recur, Attend or Convolve?", supplement, section 4 (experiments e to h), and the authors' code.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MONITOR = "monitor/val_top1"


def nearest_epochs(history: Sequence[Mapping[str, Any]], wanted: Iterable[float]) -> dict[float, int]:
    """Return for each accuracy that is wanted the epoch nearest to it: of two equally near, the first.

    `history` holds the log's records of epochs, in order, at least one.
    """

    def nearest(accuracy: float) -> int:
        return min(history, key=lambda record: round(abs(record[MONITOR] - accuracy), 9))["epoch"]

    return {accuracy: nearest(accuracy) for accuracy in wanted}
