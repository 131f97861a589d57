"""Maps of attention against the attention that the blocks compute."""

import pytest
import torch
from torch import nn

from attention_blocks import NL, SA, SEEING, TA, awake, gta, spec
from retrace.errors import UserError
from retrace.evaluate.attention_maps import affinity, looks, most_moving, regions, temporal_matrix
from retrace.models.blocks.attention import Attention
from retrace.models.blocks.temporal_attention import TemporalAttention
from retrace.models.blocks.token_sets import from_sets, to_sets
from retrace.models.registry import build

TINY = {"backbone": "resnet18", "width": 16, "positions": ("layer2.0", "layer2.1"), "dropout": 0.0}
CLIP = torch.rand(1, 4, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def net(places: dict) -> nn.Module:
    torch.manual_seed(0)
    return awake(build(spec(places, **TINY), classes=5, channels=3, frames=4, side=64)).eval()


@torch.no_grad()
@pytest.mark.parametrize("over", ["space-time", "space", "time"])
def test_the_affinities_times_the_values_are_what_the_block_adds(over):
    torch.manual_seed(0)
    x = torch.randn(1, 4, 16, 6, 6)
    block = awake(
        TemporalAttention(16, 4, reduction=4, code="none", code_in_values=False, groups=1)
        if over == "time"
        else Attention(16, over, reduction=4, subsample="after")
    ).eval()
    v = block.value(x)
    values = to_sets(v if over == "time" else block.pool(v), over)
    weights = affinity(block, x, over, "none" if over == "time" else "after")
    expected = x + block.out(from_sets(weights @ values, over, 6, 6))
    torch.testing.assert_close(block(x), expected)


@torch.no_grad()
def test_joint_attention_is_shared_out_over_all_frames():
    maps = looks(net({"joint": NL}), "layer2", CLIP, swapped=False)
    assert {name: tuple(m.shape) for name, m in maps.items()} == {"query": (4, 8, 8), "joint": (4, 4, 4)}
    assert maps["query"].sum() == 1 and maps["query"][2].sum() == 1
    assert maps["joint"].sum().item() == pytest.approx(1, rel=1e-5)


@torch.no_grad()
def test_decoupled_attention_is_within_the_query_s_frame_and_over_time():
    maps = looks(net({"space": SA, "time": TA}), "layer2", CLIP, swapped=True)
    shapes = {name: tuple(m.shape) for name, m in maps.items()}
    assert shapes == {
        "query": (4, 8, 8),
        "spatial": (4, 4, 4),
        "temporal": (4, 1, 1),
        "spatial, swapped": (4, 4, 4),
        "temporal, swapped": (4, 1, 1),
    }
    assert all(m.sum().item() == pytest.approx(1, rel=1e-5) for m in maps.values())
    assert maps["spatial"][[0, 1, 3]].abs().max() == 0
    assert not torch.allclose(maps["temporal"], maps["temporal, swapped"])


@torch.no_grad()
def test_swapping_twins_changes_nothing_over_time():
    model = net({"space": SA, "time": TA})
    unit = model.trunk.layer2.after1.block
    for name in ("query", "key"):
        getattr(unit[0], name).load_state_dict(getattr(unit[1], name).state_dict())
    maps = looks(model, "layer2", CLIP, swapped=True)
    torch.testing.assert_close(maps["temporal"], maps["temporal, swapped"])
    torch.testing.assert_close(maps["spatial"], maps["spatial, swapped"])


@torch.no_grad()
def test_regions_are_those_that_the_branch_gathers_into():
    model = net(SEEING["GTA"])
    block = model.trunk.layer2.after1.block[1]
    gathered = []
    block.branches["region"].map.register_forward_hook(lambda _, __, g: gathered.append(g))
    maps = regions(model, "layer2", CLIP, shown=1)
    assert maps["region 1"].shape == (4, 8, 8)
    strongest = gathered[0][0].abs().mean((0, 1)).argmax()
    torch.testing.assert_close(maps["region 1"].flatten(1), gathered[0][0, ..., strongest].abs())


def test_the_query_stands_where_pixels_vary_most():
    x = torch.zeros(1, 5, 3, 64, 64)
    x[0, 3, :, 50, 20] = 1.0
    assert most_moving(x, 8, 8) == (2, 6, 2)


@torch.no_grad()
@pytest.mark.parametrize(
    ("places", "stage", "message"),
    [
        ({"space": SA}, "layer2", "expected one joint attention block"),
        ({"joint": NL}, "layer3", "no attention block in layer3"),
        ({}, "layer2", "no attention block in layer2"),
    ],
)
def test_models_without_such_blocks_have_no_such_maps(places, stage, message):
    with pytest.raises(UserError, match=message):
        looks(net(places), stage, CLIP, swapped=False)


@torch.no_grad()
def test_regions_need_a_region_branch():
    with pytest.raises(UserError, match="no region branch"):
        regions(net({"space": SA, "time": TA}), "layer2", CLIP, shown=1)


@torch.no_grad()
@pytest.mark.parametrize(("cross", "heads"), [(True, 8), (False, 1)])
def test_the_temporal_matrix_is_the_mean_over_groups_and_heads(cross, heads):
    model = net({"space": SA, "time": gta(groups=heads, cross_channel=cross)})
    matrices = model.trunk.layer2.after1.block[1].branches["pixel"].matrices
    got = temporal_matrix(model, "layer2", CLIP)
    assert got.shape == (4, 1, 4)
    expected = sum(m for m in matrices.reshape(-1, 4, 4)) / heads ** (2 if cross else 1)
    torch.testing.assert_close(got[:, 0], expected.abs())


@torch.no_grad()
def test_a_temporal_matrix_needs_a_pixel_branch():
    with pytest.raises(UserError, match="no pixel branch"):
        temporal_matrix(net({"space": SA, "time": gta(pixels=False)}), "layer2", CLIP)
