"""RSTG's I3D and C2D: published counts and sizes, and graphs that change nothing at first."""

import pytest
import torch
from pydantic import ValidationError

from graphs import graph
from retrace.errors import UserError
from retrace.models.registry import build
from retrace.models.rstg.block import GraphToMap
from retrace.plan.identity import model_label
from retrace.plan.model import RstgI3d


def i3d(*places: str, width: int = 64, graph_width: int = 512, scales: int = 3, **change) -> RstgI3d:
    shape = graph(width=graph_width, scales=scales, gather="dot", update="per-scale", norm="layer")
    standard = {
        "inflated": True,
        "padded_pool": False,
        "after": "last-but-one-block",
        "dropout": 0.3,
        "frozen_norms": False,
    }
    return RstgI3d(
        family="rstg-i3d",
        width=width,
        graph=shape if places else None,
        places=places,
        **(standard | change),
    )


def full_size(model: RstgI3d, classes: int = 174) -> torch.nn.Module:
    with torch.device("meta"):
        return build(model, classes=classes, channels=3, frames=32, side=224)


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("model", "count"),
    [
        (i3d(), 27_580_398),
        (i3d(inflated=False), 23_864_558),
        (i3d("res2"), 35_725_038),
        (i3d("res3"), 35_462_638),
        (i3d("res4"), 36_513_774),
        (i3d("res4", scales=4), 37_301_230),
        (i3d("vector"), 37_565_422),
        (i3d("vector", inflated=False), 33_849_582),
        (i3d("res3", "res4"), 44_396_014),
    ],
    ids=lambda value: model_label(value) if isinstance(value, RstgI3d) else "",
)
def test_networks_have_the_parameters_worked_out_for_them(model, count):
    assert parameters(full_size(model)) == count


def test_with_the_classes_of_kinetics_i3d_has_its_public_count():
    assert parameters(full_size(i3d(), classes=400)) == 28_043_472


def test_stages_have_the_parameters_worked_out_for_them():
    network = full_size(i3d())
    assert network.conv1.weight.numel() == 47_040
    stages = [parameters(getattr(network, name)) for name in ("res2", "res3", "res4", "res5")]
    assert stages == [289_536, 1_416_192, 8_409_088, 17_061_888]


@pytest.mark.parametrize(
    ("padded", "side", "sizes"),
    [(True, 224, (56, 28, 14)), (False, 224, (55, 28, 14)), (False, 256, (63, 32, 16))],
)
def test_sizes_are_those_of_table_1_or_of_the_code(padded, side, sizes):
    network = full_size(i3d("res4", padded_pool=padded))
    found = {}
    for name in ("conv1", "pool1", "res2", "pool2", "res3", "res4", "res5"):
        layer = getattr(network, name)
        layer.register_forward_hook(lambda _, __, out, name=name: found.update({name: tuple(out.shape[1:])}))
    assert network(torch.empty(1, 32, 3, side, side, device="meta")).shape == (1, 174)
    large, middle, small = sizes
    assert found == {
        "conv1": (64, 32, side // 2, side // 2),
        "pool1": (64, 32, large, large),
        "res2": (256, 32, large, large),
        "pool2": (256, 16, large, large),
        "res3": (512, 16, middle, middle),
        "res4": (1024, 16, small, small),
        "res5": (2048, 16, small, small),
    }


@pytest.mark.parametrize("after", ["stage", "last-but-one-block"])
def test_new_graphs_leave_the_backbone_as_it_is_and_only_their_gains_have_a_gradient(after):
    torch.manual_seed(0)
    model = i3d("res2", "res4", "vector", width=2, graph_width=4, after=after, dropout=0.0)
    plain = build(i3d(width=2, dropout=0.0), classes=5, channels=3, frames=4, side=64)
    network = build(model, classes=5, channels=3, frames=4, side=64)
    with torch.no_grad():
        theirs = [p for name, p in network.named_parameters() if "nodes" not in name and ".norm." not in name]
        for mine, other in zip(plain.parameters(), theirs, strict=True):
            mine.copy_(other)
    clips = torch.rand(2, 4, 3, 64, 64)
    logits = network(clips)
    assert torch.equal(logits, plain(clips))
    logits.square().sum().backward()
    moving = {
        name.rpartition(".")[2]
        for name, parameter in network.named_parameters()
        if ("nodes" in name or ".norm." in name) and parameter.grad.abs().max() > 0
    }
    assert moving == {"gain"}


@pytest.mark.parametrize(("after", "index"), [("stage", 6), ("last-but-one-block", 5)])
def test_a_graph_stands_where_it_is_asked_for(after, index):
    stage = full_size(i3d("res4", after=after)).res4
    assert [isinstance(getattr(block, "block", None), GraphToMap) for block in stage].index(True) == index
    assert len(stage) == 7


def test_a_larger_frame_is_answered_by_the_mean_of_all_windows():
    torch.manual_seed(0)
    network = build(i3d(width=1, dropout=0.0), classes=3, channels=3, frames=2, side=64).eval()
    clips = torch.rand(1, 2, 3, 256, 256)
    with torch.no_grad():
        features = network.features(clips)[0, :, 0]
        windows = [features[:, y : y + 14, x : x + 14].mean(dim=(1, 2)) for y in range(3) for x in range(3)]
        logits = torch.stack([network.classify(window) for window in windows]).mean(dim=0)
        assert torch.allclose(network(clips)[0], logits, atol=1e-5)


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_norms_keep_their_statistics_and_learn_the_rest(frozen):
    torch.manual_seed(0)
    network = build(i3d(width=1, frozen_norms=frozen), classes=3, channels=3, frames=2, side=32).train()
    assert network.dropout.training
    before = {name: value.clone() for name, value in network.named_buffers()}
    network(torch.rand(2, 2, 3, 32, 32)).square().sum().backward()
    same = [torch.equal(value, before[name]) for name, value in network.named_buffers()]
    assert all(same) if frozen else not any(same)
    assert network.bn1.weight.grad.abs().max() > 0


def test_too_little_of_a_clip_is_refused():
    for frames, side in ((1, 64), (4, 31)):
        with pytest.raises(UserError, match="2 frames of at least 32 x 32"):
            build(i3d(width=1), classes=3, channels=3, frames=frames, side=side)


def test_a_graph_needs_a_place_and_a_place_a_graph():
    with pytest.raises(ValidationError, match="a graph needs a place"):
        RstgI3d(**(i3d("res4").model_dump() | {"places": ()}))
    with pytest.raises(ValidationError, match="a graph needs a place"):
        RstgI3d(**(i3d().model_dump() | {"places": ("res4",)}))
