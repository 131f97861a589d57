"""What stands at a position: the blocks that a page asks for, one after the other."""

from collections.abc import Sequence

from torch import nn

from retrace.models.blocks.attention import Attention, DotProduct
from retrace.models.blocks.cgnl import Cgnl
from retrace.models.blocks.gcnet import GlobalContext
from retrace.models.blocks.glore import GloRe
from retrace.models.blocks.gta import Gta
from retrace.models.blocks.own import own
from retrace.models.blocks.temporal_attention import TemporalAttention
from retrace.models.blocks.token_sets import Over
from retrace.models.insert import Inserts, Site
from retrace.plan import attention as kinds


def units(blocks: kinds.Blocks, positions: Sequence[str]) -> Inserts:
    """Return what makes the blocks at each position."""
    return dict.fromkeys(positions, lambda site: attention_unit(blocks, site))


def attention_unit(blocks: kinds.Blocks, site: Site) -> nn.Sequential:
    """Return the blocks for a position: joint, spatial, temporal, those that are asked for, in this order."""
    places: tuple[tuple[Over, kinds.AnyBlock | None], ...] = (
        ("space-time", blocks.joint),
        ("space", blocks.space),
        ("time", blocks.time),
    )
    return nn.Sequential(*(_block(block, over, site) for over, block in places if block is not None))


def _block(block: kinds.AnyBlock, over: Over, site: Site) -> nn.Module:
    options = block.model_dump(exclude={"kind"})
    match block:
        case kinds.Attention() if over == "time":
            return TemporalAttention(
                site.channels,
                site.frames,
                reduction=block.reduction,
                code="none",
                code_in_values=False,
                groups=1,
            )
        case kinds.Attention():
            return Attention(site.channels, over, **options)
        case kinds.DotProduct():
            return DotProduct(site.channels, over, **options)
        case kinds.Tape():
            return TemporalAttention(site.channels, site.frames, **options)
        case kinds.Gta():
            return Gta(site.channels, site.frames, **options)
        case kinds.Cgnl():
            return Cgnl(site.channels, over, **options)
        case kinds.GcNet():
            return GlobalContext(site.channels, over, **options)
        case kinds.GloRe():
            return GloRe(site.channels, over, **options)
        case kinds.Own():
            return own(block.block, block.options, site)
