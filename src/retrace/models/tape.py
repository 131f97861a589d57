"""What a recurrence remembers for its backward pass, and where that memory waits for its next use."""

from collections import defaultdict
from dataclasses import dataclass
from typing import NamedTuple

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

    @classmethod
    def of(cls, x_BTHWC: Tensor, hidden: int, gates: torch.dtype) -> "Kind":
        """Return the kind of tape that clips like x need."""
        clips, steps, height, width, channels = x_BTHWC.shape
        return cls(steps, clips, height, width, channels, hidden, gates, x_BTHWC.dtype, x_BTHWC.device)


class Step(NamedTuple):
    """Views of one step of a tape, all without the dimension of steps."""

    fed: Tensor
    h: Tensor
    x: Tensor
    gates: Tensor
    i: Tensor
    f: Tensor
    o: Tensor
    s: Tensor
    state: Tensor
    winner: Tensor


class Tape(NamedTuple):
    """What clips leave behind at every step."""

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
            fed=torch.empty(*plane, kind.hidden + kind.channels, dtype=kind.gates, device=kind.device),
            gates=torch.empty(*plane, 4 * kind.hidden, dtype=kind.gates, device=kind.device),
            state=torch.empty(*plane, kind.hidden, dtype=kind.state, device=kind.device),
            winner=torch.empty(pooled, dtype=torch.int64, device=kind.device),
        )

    def split(self, clips: int) -> list["Tape"]:
        """Return the tapes of so many clips each; the last may have fewer."""
        return [Tape(*parts) for parts in zip(*(part.split(clips, 1) for part in self), strict=True)]

    def steps(self) -> list[Step]:
        """Return the views of all steps, in order."""
        hidden = self.state.shape[-1]
        h, x = self.fed[..., :hidden], self.fed[..., hidden:]
        views = (self.fed, h, x, self.gates, *self.gates.chunk(4, -1), self.state, self.winner)
        return [Step(*parts) for parts in zip(*(view.unbind() for view in views), strict=True)]


class Shelf:
    """Tapes of one layer that a backward pass is done with. Copies and pickles of a shelf are empty.

    The first touch of fresh memory costs a CPU more than the arithmetic that goes into it, so memory
    is kept from one training step to the next.
    """

    def __init__(self) -> None:
        self._idle: defaultdict[Kind, list[Tape]] = defaultdict(list)

    def __reduce__(self) -> tuple[type["Shelf"], tuple[()]]:
        return Shelf, ()

    def take(self, kind: Kind) -> Tape:
        """Return a tape with arbitrary content, a used one if there is one."""
        idle = self._idle[kind]
        return idle.pop() if idle else Tape.blank(kind)

    def give(self, kind: Kind, tape: Tape) -> None:
        """Take back a tape. It may still be read as long as nobody takes it."""
        known = any(tape.state.data_ptr() == other.state.data_ptr() for other in self._idle[kind])
        if kind.device.type == "cpu" and not known:  # the allocators of other devices do this themselves
            self._idle[kind].append(tape)
