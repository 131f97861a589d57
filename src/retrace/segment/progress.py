"""Where a fine-tuning stands."""

from dataclasses import dataclass, field
from typing import ClassVar

from retrace.train.progress import Progress

Figures = dict[str, float]


@dataclass
class Tuning(Progress):
    """As of a run, with the box IoU in the place of accuracy; the log has the plainer figures as well."""

    MONITORED: ClassVar[str] = "box_iou"
    untrained: Figures = field(default_factory=dict)
    """What the validation frames say of the network before the first step."""
