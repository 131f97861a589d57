"""RSTG's graph inside the other backbones of the house: a block that a page can name."""

import pytest
import torch
from torch import nn

from graphs import graph
from retrace.errors import UserError
from retrace.models.blocks.rstg import RstgBlock
from retrace.models.registry import build
from retrace.plan.model import AttentionCnn

PATH = "retrace.models.blocks.rstg:RstgBlock"
POSITIONS = ("layer3.0", "layer4.0")
SHAPE = {"classes": 3, "channels": 3, "frames": 4, "side": 64}


def cnn(**options) -> AttentionCnn:
    own = {"kind": "own", "block": PATH, "options": options}
    return AttentionCnn(
        family="attention-cnn",
        backbone="resnet18",
        width=8,
        shift=False,
        blocks={"joint": own if options else None, "space": None, "time": None},
        positions=POSITIONS,
        dropout=0.0,
    )


def options(**change) -> dict:
    return graph(width=6, gather="dot", update="per-scale", norm="layer", **change).model_dump()


@pytest.fixture(scope="module")
def networks() -> tuple[nn.Module, nn.Module]:
    """A ResNet, and the same one with graphs behind two of its blocks."""
    torch.manual_seed(0)
    with_graphs, plain = (build(cnn(**some), **SHAPE).eval() for some in (options(), {}))
    state = with_graphs.state_dict()
    plain.load_state_dict({key: state[key] for key in plain.state_dict()})
    return with_graphs, plain


def blocks(network: nn.Module) -> list[RstgBlock]:
    return [module for module in network.modules() if isinstance(module, RstgBlock)]


def test_a_resnet_has_a_graph_of_its_own_at_each_position(networks):
    found = blocks(networks[0])
    assert len(found) == len(POSITIONS)
    assert found[0].nodes is not found[1].nodes
    assert [block.norm.gain.numel() for block in found] == [32, 64]
    assert not blocks(networks[1])


def test_a_new_graph_changes_nothing_and_then_it_does(networks):
    with_graphs, plain = networks
    clips = torch.rand(2, 4, 3, 64, 64)
    with torch.no_grad():
        before = with_graphs(clips)
        for block in blocks(with_graphs):
            block.norm.gain.fill_(0.5)
        after = with_graphs(clips)
        for block in blocks(with_graphs):
            block.norm.gain.zero_()
    assert torch.equal(before, plain(clips))
    assert (after - before).abs().max() > 1e-4


def test_options_that_make_no_graph_are_refused():
    with pytest.raises(UserError, match=r"make no space-time graph: .*\nscales"):
        build(cnn(**(options() | {"scales": 9})), **SHAPE)
