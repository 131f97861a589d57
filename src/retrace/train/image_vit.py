"""Starting from the weights of an image ViT, which torch fetches and keeps in its own cache."""

from typing import NamedTuple
from urllib.error import URLError

import torch
from torch import Tensor, nn

from retrace.errors import UserError
from retrace.models.timesformer_vit import TimeSformerVit
from retrace.models.vit_weights import Resize, from_image_vit
from retrace.plan import model as kinds
from retrace.train.imagenet import not_to_be_had

_TIMM = "https://github.com/rwightman/pytorch-image-models/releases/download"


class Release(NamedTuple):
    """A file of weights in timm's names; the end of its name is the beginning of its SHA-256.

    `logit_scale` is what the network multiplied queries with keys by, where that is not one over the root
    of a head's width.
    """

    url: str
    logit_scale: float | None = None


RELEASES = {
    # width, layers, heads, patch: what the first releases of timm had under these sizes
    (768, 12, 12, 16): Release(f"{_TIMM}/v0.1-vitjx/jx_vit_base_p16_224-80ecf9dd.pth"),
    (768, 12, 12, 32): Release(f"{_TIMM}/v0.1-vitjx/jx_vit_base_p32_384-830016f5.pth"),
    (1024, 24, 16, 16): Release(f"{_TIMM}/v0.1-vitjx/jx_vit_large_p16_224-4ee7a4dc.pth"),
    (768, 8, 8, 16): Release(f"{_TIMM}/v0.1-weights/vit_small_p16_224-15ec54c9.pth", 768**-0.5),
    # the sizes that are called small since Touvron et al., 2020, and their weights
    (384, 12, 6, 16): Release("https://dl.fbaipublicfiles.com/deit/deit_small_patch16_224-cd65a155.pth"),
}
"""The first three were trained on ImageNet-21k and then on ImageNet-1k, the others on the latter alone."""


def start_from_image_vit(model: nn.Module, kind: kinds.Model, resize: Resize = "bicubic") -> None:
    """Copy the weights of the image ViT of the same sizes into `model` (`from_image_vit`).

    Raises UserError where there are none, or where they cannot be had.
    """
    if not isinstance(model, TimeSformerVit) or not isinstance(kind, kinds.TimeSformerVit):
        raise UserError(f"weights: image-vit: there are none for the family '{kind.family}'")
    release = RELEASES.get((kind.width, kind.layers, kind.heads, kind.patch))
    if release is None:
        sizes = "; ".join(f"{w} x {n}, {h} heads, patch {p}" for w, n, h, p in RELEASES)
        raise UserError(f"weights: image-vit: there are none for these sizes of a ViT; known: {sizes}")
    weights = from_image_vit(_rescaled(_fetched(release), release, kind), model.state_dict(), resize)
    model.load_state_dict(weights)


def _fetched(release: Release) -> dict[str, Tensor]:
    try:
        found = torch.hub.load_state_dict_from_url(
            release.url, map_location="cpu", progress=False, check_hash=True, weights_only=True
        )
    except (URLError, OSError, RuntimeError) as error:
        raise not_to_be_had("the image ViT", release.url, error) from error
    return dict(found.get("model", found))  # DeiT keeps its weights one level down


def _rescaled(weights: dict[str, Tensor], release: Release, kind: kinds.TimeSformerVit) -> dict[str, Tensor]:
    """Return weights with another scale of the logits worked into the queries, which have no bias then."""
    if release.logit_scale is None:
        return weights
    factor = release.logit_scale * (kind.width / kind.heads) ** 0.5
    queries = torch.ones(3 * kind.width, 1)
    queries[: kind.width] = factor
    return {name: w * queries if name.endswith(".attn.qkv.weight") else w for name, w in weights.items()}
