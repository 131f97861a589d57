"""What a recurrence remembers for its backward pass, and where that memory waits for its next use."""

from collections import defaultdict
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Kind:
    """What tapes have in common that can stand in for each other."""

    steps: int
    clips: int
    height: int
    width: int
    channels: int
    hidden: int
    gates: torch.dtype
    state: torch.dtype
    device: torch.device


@dataclass(frozen=True)
class Tape:
    """What some clips leave behind at every step; `steps` is 1 if each step overwrites the one before."""

    kind: Kind
    fed: Tensor
    """(steps, clips, H, W, N + C): h of the step before and x, side by side; the convolution's input."""
    gates: Tensor
    """(steps, clips, H, W, 4N): the sigmoids of i, f, o and -2g, side by side."""
    state: Tensor
    """(steps, clips, H, W, N): z = -2c."""
    winner: Tensor
    """(steps, clips, H // 2, W // 2, N): the pixel that each pool kept, counted along the rows."""

    @classmethod
    def blank(cls, kind: Kind) -> "Tape":
        """Return a tape with arbitrary content."""
        plane = (kind.steps, kind.clips, kind.height, kind.width)
        pooled = (kind.steps, kind.clips, kind.height // 2, kind.width // 2, kind.hidden)
        return cls(
            kind,
            fed=torch.empty(*plane, kind.hidden + kind.channels, dtype=kind.gates, device=kind.device),
            gates=torch.empty(*plane, 4 * kind.hidden, dtype=kind.gates, device=kind.device),
            state=torch.empty(*plane, kind.hidden, dtype=kind.state, device=kind.device),
            winner=torch.empty(pooled, dtype=torch.int64, device=kind.device),
        )

    def at(self, t: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return fed, gates, state and winner of step t."""
        t %= self.kind.steps
        return self.fed[t], self.gates[t], self.state[t], self.winner[t]


class Shelf:
    """Tapes that past passes through one layer are done with. Its copies and pickles are empty.

    The first touch of fresh memory costs a CPU more than the arithmetic that goes into it, so memory
    is kept from one training step to the next.
    """

    def __init__(self) -> None:
        self._idle: defaultdict[Kind, list[Tape]] = defaultdict(list)

    def __reduce__(self) -> tuple[type["Shelf"], tuple[()]]:
        return Shelf, ()

    def take(self, kind: Kind) -> Tape:
        """Return a used tape of this kind, or else a new one."""
        idle = self._idle[kind]
        return idle.pop() if idle else Tape.blank(kind)

    def give(self, tape: Tape) -> None:
        """Take back a tape that nobody will read again."""
        if tape.kind.device.type == "cpu":  # elsewhere the allocator of the device does this for all tensors
            self._idle[tape.kind].append(tape)
