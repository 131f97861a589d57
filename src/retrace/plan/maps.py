"""Maps: what a trained model does with some videos, drawn over their frames.

Like `spec`, these types are hashed and have no defaults. A kind of map is a type here and a function in
`retrace.evaluate.maps`.
"""

from typing import Literal

from pydantic import PositiveInt

from retrace.plan.spec import VideoView
from retrace.plan.strict import Name, Strict


class Rollout(Strict):
    """Attention rollout: what the output token draws from each patch of each frame."""

    kind: Literal["rollout"]


Kind = Rollout
"""Any kind of map; as soon as there are two, a union told apart by `kind`."""


class Maps(Strict):
    """One kind of map, over the first video by id of each of the first `videos` classes of a domain.

    Nothing is picked by eye, nor by what a model makes of it, so several models are shown the same videos.
    Of several clips and crops that the view shows of a video, the middle one is taken.
    """

    map: Kind
    videos: PositiveInt
    domain: Name
    view: VideoView
