"""Weights of torchvision's image classifiers for video networks: inflation, and the names of tensors."""

from collections.abc import Mapping

from torch import Tensor, nn

from retrace.errors import UserError
from retrace.models.layers import FactorizedConv

Weights = Mapping[str, Tensor]


def inflate(weight_OIHW: Tensor, time: int, *, divided: bool) -> Tensor:
    """Repeat a 2D kernel along time: (O, I, H, W) to (O, I, time, H, W).

    `divided` by `time`, as in Carreira and Zisserman, 2017, section 2.4, and in PySlowFast, a still clip
    looks like its frame. The authors of "Deep Analysis" do not divide (supplement, section 5).
    """
    weight_OITHW = weight_OIHW[:, :, None].repeat(1, 1, time, 1, 1)
    return weight_OITHW / time if divided else weight_OITHW


def load_imagenet(trunk: nn.Module, weights: Weights, *, divided: bool = False) -> list[str]:
    """Copy torchvision's weights for ResNet or GoogLeNet into a backbone, inflated where it is 3D.

    The classifiers are left out. Returns the tensors of `trunk` that ImageNet has nothing for: those of
    inserted blocks and of S3D's convolutions over time with the norm behind them.
    Raises UserError if a tensor has another shape, or if one of the file has no place.
    """
    state, names = trunk.state_dict(), image_names(trunk)
    used = {name for name in names.values() if name in weights}
    if left := [name for name in weights if name not in used and not name.startswith(("fc.", "aux"))]:
        raise UserError(f"the backbone has no place for the ImageNet weights {', '.join(left[:5])}")
    found = {
        key: _fitted(weights[name], state[key], name, divided=divided)
        for key, name in names.items()
        if name in used
    }
    trunk.load_state_dict(found, strict=False)
    return [key for key in state if key not in found]


def image_names(trunk: nn.Module) -> dict[str, str]:
    """Return for each tensor of `trunk` the name that the same tensor has in torchvision's image network.

    S3D: the first part of a factorised convolution, with its norm, is the image network's convolution.
    """
    names = {key: key for key in trunk.state_dict()}
    for path, module in trunk.named_modules():
        if isinstance(module, FactorizedConv):
            parent, dot, conv = path.rpartition(".")
            norm = parent + dot + conv.replace("conv", "bn")
            names = {key: name for key, name in names.items() if not key.startswith(f"{norm}.")}
            for part, image in ((f"{path}.spatial.", f"{path}."), (f"{path}.bn.", f"{norm}.")):
                names |= {key: key.replace(part, image) for key in names if key.startswith(part)}
    return names


def _fitted(weight: Tensor, place: Tensor, name: str, *, divided: bool) -> Tensor:
    if weight.ndim == 4 and place.ndim == 5:
        weight = inflate(weight, place.shape[2], divided=divided)
    if weight.shape != place.shape:
        raise UserError(
            f"ImageNet weight {name} has shape {tuple(weight.shape)}, expected {tuple(place.shape)}"
        )
    return weight
