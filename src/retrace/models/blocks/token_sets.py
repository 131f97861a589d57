"""Features as sets of tokens: all of a clip, those of a frame, or those of a place over time.

A block that works on sets is joint, spatial or temporal by the sets alone; the decoupled version of a block
is the spatial one and then the temporal one. Features of a 2D network take these views without a copy.
"""

from typing import Literal

from torch import Tensor

Over = Literal["space-time", "space", "time"]
"""What a set goes over."""


def to_sets(x_BTCHW: Tensor, over: Over) -> Tensor:
    """Return x_BMLC: M sets of L tokens. M x L is 1 x THW, T x HW or HW x T."""
    x_BTPC = x_BTCHW.permute(0, 1, 3, 4, 2).flatten(2, 3)
    match over:
        case "space-time":
            return x_BTPC.flatten(1, 2).unsqueeze(1)
        case "space":
            return x_BTPC
        case "time":
            return x_BTPC.transpose(1, 2)


def from_sets(y_BMLC: Tensor, over: Over, height: int, width: int) -> Tensor:
    """Return the clips y_BTCHW of sets of tokens."""
    match over:
        case "space-time":
            y_BTPC = y_BMLC.squeeze(1).unflatten(1, (-1, height * width))
        case "space":
            y_BTPC = y_BMLC
        case "time":
            # The layers that follow are slow in any layout but that of the features.
            y_BTPC = y_BMLC.transpose(1, 2).contiguous()
    return y_BTPC.unflatten(2, (height, width)).permute(0, 1, 4, 2, 3)
