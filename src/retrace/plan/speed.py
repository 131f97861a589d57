"""What a cell of speed or memory is made from: nothing is trained, a model answers random clips."""

from typing import Literal

from pydantic import Field, PositiveInt

from retrace.plan.model import Model
from retrace.plan.strict import Strict


class SpeedCell(Strict):
    """A cell that is measured on the machine at hand, at the largest batch that fits into its memory.

    `largest_batch` is that one, `clips_per_second` the speed and `peak_memory` the memory in GiB at it.
    """

    measure: Literal["clips_per_second", "largest_batch", "peak_memory"]
    model: Model
    classes: PositiveInt
    frames: PositiveInt
    side: PositiveInt
    channels: Literal[1, 3]
    step: Literal["inference", "training"] = Field(description="training: forward, loss and backward")
    most: PositiveInt = Field(description="the largest batch that is tried")
    device: Literal["gpu", "any"] = Field(description="gpu: a machine without one measures nothing")
    card: str = Field(description="what the paper measured on; numbers from elsewhere are not compared")
