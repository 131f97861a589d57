"""Checkpoints of PySlowFast's model zoo (facebookresearch/SlowFast): SlowFast, Slow, I3D and C2D.

Stages are ``s1`` (our conv1) to ``s5`` (our layer4); ``pathway0`` is the slow pathway, or the only one;
``s1_fuse`` to ``s4_fuse`` are the lateral connections. The zoo's ``.pyth`` files are read; those of Caffe2,
``.pkl``, are pickles.
"""

import re

from torch import Tensor

from retrace.models.imports.release import Release, Translated, Weights, without_prefix

_STEM = re.compile(r"s1\.pathway(?P<path>[01])_stem\.(?P<layer>conv|bn)\.(?P<tensor>\w+)")
_LATERAL = re.compile(r"s(?P<stage>[1-4])_fuse\.(?P<layer>conv_f2s|bn)\.(?P<tensor>\w+)")
_BLOCK = re.compile(
    r"s(?P<stage>[2-5])\.pathway(?P<path>[01])_(?P<kind>res|nonlocal)(?P<index>\d+)"
    r"\.(?P<layer>[\w.]+)\.(?P<tensor>\w+)"
)
_RESIDUAL = {
    "branch1": "downsample.0",
    "branch1_bn": "downsample.1",
    **{f"branch2.{letter}": f"conv{number}" for number, letter in enumerate("abc", start=1)},
    **{f"branch2.{letter}_bn": f"bn{number}" for number, letter in enumerate("abc", start=1)},
}
_NON_LOCAL = {
    "conv_theta": "query",
    "conv_phi": "key",
    "conv_g": "value",
    "conv_out": "out.0",
    "bn": "out.1",
}


def translate(theirs: Weights, fresh: Weights) -> Translated:
    """Return a checkpoint's tensors in the names of `SlowFast` or `SinglePathway`. Nothing is left out."""
    both = any(name.startswith("fast.") for name in fresh)
    pathways = ("slow", "fast") if both else ("trunk", "pathway1")
    ours: dict[str, Tensor] = {}
    for name, tensor in without_prefix(theirs, "module.").items():
        our_name = _our_name(name, pathways)
        # Their projections are 3D convolutions of 1x1x1, ours 2D ones on every frame.
        projects = ".block." in our_name and tensor.ndim == 5 and tensor.shape[2] == 1
        ours[our_name] = tensor[:, :, 0] if projects else tensor
    return Translated(ours, {})


def _our_name(name: str, pathways: tuple[str, str]) -> str:
    if name.startswith("head.projection."):
        return name.replace("projection", "fc")
    if found := _STEM.fullmatch(name):
        return f"{pathways[int(found['path'])]}.{found['layer']}1.{found['tensor']}"
    if found := _LATERAL.fullmatch(name):
        return f"lateral.{int(found['stage']) - 1}.{found['layer'].removesuffix('_f2s')}.{found['tensor']}"
    if (found := _BLOCK.fullmatch(name)) is None:
        return name
    stage = f"{pathways[int(found['path'])]}.layer{int(found['stage']) - 1}"
    if found["kind"] == "res" and found["layer"] in _RESIDUAL:
        return f"{stage}.{found['index']}.{_RESIDUAL[found['layer']]}.{found['tensor']}"
    if found["kind"] == "nonlocal" and found["layer"] in _NON_LOCAL:
        return f"{stage}.after{found['index']}.block.0.{_NON_LOCAL[found['layer']]}.{found['tensor']}"
    return name


RELEASE = Release("facebookresearch/SlowFast", ("slowfast", "single-pathway"), translate)
