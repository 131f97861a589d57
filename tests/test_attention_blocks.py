"""The attention blocks of GTA, against loops that spell their formulas out."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from attention_blocks import (
    BLIND,
    SEEING,
    SMALL,
    UNITS,
    attention,
    awake,
    clips,
    dot_product,
    gta,
    tape,
    unit,
)
from retrace.errors import UserError
from retrace.models.blocks.gta import TemporalMixing
from retrace.models.blocks.temporal_attention import sinusoids


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", UNITS)
def test_a_new_block_changes_nothing(name, training):
    x = clips(2, 4, 32, 5, 4)
    assert torch.equal(unit(UNITS[name]).train(training)(x), x)


@pytest.mark.parametrize("name", UNITS)
def test_a_new_block_can_leave_the_identity(name):
    net = unit(UNITS[name])
    net(clips(2, 4, 32, 5, 4)).pow(3).sum().backward()
    for block in net:
        assert any(weight.grad.any() for weight in block.parameters() if not weight.any())


@pytest.mark.parametrize("name", UNITS)
def test_gradients_reach_every_parameter(name):
    block = awake(unit(UNITS[name]))
    block(clips(2, 4, 32, 5, 4)).pow(3).sum().backward()
    for name, parameter in block.named_parameters():
        assert parameter.grad is not None, name
        if not name.endswith(("key.bias", "score.bias")):  # a softmax does not see these
            assert parameter.grad.abs().max() > 1e-8, name


def project(layer: nn.Conv2d | nn.Linear, tokens: Tensor) -> Tensor:
    """Map (..., C) to (..., C')."""
    y = tokens @ layer.weight.flatten(1).T
    return y if layer.bias is None else y + layer.bias


def normed(norm: nn.BatchNorm2d, y_BTCHW: Tensor) -> Tensor:
    mean, var, scale, shift = (
        v[:, None, None] for v in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return (y_BTCHW - mean) / (var + norm.eps).sqrt() * scale + shift


def for_each_place(x_BTCHW: Tensor, of_place: Callable[[int, int, int, int], Tensor]) -> Tensor:
    y = torch.empty_like(x_BTCHW)
    clips_, frames, _, height, width = x_BTCHW.shape
    for b, t, i, j in torch.cartesian_prod(*map(torch.arange, (clips_, frames, height, width))).tolist():
        y[b, t, :, i, j] = of_place(b, t, i, j)
    return y


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@torch.no_grad()
@pytest.mark.parametrize("subsample", ["none", "before", "after"])
@pytest.mark.parametrize("place", ["joint", "space"])
@pytest.mark.parametrize("kind", [attention, dot_product])
def test_nl_and_sa_are_their_definition(kind, place, subsample):
    (block,) = awake(unit({place: kind(4, subsample)}, channels=8, frames=3))
    x = clips(2, 3, 8, 5, 4)
    step = 1 if subsample == "none" else 2

    def seen(layer: nn.Conv2d, b: int, t: int) -> Tensor:
        corners = [(i, j) for i in range(0, 5 - step + 1, step) for j in range(0, 4, step)]
        patches = [x[b, t, :, i : i + step, j : j + step].flatten(1).T for i, j in corners]
        if subsample == "before":
            return torch.stack([project(layer, patch.amax(0)) for patch in patches])
        return torch.stack([project(layer, patch).amax(0) for patch in patches])

    def of_place(b: int, t: int, i: int, j: int) -> Tensor:
        frames = range(3) if place == "joint" else [t]
        k, v = (torch.cat([seen(layer, b, s) for s in frames]) for layer in (block.key, block.value))
        q = project(block.query, x[b, t, :, i, j])
        affinity = (k @ q / len(q) ** 0.5).softmax(0) if kind is attention else k @ q / len(k)
        return project(block.out[0], affinity @ v)

    same(block(x), x + normed(block.out[1], for_each_place(x, of_place)))


@torch.no_grad()
@pytest.mark.parametrize(
    "block",
    [
        attention(4, "none"),
        *(tape(code=code, code_in_values=values) for code in ("sinusoid", "learned") for values in (0, 1)),
        *(tape(code=code, groups=groups) for code in ("none", "sinusoid") for groups in (2, 4)),
    ],
    ids=str,
)
def test_ta_and_tape_are_their_definition(block):
    groups, in_values = block.get("groups", 1), block.get("code_in_values")
    (net,) = awake(unit({"time": block}, channels=16, frames=3))
    x = clips(2, 3, 16, 3, 2)
    code = torch.zeros(3, 16) if net.code is None else net.code.e_TC

    def of_place(b: int, t: int, i: int, j: int) -> Tensor:
        at_place = x[b, :, :, i, j]
        q, k = (project(layer, at_place + code) for layer in (net.query, net.key))
        v = project(net.value, at_place + code if in_values else at_place)
        d, heads = 4 // groups, []
        for h in range(groups):
            head = torch.zeros(d)
            for g in range(groups):
                scores = [q[t, h * d : h * d + d] @ k[s, g * d : g * d + d] / d**0.5 for s in range(3)]
                for s, weight in enumerate(torch.stack(scores).softmax(0)):
                    head = head + weight * v[s, g * d : g * d + d]
            heads.append(head)
        return project(net.out[0], torch.cat(heads))

    same(net(x), x + normed(net.out[1], for_each_place(x, of_place)))


def test_the_fixed_code_of_frames_is_that_of_the_transformer():
    table = sinusoids(5, 6)
    for t in range(5):
        for i in range(3):
            angle = torch.tensor(t / 10000 ** (2 * i / 6))
            torch.testing.assert_close(table[t, 2 * i : 2 * i + 2], torch.stack([angle.sin(), angle.cos()]))


def mixed(matrices: Tensor, v_BTPC: Tensor) -> Tensor:
    """Mix by loops; `matrices` are (G, T, T) or, across channels, (G, G, T, T)."""
    out, groups, frames = torch.zeros_like(v_BTPC), matrices.shape[0], matrices.shape[-1]
    d = v_BTPC.shape[3] // groups
    for h in range(groups):
        for g in range(groups) if matrices.ndim == 4 else [h]:
            matrix = matrices[h, g] if matrices.ndim == 4 else matrices[h]
            for t in range(frames):
                for s in range(frames):
                    out[:, t, :, h * d : h * d + d] += matrix[t, s] * v_BTPC[:, s, :, g * d : g * d + d]
    return out


@torch.no_grad()
@pytest.mark.parametrize(
    "changes",
    [
        SMALL,
        SMALL | {"region_reduction": None},
        SMALL | {"pixels": False},
        SMALL | {"cross_channel": False},
        {"region_reduction": 4, "groups": 1, "cross_channel": False},
    ],
    ids=["CCMH", "pixel", "region", "multi-head", "single"],
)
def test_gta_is_its_definition(changes):
    (block,) = awake(unit({"time": gta(**changes)}, frames=3))
    x = clips(2, 3, 32, 3, 2)
    tokens = x.permute(0, 1, 3, 4, 2).flatten(2, 3)
    halves, expected = project(block.value, tokens).split(8, dim=3), x

    def clip(tokens_BTPC: Tensor) -> Tensor:
        return tokens_BTPC.unflatten(2, (3, 2)).permute(0, 1, 4, 2, 3)

    for v, (name, branch) in zip(halves, block.branches.items(), strict=True):
        if name == "pixel":
            a = mixed(branch.matrices, v)
        else:
            regions, a = len(branch.map.weight), torch.zeros_like(v)
            gathered, maps = torch.zeros(2, 3, regions, 8, dtype=v.dtype), project(branch.map, v)
            for region in range(regions):
                for place in range(6):
                    gathered[:, :, region] += maps[:, :, place, region, None] * v[:, :, place]
            gathered = mixed(branch.mixing.matrices, gathered)
            for region in range(regions):
                for place in range(6):
                    a[:, :, place] += maps[:, :, place, region, None] * gathered[:, :, region]
        conv, norm = block.out[name]
        expected = expected + normed(norm, clip(project(conv, a)))
    same(block(x), expected)


def mixing(groups: int, cross_channel: bool) -> TemporalMixing:
    torch.manual_seed(0)
    return TemporalMixing(3, groups=groups, cross_channel=cross_channel).double()


@torch.no_grad()
def test_ccmh_is_one_matrix_over_groups_and_frames_and_multi_head_its_block_diagonal():
    v = clips(2, 3, 8, 5, 1)[..., 0].transpose(2, 3)
    ccmh, heads, single = mixing(4, True), mixing(4, False), mixing(1, False)
    dense = ccmh.matrices.permute(0, 2, 1, 3).reshape(12, 12)
    columns = v.unflatten(3, (4, 2)).permute(3, 1, 0, 2, 4).reshape(12, -1)
    rows = ccmh(v).unflatten(3, (4, 2)).permute(3, 1, 0, 2, 4).reshape(12, -1)
    same(rows, dense @ columns)
    ccmh.matrices.zero_()
    for g in range(4):
        ccmh.matrices[g, g] = heads.matrices[g]
    same(ccmh(v), heads(v))
    heads.matrices[:] = single.matrices
    same(heads(v), single(v))
    single.matrices[:] = torch.eye(3)
    same(single(v), v)


@torch.no_grad()
@pytest.mark.parametrize("name", UNITS)
def test_only_a_code_or_learnt_matrices_tell_frames_apart(name):
    block, x, order = awake(unit(UNITS[name])), clips(2, 4, 32, 4, 4), [2, 0, 3, 1]
    apart = (block(x[:, order]) - block(x)[:, order]).abs().max() / (block(x) - x).abs().max()
    if name in SEEING:
        assert apart > 1e-3
    else:
        assert apart < 1e-12


@torch.no_grad()
@pytest.mark.parametrize("name", UNITS)
def test_places_are_told_apart_by_pooling_alone(name):
    """A permutation of the places permutes what comes out; where 2x2 are pooled, one of whole 2x2 does."""
    block, x = awake(unit(UNITS[name])), clips(2, 4, 32, 4, 4)

    def moved(x: Tensor) -> Tensor:
        return x.roll(2, 4).flip(3).transpose(3, 4)

    same(block(moved(x)), moved(block(x)))


def weights(block: nn.Module) -> int:
    return sum(p.numel() for p in block.parameters())


@pytest.mark.parametrize("c", [512, 1024])
def test_parameters_follow_their_formulas(c):
    def of(places: dict) -> int:
        return weights(unit(places, channels=c, frames=8))

    norm, half, quarter = 2 * c, c // 2, c // 4
    assert of(BLIND["NL"]) == 2 * c**2 + 3 * half + c + norm
    assert of(BLIND["SA"]) == of(BLIND["TA"]) == of({"time": tape()}) == c**2 + 3 * quarter + c + norm
    assert of({"time": tape(code="learned")}) - of({"time": tape()}) == 8 * c
    region_map = quarter**2 // 8
    assert of({"time": gta()}) == c**2 + 2 * (quarter + c + norm) + region_map + 2 * 8**2 * 8**2
    assert of({"time": gta(region_reduction=None)}) == c**2 // 2 + quarter + c + norm + 8**2 * 8**2
    heads = of({"time": gta(cross_channel=False)})
    assert of({"time": gta()}) - heads == 2 * (8**2 - 8) * 8**2


def test_channels_that_do_not_divide_are_a_mistake():
    with pytest.raises(UserError, match="32 channels cannot be 4 times narrower in 16 groups"):
        unit({"time": gta(groups=16)})


def test_the_matrices_keep_the_variance_at_first():
    torch.manual_seed(0)
    for groups, cross_channel in ((1, False), (8, False), (8, True)):
        mix = TemporalMixing(16, groups=groups, cross_channel=cross_channel)
        assert 0.8 < mix(torch.randn(4, 16, 50, 64)).std() < 1.2
