"""What a release of weights is to us: whose it is, which models it is for, and how its names become ours."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor

Weights = Mapping[str, Tensor]


class Translated(NamedTuple):
    """Tensors in our names, and those of the file that are knowingly left out, with the reason.

    A tensor that the translation does not know keeps its name: then it fits nowhere, and the import is
    refused. So nothing is lost in silence.
    """

    weights: dict[str, Tensor]
    left_out: dict[str, str]


class Release(NamedTuple):
    """One source of weights: `source` is whose, `families` are those of `plan.model` it has weights for.

    `translate` takes the tensors of the file, and the state dict of a newly built model of ours, which says
    which names and shapes are wanted.
    """

    source: str
    families: tuple[str, ...]
    translate: Callable[[Weights, Weights], Translated]


def without_prefix(weights: Weights, prefix: str) -> dict[str, Tensor]:
    """Return `weights` without `prefix`, if all names begin with it (``module.``: a wrapper's)."""
    if not all(name.startswith(prefix) for name in weights):
        return dict(weights)
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
