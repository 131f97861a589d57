"""The sizes of what layers of a model put out, at full size and without memory or time."""

import copy
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from retrace.errors import UserError
from retrace.plan.strict import nearest

CLIP = "clip"
"""What names the model's input among the layers."""


def output_shapes(model: nn.Module, x_shape: Sequence[int], layers: Iterable[str]) -> dict[str, list[int]]:
    """Return the shape, batch first, of what each of `layers` puts out for x of shape `x_shape`.

    Layers have the names of modules, such as ``res4.0``; of one that runs several times the last is taken.
    Raises UserError for a layer that the model lacks, or that puts out something else than a tensor.
    """
    shadow = copy.deepcopy(model).to("meta").eval()
    modules = dict(shadow.named_modules())
    found: dict[str, list[int]] = {CLIP: list(x_shape)}

    def keep(layer: str, out: object) -> None:
        if not isinstance(out, Tensor):
            raise UserError(f"layer '{layer}' puts out {type(out).__name__}, not a tensor")
        found[layer] = list(out.shape)

    for layer in {*layers} - {CLIP}:
        if layer not in modules:
            raise UserError(f"{type(model).__name__} has no layer '{layer}'; {nearest(layer, modules)}")
        modules[layer].register_forward_hook(lambda _, __, out, layer=layer: keep(layer, out))
    with torch.no_grad():
        shadow(torch.empty(*x_shape, device="meta"))
    return found
