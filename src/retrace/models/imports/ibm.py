"""Checkpoints of "Deep Analysis" as its authors released them (IBM/action-recognition-pytorch).

Their names are torchvision's, with these besides. TAM and Conv.: three 1x1 kernels, ``prev_se``, ``curr_se``
and ``next_se``, in ``tam`` of a residual block or in ``tam1`` to ``tam5b`` of InceptionV1, each behind the
layer of that number. S3D: ``conv_t`` and ``bn_t`` (``conv1_t``, ...) follow ``conv`` and ``bn``; ours
has the spatial convolution, its norm and the temporal one in one layer, and the last norm after it.
"""

import re

import torch
from torch import Tensor

from retrace.models.imports.release import Release, Translated, Weights, without_prefix

TAPS = ("prev", "curr", "next")
"""The kernels for the frame before, the same frame and the frame after: ours in this order along time."""

_TAP = re.compile(r"(?P<block>(?:.*\.)?tam\w*)\.(?P<tap>prev|curr|next)_se\.fc1\.weight")
_OVER_TIME = re.compile(r"(?P<at>.*\.)?conv(?P<number>\d*)_t\.weight")
_FACTOR = re.compile(r"(?P<at>.*\.)?(?P<kind>conv|bn)(?P<number>\d*)(?P<time>_t)?\.(?P<tensor>\w+)")


def translate(theirs: Weights, fresh: Weights) -> Translated:
    """Return the tensors of a checkpoint in the names of `VideoCnn`. Nothing is left out."""
    weights = without_prefix(theirs, "module.")
    factorised = {(m["at"], m["number"]) for name in weights if (m := _OVER_TIME.fullmatch(name))}
    taps: dict[str, dict[str, Tensor]] = {}
    ours: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        if tap := _TAP.fullmatch(name):
            taps.setdefault(tap["block"], {})[tap["tap"]] = tensor
        else:
            ours[_our_name(name, factorised)] = tensor
    for block, found in taps.items():
        ours |= _mixed(block, found)
    return Translated(ours, {})


def _our_name(name: str, factorised: set[tuple[str | None, str]]) -> str:
    if name.startswith("fc."):
        return name
    found = _FACTOR.fullmatch(name)
    if found is None or (found["at"], found["number"]) not in factorised:
        return f"trunk.{name}"
    conv = f"trunk.{found['at'] or ''}conv{found['number']}"
    match found["kind"], found["time"]:
        case "conv", None:
            return f"{conv}.spatial.{found['tensor']}"
        case "conv", _:
            return f"{conv}.temporal.{found['tensor']}"
        case _, None:
            return f"{conv}.bn.{found['tensor']}"
    return f"trunk.{found['at'] or ''}bn{found['number']}.{found['tensor']}"


def _mixed(block: str, taps: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the kernel of one aggregation: (C, 1, 3, 1), or (C, C, 3, 1) for Conv., from three of time 1."""
    if set(taps) != set(TAPS) or len({tap.shape for tap in taps.values()}) > 1:
        return {f"{block}.{tap}_se.fc1.weight": tensor for tap, tensor in taps.items()}
    at, dot, tam = block.rpartition(".")
    if dot:
        place = f"{at}.branch"
    else:  # of InceptionV1: tam1 follows conv1, tam3a follows inception3a
        number = tam.removeprefix("tam")
        place = f"after_{'conv' if number.isdecimal() else 'inception'}{number}"
    return {f"trunk.{place}.block.mix.weight": torch.cat([taps[tap] for tap in TAPS], 2)}


RELEASE = Release("IBM/action-recognition-pytorch", ("video-cnn",), translate)
