"""Where a run stands: what the log says of it, which epoch is best, and whether it is over."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import nn

from retrace.plan.spec import Protocol
from retrace.train.matching import MONITOR, nearest_epochs
from retrace.train.weights import Weights, on_cpu


@dataclass
class Progress:
    """All that is remembered of a run, apart from weights, optimiser, schedule and random numbers."""

    MONITORED: ClassVar[str] = MONITOR
    """What the log calls the figure that decides which epoch is best."""
    epochs: int = 0
    """Epochs finished."""
    step: int = 0
    """Steps taken in the epoch under way; the next four are sums over them."""
    loss_sum: float = 0.0
    clips: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    """The part of `seconds` that went by until the clips were there."""
    best_epoch: int = 0
    best_val: float = -1.0
    best_weights: Weights = field(default_factory=dict)
    """Empty where the protocol keeps the last epoch."""
    matched_weights: dict[int, Weights] = field(default_factory=dict)
    """By epoch; those of the epochs that are nearest to the accuracies that the protocol wants."""
    log: list[dict[str, Any]] = field(default_factory=list)
    """The records of log.jsonl."""

    def why_over(self, protocol: Protocol) -> str | None:
        """Return why training is over, ``epochs`` or ``patience``, or None while it is not."""
        if self.epochs >= protocol.epochs:
            return "epochs"
        return "patience" if self.epochs - self.best_epoch >= protocol.patience else None

    def close_epoch(self, value: float, val_seconds: float, lr: float) -> bool:
        """Turn the sums of the epoch into a record of the log; return whether it is the best so far."""
        self.epochs += 1
        self.log.append(
            {
                "epoch": self.epochs,
                "step": self.epochs * self.step,
                "loss": self.loss_sum / self.clips,
                "lr": lr,
                self.MONITORED: value,
                "seconds": round(self.seconds, 3),
                "val_seconds": round(val_seconds, 3),
                "data_wait": round(self.waited / self.seconds, 4),
                "clips_per_second": round(self.clips / self.seconds, 1),
            }
        )
        self.step, self.clips = 0, 0
        self.loss_sum = self.seconds = self.waited = 0.0
        better = value > self.best_val
        if better:
            self.best_epoch, self.best_val = self.epochs, value
        return better

    def keep_matched(self, model: nn.Module, wanted: tuple[float, ...]) -> None:
        """Keep the weights of the epoch just closed if it is nearest to one of the accuracies `wanted`.

        Those of epochs that no longer are nearest to any are dropped.
        """
        nearest = set(nearest_epochs(self.history(), wanted).values())
        if self.epochs in nearest:
            self.matched_weights[self.epochs] = on_cpu(model)
        for epoch in self.matched_weights.keys() - nearest:
            del self.matched_weights[epoch]

    def history(self) -> list[dict[str, Any]]:
        """Return the log's records of epochs, in order, each epoch once."""
        return [record for record in self.log if "epoch" in record]

    def wall_seconds(self) -> float:
        """Return how long the epochs took, those before an interruption included."""
        return sum(record["seconds"] + record["val_seconds"] for record in self.history())
