"""The space-time graph of RSTG as a block for any backbone: RSTG-to-map.

Source: Nicolicioiu et al., "Recurrent Space-time Graph Neural Networks", supplement, section B.
"""

from pydantic import ValidationError

from retrace.errors import UserError
from retrace.models.rstg.block import GraphToMap
from retrace.plan.model import SpaceTimeGraph


class RstgBlock(GraphToMap):
    """x + norm(map of the graph's nodes), made of channels, frames and the graph's options.

    On a page: ``block: retrace.models.blocks.rstg:RstgBlock``, and all keys of `SpaceTimeGraph` as options.
    """

    def __init__(self, channels: int, frames: int, **options: bool | int | str) -> None:
        """Raise UserError where the options make no graph."""
        try:
            graph = SpaceTimeGraph.model_validate(options)
        except ValidationError as error:
            raise UserError(f"these options make no space-time graph: {error}") from error
        super().__init__(graph, channels)
