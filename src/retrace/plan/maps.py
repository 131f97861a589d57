"""Maps: what a trained model does with some videos, drawn over their frames.

Like `spec`, these types are hashed and have no defaults. A kind of map is a type here and a function in
`retrace.evaluate.maps`.
"""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from retrace.plan.spec import VideoView
from retrace.plan.strict import Name, Strict


class Rollout(Strict):
    """Attention rollout: what the output token draws from each patch of each frame."""

    kind: Literal["rollout"]


Stage = Annotated[
    Literal["layer1", "layer2", "layer3", "layer4"],
    Field(description="the last unit of attention blocks in this stage of the backbone is looked into"),
]


class Attention(Strict):
    """What one place attends to in joint attention, or in spatial and then temporal attention.

    It is the place of the middle frame where pixels vary most over the clip.
    """

    kind: Literal["attention"]
    stage: Stage
    swapped: bool = Field(
        description="whether spatial and temporal attention by each other's projections are shown, too"
    )


class Regions(Strict):
    """How strongly each place belongs to the regions that GTA gathers places into."""

    kind: Literal["regions"]
    stage: Stage
    shown: PositiveInt = Field(description="so many regions, the strongest on average over the clip first")


class TemporalMatrix(Strict):
    """How much each frame takes from each other one by GTA's matrices, whatever the clip."""

    kind: Literal["temporal-matrix"]
    stage: Stage


Kind = Annotated[Rollout | Attention | Regions | TemporalMatrix, Field(discriminator="kind")]
"""Any kind of map."""


class Maps(Strict):
    """One kind of map, over the first video by id of each of the first `videos` classes of a domain.

    Nothing is picked by eye, nor by what a model makes of it, so several models are shown the same videos.
    Of several clips and crops that the view shows of a video, the middle one is taken.
    """

    map: Kind
    videos: PositiveInt
    domain: Name
    view: VideoView
