"""The TimeSformer on a ViT against a twin that goes token by token, and by what must not change it."""

import math

import pytest
import torch
from torch import Tensor, nn

import rac_oracle
from retrace.errors import UserError
from retrace.models.registry import build
from retrace.models.timesformer_vit import Attention, TimeSformerVit
from retrace.plan.identity import model_label
from vits import CLASSES, DIVIDED, EVERY, FRAMES, GRID, TINY, clips, spec, tiny

PATCHES = range(GRID**2)
TIMES = range(FRAMES)
Patches = dict[tuple[int, int], Tensor]
"""What stands for patch p of frame t, by (p, t)."""


def normed(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    centred = x - x.mean()
    return centred / torch.sqrt(centred.square().mean() + 1e-6) * norm.weight + norm.bias


def attended(attention: Attention, norm: nn.LayerNorm, tokens: list[Tensor]) -> list[Tensor]:
    """Attention among `tokens`, one query, one head and one key at a time."""
    qkv = [attention.qkv.weight @ normed(norm, x) + attention.qkv.bias for x in tokens]
    width = len(tokens[0]) // attention.heads
    received = []
    for query in qkv:
        parts = []
        for head in range(attention.heads):
            q, k, v = (
                slice(i * width, (i + 1) * width) for i in range(head, 3 * attention.heads, attention.heads)
            )
            likes = [math.exp(query[q] @ key[k] / math.sqrt(width)) for key in qkv]
            parts.append(sum(like * value[v] for like, value in zip(likes, qkv, strict=True)) / sum(likes))
        received.append(attention.proj.weight @ torch.cat(parts) + attention.proj.bias)
    return received


def over_time(block: nn.Module, x: Patches) -> Patches:
    out = {}
    for p in PATCHES:
        received = attended(block.temporal_attn, block.temporal_norm1, [x[p, t] for t in TIMES])
        for t in TIMES:
            out[p, t] = block.temporal_fc.weight @ received[t] + block.temporal_fc.bias
    return out


def over_space(block: nn.Module, cls: Tensor, x: Patches) -> tuple[Tensor, Patches]:
    to_cls, out = torch.zeros_like(cls), {}
    for t in TIMES:
        first, *others = attended(block.attn, block.norm1, [cls, *(x[p, t] for p in PATCHES)])
        to_cls = to_cls + first / FRAMES
        out |= {(p, t): others[p] for p in PATCHES}
    return to_cls, out


def jointly(block: nn.Module, cls: Tensor, x: Patches) -> tuple[Tensor, Patches]:
    first, *others = attended(block.attn, block.norm1, [cls, *x.values()])
    return first, dict(zip(x, others, strict=True))


def plus(x: Patches, y: Patches) -> Patches:
    return {place: x[place] + y[place] for place in x}


def after_attention(block: nn.Module, order: str, cls: Tensor, x: Patches) -> tuple[Tensor, Patches]:
    if order == "joint":
        to_cls, y = jointly(block, cls, x)
        return cls + to_cls, plus(x, y)
    if order == "time-first":
        x = plus(x, over_time(block, x))
    to_cls, y = over_space(block, cls, x)
    if order == "parallel":
        y = plus(y, over_time(block, x))
    x = plus(x, y)
    if order == "space-first":
        x = plus(x, over_time(block, x))
    return cls + to_cls, x


def after_mlp(block: nn.Module, x: Tensor) -> Tensor:
    h = block.mlp.fc1.weight @ normed(block.norm2, x) + block.mlp.fc1.bias
    gelu = h * (1 + torch.erf(h / math.sqrt(2))) / 2
    return x + block.mlp.fc2.weight @ gelu + block.mlp.fc2.bias


def embedded(model: TimeSformerVit, clip: Tensor, p: int, t: int) -> Tensor:
    patch, (row, column) = TINY["patch"], divmod(p, GRID)
    square = clip[t, :, row * patch : (row + 1) * patch, column * patch : (column + 1) * patch]
    projection = model.patch_embed.proj
    found = projection.weight.flatten(1) @ square.flatten() + projection.bias + model.pos_embed[0, 1 + p]
    return found if model.attention == "space-only" else found + model.time_embed[0, t]


def last_cls(model: TimeSformerVit, x: Patches) -> Tensor:
    """What the last block makes of cls."""
    cls = model.cls_token[0, 0] + model.pos_embed[0, 0]
    for block in model.blocks:
        cls, x = after_attention(block, model.attention, cls, x)
        cls, x = after_mlp(block, cls), {place: after_mlp(block, token) for place, token in x.items()}
    return cls


def picture_cls(model: TimeSformerVit, x: list[Tensor]) -> Tensor:
    """What the last block makes of the cls of a single frame."""
    tokens = [model.cls_token[0, 0] + model.pos_embed[0, 0], *x]
    for block in model.blocks:
        received = attended(block.attn, block.norm1, tokens)
        tokens = [after_mlp(block, x + y) for x, y in zip(tokens, received, strict=True)]
    return tokens[0]


def logits_by_hand(model: TimeSformerVit, clip: Tensor) -> Tensor:
    x = {(p, t): embedded(model, clip, p, t) for p in PATCHES for t in TIMES}
    if model.attention == "space-only":
        cls = sum(picture_cls(model, [x[p, t] for p in PATCHES]) for t in TIMES) / FRAMES
    else:
        cls = last_cls(model, x)
    return model.head.weight @ normed(model.norm, cls) + model.head.bias


@torch.no_grad()
@pytest.mark.parametrize("attention", EVERY)
def test_logits_are_those_worked_out_token_by_token(attention):
    model, x_BTCHW = tiny(attention), clips()
    by_hand = torch.stack([logits_by_hand(model, clip) for clip in x_BTCHW])
    torch.testing.assert_close(model(x_BTCHW), by_hand, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("attention", (*DIVIDED, "joint"))
def test_the_table_of_times_is_all_that_tells_the_order_of_frames(attention):
    model, x_BTCHW = tiny(attention), clips()
    shuffled = x_BTCHW[:, [2, 0, 1]]
    assert not torch.allclose(model(x_BTCHW), model(shuffled), atol=1e-4)
    nn.init.zeros_(model.time_embed)
    torch.testing.assert_close(model(x_BTCHW), model(shuffled))


@pytest.mark.parametrize("attention", EVERY)
def test_a_fresh_model_does_not_know_the_order_of_frames(attention):
    """Its table of times is zero, and so is what stands behind the attention over time."""
    model, x_BTCHW = tiny(attention, spread=None), clips()
    torch.testing.assert_close(model(x_BTCHW), model(x_BTCHW.flip(1)))


def test_over_space_only_the_order_of_frames_is_never_known():
    model, x_BTCHW = tiny("space-only"), clips()
    torch.testing.assert_close(model(x_BTCHW), model(x_BTCHW[:, [2, 0, 1]]))


@pytest.mark.parametrize("attention", DIVIDED)
def test_with_a_zero_projection_nothing_comes_over_time(attention):
    model, x_BTCHW = tiny(attention), clips()
    for block in model.blocks:
        nn.init.zeros_(block.temporal_fc.weight)
        nn.init.zeros_(block.temporal_fc.bias)
    logits = model(x_BTCHW)
    for block in model.blocks:
        nn.init.normal_(block.temporal_attn.qkv.weight)
    torch.testing.assert_close(model(x_BTCHW), logits, rtol=0, atol=0)


def test_cls_has_the_first_position_and_no_time():
    model = tiny("time-first")
    tokens = model.tokens(clips())
    assert tokens.shape == (2, 1 + FRAMES * GRID**2, TINY["width"])
    expected = (model.cls_token + model.pos_embed[:, :1]).expand(2, -1, -1)
    torch.testing.assert_close(tokens[:, :1], expected, rtol=0, atol=0)


def test_cls_neither_gives_nor_receives_over_time_and_takes_the_mean_over_frames():
    block = tiny("time-first").blocks[0]
    x_BNTD = torch.randn(2, GRID**2, FRAMES, TINY["width"], dtype=torch.double)
    cls_B1D = torch.randn(2, 1, TINY["width"], dtype=torch.double)
    with torch.no_grad():
        to_cls, _ = block.over_space(cls_B1D, x_BNTD)
        each = [block.norm1(torch.cat([cls_B1D, x_BNTD[:, :, t]], 1)) for t in TIMES]
        mean = torch.stack([block.attn(tokens)[:, :1] for tokens in each]).mean(0)
    torch.testing.assert_close(to_cls, mean)
    seen = []
    hook = block.temporal_attn.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    block(torch.cat([cls_B1D, x_BNTD.flatten(1, 2)], 1))
    hook.remove()
    assert seen == [(2 * GRID**2, FRAMES, TINY["width"])]


def test_the_weights_of_attention_are_those_the_fused_kernel_uses():
    attention = tiny("joint").blocks[0].attn
    x_GLD = torch.randn(2, 7, TINY["width"], dtype=torch.double)
    values_GALK = (
        attention.qkv(x_GLD)[..., -TINY["width"] :].unflatten(2, (TINY["heads"], -1)).transpose(1, 2)
    )
    out = attention.proj((attention.weights(x_GLD) @ values_GALK).transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention(x_GLD), out)


@pytest.mark.parametrize("attention", EVERY)
def test_a_gradient_reaches_every_parameter_but_what_comes_too_late_for_cls(attention):
    model = tiny(attention)
    model(clips()).square().sum().backward()
    without = {name for name, p in model.named_parameters() if not p.grad.any()}
    last_over_time = {name for name, _ in model.named_parameters() if name.startswith("blocks.1.temporal_")}
    assert without == (last_over_time if attention in ("space-first", "parallel") else set())


def test_stochastic_depth_grows_with_depth():
    model = build(spec("joint", TINY | {"layers": 5}, 0.2), classes=2, channels=1, frames=2, side=4)
    assert [getattr(block.drop_path, "p", 0) for block in model.blocks] == pytest.approx(
        [0, 0.05, 0.1, 0.15, 0.2]
    )


def test_stochastic_depth_drops_a_patch_over_time_before_the_projection():
    block = tiny("time-first").blocks[1].train()
    block.drop_path.p = 0.5
    x_BNTD = torch.randn(8, GRID**2, FRAMES, TINY["width"], dtype=torch.double)
    kept_GTD = block.temporal_fc(block.temporal_attn(block.temporal_norm1(x_BNTD.flatten(0, 1))) / 0.5)
    received_GTD = block.over_time(x_BNTD).flatten(0, 1)
    dropped_G = torch.isclose(received_GTD, block.temporal_fc.bias).all((1, 2))
    kept_G = torch.isclose(received_GTD, kept_GTD).all((1, 2))
    assert (dropped_G ^ kept_G).all()
    assert 4 < dropped_G.sum() < 28  # of 32


def test_starts_as_the_authors_code_does():
    torch.manual_seed(0)
    model = build(spec("time-first", TINY | {"width": 96}), classes=4, channels=3, frames=3, side=16)
    for name, parameter in model.named_parameters():
        if name == "time_embed" or "temporal_fc" in name:
            assert not parameter.any(), name
        elif name in ("cls_token", "pos_embed") or ("norm" not in name and name.endswith("weight")):
            wanted = 12**-0.5 / 3**0.5 if name.startswith("patch_embed") else 0.02  # 12 values of a patch
            assert parameter.std().item() == pytest.approx(wanted, rel=0.25), name
        elif not name.startswith("patch_embed"):
            assert (parameter == (1 if name.endswith("weight") else 0)).all(), name


def test_the_same_seed_gives_the_same_bytes():
    def run() -> bytes:
        torch.manual_seed(7)
        model = build(spec("time-first", TINY), classes=CLASSES, channels=3, frames=FRAMES, side=4)
        logits = model(clips().float())
        logits.sum().backward()
        return b"".join(t.detach().numpy().tobytes() for t in (logits, *(p.grad for p in model.parameters())))

    assert run() == run()


@pytest.mark.parametrize("attention", ("time-first", "joint", "space-only"))
def test_a_clip_does_not_depend_on_its_neighbours(attention):
    model, x_BTCHW = tiny(attention), clips()
    torch.testing.assert_close(model(x_BTCHW), torch.cat([model(x[None]) for x in x_BTCHW]))


@pytest.mark.parametrize("attention", ("time-first", "joint", "space-only"))
def test_runs_under_bfloat16_autocast(attention):
    model = tiny(attention, spread=0.1).float()
    rac_oracle.assert_runs_under_bfloat16_autocast(model, clips().float())


@pytest.mark.parametrize(
    ("change", "message"), [({"patch": 3}, "side 4 is not a multiple of patch 3"), ({"heads": 5}, "heads 5")]
)
def test_sizes_that_do_not_divide_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        build(spec("joint", TINY | change), classes=2, channels=3, frames=2, side=4)


def test_the_label_tells_the_variants_apart():
    assert model_label(spec("space-first", TINY)) == "timesformer-vit-space-first-d12-l2-p2"
