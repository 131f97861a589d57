"""The one door to weights that others released."""

import torch
from torch import Tensor

from retrace.errors import UserError
from retrace.models.imports import ibm, pyslowfast, timesformer
from retrace.models.imports.release import Release, Translated, Weights
from retrace.plan.strict import nearest

RELEASES: dict[str, Release] = {
    "ibm": ibm.RELEASE,
    "pyslowfast": pyslowfast.RELEASE,
    "timesformer": timesformer.RELEASE,
}
"""By the name that `retrace import-weights --from` knows them by."""

_LISTED = 12


def release_of(name: str) -> Release:
    """Return the release called `name`. Raises UserError with the nearest name if there is none."""
    if name not in RELEASES:
        raise UserError(f"no release of weights is called '{name}'; {nearest(name, RELEASES)}")
    return RELEASES[name]


def translated(name: str, family: str, theirs: Weights, fresh: Weights) -> Translated:
    """Return the tensors `theirs`, of the release `name`, in the names, order and precision of `fresh`.

    `fresh` is the state dict of a newly built model of `family`. How many batches a norm has seen may be
    missing: nothing reads it. Raises UserError where the release has nothing for the family, or where one
    of the tensors has no place, is missing, has another shape, or holds a value that is not finite.
    """
    release = release_of(name)
    if family not in release.families:
        families = ", ".join(release.families)
        raise UserError(f"{release.source} has weights for the families {families}, the run's is '{family}'")
    found, left_out = release.translate(theirs, fresh)
    for key, tensor in fresh.items():
        if key.endswith(".num_batches_tracked"):
            found.setdefault(key, torch.zeros_like(tensor))
    _refuse_misfits(release, found, fresh)
    weights = {key: found[key].detach().to(place, copy=True) for key, place in fresh.items()}
    if broken := [key for key, tensor in weights.items() if not tensor.isfinite().all()]:
        raise UserError(f"the weights hold values that are not finite, in {', '.join(broken[:_LISTED])}")
    return Translated(weights, left_out)


def _refuse_misfits(release: Release, found: dict[str, Tensor], fresh: Weights) -> None:
    shapes = [{key: tuple(tensor.shape) for key, tensor in weights.items()} for weights in (found, fresh)]
    misfits = [
        f"{key}: found {shapes[0].get(key, 'nothing')}, expected {shapes[1].get(key, 'nothing')}"
        for key in sorted(shapes[0].keys() | shapes[1].keys())
        if shapes[0].get(key) != shapes[1].get(key)
    ]
    if misfits:
        more = f"\n  and {len(misfits) - _LISTED} more" if len(misfits) > _LISTED else ""
        listed = "\n  ".join(misfits[:_LISTED])
        raise UserError(
            f"{len(misfits)} tensors do not fit the run's model (in our names, where {release.source} is "
            f"understood):\n  {listed}{more}"
        )
