"""Starting from an image ViT: the file that torch keeps is used, and the model then is that ViT."""

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from retrace.errors import UserError
from retrace.models.registry import build
from retrace.plan.model import Cnn3d
from retrace.train import image_vit
from retrace.train.image_vit import RELEASES, Release, start_from_image_vit
from vits import GRID, TINY, spec

SIDE = GRID * TINY["patch"]
PLACE = (TINY["width"], TINY["layers"], TINY["heads"], TINY["patch"])


def timm_vit(*, qkv_bias: bool) -> VisionTransformer:
    torch.manual_seed(3)
    sizes = {"embed_dim": TINY["width"], "depth": TINY["layers"], "num_heads": TINY["heads"]}
    vit = VisionTransformer(
        img_size=SIDE, patch_size=TINY["patch"], mlp_ratio=TINY["mlp_ratio"], qkv_bias=qkv_bias, **sizes
    )
    with torch.no_grad():
        for parameter in vit.parameters():
            parameter.normal_(0, 0.3)
    return vit.eval()


def new(attention: str = "time-first", **changes) -> tuple[nn.Module, object]:
    kind = spec(attention, TINY | changes)
    return build(kind, classes=1000, channels=3, frames=2, side=SIDE).eval(), kind


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A release whose file is already in torch's cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)

    def keep(state: dict, logit_scale: float | None = None) -> None:
        (tmp_path / "hub/checkpoints").mkdir(parents=True)
        torch.save(state, tmp_path / "hub/checkpoints/tiny-0123abcd.pth")
        release = Release("http://nowhere.invalid/tiny-0123abcd.pth", logit_scale)
        monkeypatch.setitem(image_vit.RELEASES, PLACE, release)

    return keep


def answers_as(vit: nn.Module, model: nn.Module) -> None:
    """Two equal frames get what the image gets."""
    x_BCHW = torch.rand(3, 3, SIDE, SIDE)
    with torch.no_grad():
        found, expected = model(x_BCHW[:, None].expand(-1, 2, -1, -1, -1)), vit(x_BCHW)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("below", [False, True])
def test_the_model_starts_as_the_image_vit(kept, below):
    vit, (model, kind) = timm_vit(qkv_bias=True), new()
    kept({"model": vit.state_dict()} if below else vit.state_dict())
    start_from_image_vit(model, kind)
    answers_as(vit, model)


def test_another_scale_of_the_logits_goes_into_the_queries(kept):
    vit, (model, kind) = timm_vit(qkv_bias=False), new(qkv_bias=False)
    for block in vit.blocks:
        block.attn.fused_attn, block.attn.scale = False, TINY["width"] ** -0.5
    kept(vit.state_dict(), TINY["width"] ** -0.5)
    start_from_image_vit(model, kind)
    answers_as(vit, model)


def test_what_cannot_be_had_is_said_in_words(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setitem(image_vit.RELEASES, PLACE, Release("http://127.0.0.1:9/tiny-0123abcd.pth"))
    with pytest.raises(UserError, match=r"put tiny-0123abcd\.pth into the folder hub/checkpoints"):
        start_from_image_vit(*new())


def test_sizes_and_families_without_a_vit_are_told():
    with pytest.raises(UserError, match="none for these sizes"):
        start_from_image_vit(*new())
    with pytest.raises(UserError, match="none for the family 'cnn3d'"):
        start_from_image_vit(nn.Identity(), Cnn3d(family="cnn3d", hidden=1, layers=1))


def test_every_release_is_named_by_its_checksum():
    """torch.hub checks a file against the digits at the end of its name."""
    for release in RELEASES.values():
        assert torch.hub.HASH_REGEX.search(release.url.rpartition("/")[2])
