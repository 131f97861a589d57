"""Attention rollout: shares that sum to 1, products worked out by hand, and cases with a known answer."""

import pytest
import torch
from torch import Tensor, nn

from retrace.evaluate.rollout import heat, join, layer_weights, rollout
from retrace.models.timesformer_vit import TimeSformerVit
from vits import EVERY, FRAMES, GRID, TINY, clips, tiny

N, T = GRID**2, FRAMES
TOKENS = 1 + N * T


def of_patch(p: int, t: int) -> int:
    """Return the place of patch p of frame t among the tokens of a clip."""
    return 1 + p * T + t


def steps() -> tuple[Tensor, Tensor]:
    """Return random weights over space (1, T, 1 + N, 1 + N) and over time (1, N, T, T)."""
    draw = torch.Generator().manual_seed(2)
    space = torch.randn(1, T, 1 + N, 1 + N, dtype=torch.double, generator=draw)
    return space.softmax(-1), torch.randn(1, N, T, T, dtype=torch.double, generator=draw).softmax(-1)


def places() -> list[tuple[int, int]]:
    return [(p, t) for p in range(N) for t in range(T)]


def test_time_then_space_is_joined_by_the_formula():
    space, time = steps()
    found = join(space, time, "time-first")[0]
    s, over = space[0], time[0]
    assert found[0, 0] == pytest.approx(s[:, 0, 0].mean().item())
    for p, t in places():
        row = found[of_patch(p, t)]
        assert row[0] == s[t, 1 + p, 0]
        to_cls = sum(s[u, 0, 1 + p] * over[p, u, t] for u in range(T)) / T
        assert found[0, of_patch(p, t)] == pytest.approx(to_cls.item())
        for q, u in places():
            assert row[of_patch(q, u)] == pytest.approx((s[t, 1 + p, 1 + q] * over[q, t, u]).item())


def test_space_then_time_is_joined_by_the_formula():
    space, time = steps()
    found = join(space, time, "space-first")[0]
    s, over = space[0], time[0]
    assert found[0, 0] == pytest.approx(s[:, 0, 0].mean().item())
    for p, t in places():
        row = found[of_patch(p, t)]
        assert found[0, of_patch(p, t)] == pytest.approx(s[t, 0, 1 + p].item() / T)
        assert row[0] == pytest.approx(sum(over[p, t, u] * s[u, 1 + p, 0] for u in range(T)).item())
        for q, u in places():
            assert row[of_patch(q, u)] == pytest.approx((over[p, t, u] * s[u, 1 + p, 1 + q]).item())


def test_both_at_once_are_joined_half_and_half():
    space, time = steps()
    found = join(space, time, "parallel")[0]
    s, over = space[0], time[0]
    for p, t in places():
        row = found[of_patch(p, t)]
        assert found[0, of_patch(p, t)] == pytest.approx(s[t, 0, 1 + p].item() / T)
        assert row[0] == pytest.approx(s[t, 1 + p, 0].item() / 2)
        for q, u in places():
            both = s[t, 1 + p, 1 + q] * (t == u) + over[p, t, u] * (p == q)
            assert row[of_patch(q, u)] == pytest.approx(both.item() / 2)


@pytest.mark.parametrize("attention", EVERY)
def test_rows_sum_to_one_in_every_layer_and_in_the_end(attention):
    layers = layer_weights(tiny(attention), clips())
    assert len(layers) == TINY["layers"]
    shape = (2 * T, 1 + N, 1 + N) if attention == "space-only" else (2, TOKENS, TOKENS)
    for weights_BSS in (*layers, rollout(layers)):
        assert weights_BSS.shape == shape
        assert (weights_BSS >= 0).all()
        torch.testing.assert_close(weights_BSS.sum(-1), torch.ones(shape[:2], dtype=torch.double))


def test_two_layers_multiplied_by_hand():
    first = torch.tensor([[[0.5, 0.5], [0.0, 1.0]]])
    second = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]])
    # With the residual: [[3/4, 1/4], [0, 1]], then [[1, 0], [1/4, 3/4]]; the second stands in front.
    expected = torch.tensor([[[3 / 4, 1 / 4], [3 / 16, 1 / 16 + 3 / 4]]])
    torch.testing.assert_close(rollout([first, second]), expected)


def test_the_layers_weights_come_from_what_the_attention_is_given():
    model, x_BTCHW = tiny("joint"), clips()
    with torch.no_grad():
        given = model.blocks[0].norm1(model.tokens(x_BTCHW))
        expected = model.blocks[0].attn.weights(given).mean(1)
    torch.testing.assert_close(layer_weights(model, x_BTCHW)[0], expected)


def even(attention: str) -> TimeSformerVit:
    """Return a model whose attention over space (joint: over all) prefers nothing."""
    model = tiny(attention)
    for block in model.blocks:
        nn.init.zeros_(block.attn.qkv.weight)
        nn.init.zeros_(block.attn.qkv.bias)
    return model


@pytest.mark.parametrize(("attention", "tokens"), [("joint", TOKENS), ("space-only", T * (1 + N))])
def test_even_attention_draws_the_same_from_every_patch(attention, tokens):
    shares_BTRC = heat(even(attention), clips())
    drawn = 1 - 2.0 ** -TINY["layers"]
    torch.testing.assert_close(
        shares_BTRC, torch.full((2, T, GRID, GRID), drawn / tokens, dtype=torch.double)
    )


@pytest.mark.parametrize("attention", ["time-first", "space-first"])
def test_attention_over_time_does_not_change_what_cls_draws_in_all(attention):
    own, patch = 1.0, 0.0  # what cls and a patch have of cls, layer by layer
    for _ in range(TINY["layers"]):
        drawn = (own + N * patch) / (1 + N)
        own, patch = (own + drawn) / 2, (patch + drawn) / 2
    total_B = heat(even(attention), clips()).sum((1, 2, 3))
    torch.testing.assert_close(total_B, total_B.new_full((2,), 1 - own))


def test_heat_tells_the_frame_that_attention_over_time_looks_at():
    space, _ = steps()
    to_last = torch.zeros(1, N, T, T, dtype=torch.double)
    to_last[..., -1] = 1
    shares_BNT = rollout([join(space, to_last, "time-first")])[:, 0, 1:].unflatten(1, (N, T))
    assert not shares_BNT[..., :-1].any()
    assert (shares_BNT[..., -1] > 0).all()


def test_looking_leaves_the_model_as_it_was():
    model, x_BTCHW = tiny("time-first"), clips()
    before = model(x_BTCHW)
    first, again = heat(model, x_BTCHW), heat(model, x_BTCHW)
    assert first.numpy().tobytes() == again.numpy().tobytes()
    assert torch.equal(model(x_BTCHW), before)
    assert not any(module._forward_pre_hooks for module in model.modules())
