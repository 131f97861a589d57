"""Weights of image ViTs and of released TimeSformers: against timm's own ViT and the published names."""

import pytest
import torch
from timm.layers import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from retrace.errors import UserError
from retrace.models.imports.registry import translated
from retrace.models.vit_weights import from_image_vit, resize_positions, resize_times
from vits import CLASSES, DIVIDED, EVERY, FRAMES, GRID, TINY, clips, tiny

OURS = ("timesformer", "timesformer-vit")
"""The release, and the family that it has weights for."""


def timm_vit(classes: int = CLASSES, grid: int = GRID) -> nn.Module:
    """Return timm's ViT of the same size, with every parameter drawn anew."""
    torch.manual_seed(3)
    vit = VisionTransformer(
        img_size=grid * TINY["patch"],
        patch_size=TINY["patch"],
        embed_dim=TINY["width"],
        depth=TINY["layers"],
        num_heads=TINY["heads"],
        mlp_ratio=TINY["mlp_ratio"],
        num_classes=classes,
    )
    with torch.no_grad():
        for parameter in vit.parameters():
            parameter.normal_(0, 0.5)
    return vit.double().eval()


def released(frames: int = FRAMES, grid: int = GRID, classes: int = CLASSES) -> dict[str, Tensor]:
    """Return a checkpoint in the names that the authors released, written out."""
    width, inner, patch = TINY["width"], TINY["mlp_ratio"] * TINY["width"], TINY["patch"]
    linear = {"attn.qkv": (3 * width, width), "attn.proj": (width, width)}
    linear |= {f"temporal_{name}": shape for name, shape in linear.items()}
    linear |= {"temporal_fc": (width, width), "mlp.fc1": (inner, width), "mlp.fc2": (width, inner)}
    shapes = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, grid**2 + 1, width),
        "time_embed": (1, frames, width),
        "patch_embed.proj.weight": (width, 3, patch, patch),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
        "head.weight": (classes, width),
        "head.bias": (classes,),
    }
    for block in ("blocks.0", "blocks.1"):
        for name, shape in linear.items():
            shapes |= {f"{block}.{name}.weight": shape, f"{block}.{name}.bias": shape[:1]}
        for name in ("norm1", "temporal_norm1", "norm2"):
            shapes |= {f"{block}.{name}.weight": (width,), f"{block}.{name}.bias": (width,)}
    draw = torch.Generator().manual_seed(5)
    return {name: torch.randn(shape, generator=draw) for name, shape in shapes.items()}


@torch.no_grad()
@pytest.mark.parametrize("attention", EVERY)
def test_of_one_frame_it_is_the_image_vit(attention):
    vit, model, x_BTCHW = timm_vit(), tiny(attention, frames=1), clips(1)
    model.load_state_dict(from_image_vit(vit.state_dict(), model.state_dict()))
    torch.testing.assert_close(model(x_BTCHW), vit(x_BTCHW[:, 0]), rtol=1e-5, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("attention", [*DIVIDED, "space-only"])
def test_of_a_still_clip_it_is_the_image_vit(attention):
    vit, model, still_BTCHW = timm_vit(), tiny(attention), clips(1).expand(-1, FRAMES, -1, -1, -1)
    model.load_state_dict(from_image_vit(vit.state_dict(), model.state_dict()))
    torch.testing.assert_close(model(still_BTCHW), vit(still_BTCHW[:, 0]), rtol=1e-5, atol=1e-5)


def test_attention_over_time_starts_as_a_copy_that_adds_nothing():
    image, fresh = timm_vit().state_dict(), tiny("time-first").state_dict()
    weights = from_image_vit(image, fresh)
    for name, tensor in weights.items():
        if ".temporal_fc." in name or name == "time_embed":
            assert not tensor.any(), name
        else:
            torch.testing.assert_close(tensor, image[name.replace("temporal_", "")], rtol=0, atol=0)
    assert len({tensor.data_ptr() for tensor in weights.values()}) == len(weights)


@pytest.mark.parametrize("classes", [CLASSES + 1, 0])
def test_another_classifier_is_begun_anew(classes):
    fresh = tiny("joint").state_dict()
    weights = from_image_vit(timm_vit(classes).state_dict(), fresh)
    assert torch.equal(weights["head.weight"], fresh["head.weight"])
    assert torch.equal(weights["head.bias"], fresh["head.bias"])


@pytest.mark.parametrize("prefix", ["", "model."])
def test_a_released_checkpoint_keeps_all_its_values(prefix):
    checkpoint = released()
    fresh = tiny("time-first").float().state_dict()
    weights, left_out = translated(*OURS, {prefix + name: t for name, t in checkpoint.items()}, fresh)
    assert weights.keys() == checkpoint.keys() and not left_out
    assert all(torch.equal(weights[name], checkpoint[name]) for name in checkpoint)
    tiny("time-first").float().load_state_dict(weights)


def test_a_released_checkpoint_fits_other_clips():
    checkpoint = released(frames=6, grid=3)
    weights, _ = translated(*OURS, checkpoint, tiny("time-first").state_dict())
    assert torch.equal(weights["time_embed"], checkpoint["time_embed"][:, [0, 2, 4]].double())
    assert weights["pos_embed"].shape == (1, 1 + GRID**2, TINY["width"])


def test_a_released_checkpoint_of_other_classes_or_attention_is_refused():
    with pytest.raises(UserError, match=r"head\.bias: found \(9,\), expected \(5,\)"):
        translated(*OURS, released(classes=9), tiny("time-first").state_dict())
    with pytest.raises(UserError, match=r"temporal_fc\.bias: found \(12,\), expected nothing"):
        translated(*OURS, released(), tiny("joint").state_dict())


def test_what_does_not_fit_is_named():
    image = dict(timm_vit().state_dict())
    image["blocks.0.attn.proj.weight"] = torch.zeros(3, 4)
    image["blocks.7.norm1.bias"] = image.pop("norm.bias")
    with pytest.raises(UserError) as caught:
        from_image_vit(image, tiny("joint").state_dict())
    lines = str(caught.value).splitlines()[1:]
    assert [line.strip() for line in lines] == [
        "blocks.0.attn.proj.weight: found (3, 4), expected (12, 12)",
        "blocks.7.norm1.bias: found (12,), expected nothing",
        "norm.bias: found nothing, expected (12,)",
    ]


@pytest.mark.parametrize("resize", ["bicubic", "flat-nearest"])
def test_tables_of_the_right_size_stay_as_they_are(resize):
    table_1SD, table_1TD = torch.randn(1, 17, 3), torch.randn(1, 8, 3)
    assert torch.equal(resize_positions(table_1SD, 4, resize), table_1SD)
    assert torch.equal(resize_times(table_1TD, 8), table_1TD)


@pytest.mark.parametrize("grid", [7, 28])
def test_positions_are_resized_over_the_grid_as_by_torch_and_timm(grid):
    table_1SD = torch.randn(1, 1 + 14 * 14, 3)
    found = resize_positions(table_1SD, grid)
    assert torch.equal(found[:, 0], table_1SD[:, 0])
    picture_1DHW = table_1SD[:, 1:].view(1, 14, 14, 3).permute(0, 3, 1, 2)
    resized = F.interpolate(picture_1DHW, (grid, grid), mode="bicubic", antialias=True)
    torch.testing.assert_close(found[:, 1:].view(1, grid, grid, 3), resized.permute(0, 2, 3, 1))
    torch.testing.assert_close(found, resample_abs_pos_embed(table_1SD, [grid, grid]))


def test_the_flaw_of_the_released_code_tears_rows_apart():
    table_1SD = torch.randn(1, 1 + 14 * 14, 3)
    found = resize_positions(table_1SD, 28, "flat-nearest")
    assert torch.equal(found[:, 0], table_1SD[:, 0])
    source, result = table_1SD[0, 1:].view(14, 14, 3), found[0, 1:].view(28, 28, 3)
    for row in range(28):
        half = source[row // 2, :7] if row % 2 == 0 else source[row // 2, 7:]
        assert torch.equal(result[row], half.repeat_interleave(4, 0))


def test_positions_of_no_square_are_refused():
    with pytest.raises(UserError, match="15 positions"):
        resize_positions(torch.randn(1, 16, 3), 2)


@pytest.mark.parametrize("frames", [4, 16, 96])
def test_times_are_the_nearest_of_the_table(frames):
    table_1TD = torch.randn(1, 8, 3)
    nearest = [t * 8 // frames for t in range(frames)]
    assert torch.equal(resize_times(table_1TD, frames), table_1TD[:, nearest])
