"""Checkpoints of TimeSformer as its authors released them (facebookresearch/TimeSformer).

Their names are ours, with "model." in front. Where a checkpoint was trained on other clips than the run, its
tables of positions and times are resized.
"""

from retrace.models.imports.release import Release, Translated, Weights, without_prefix
from retrace.models.vit_weights import with_tables_of


def translate(theirs: Weights, fresh: Weights) -> Translated:
    """Return the tensors of a checkpoint in the names of `TimeSformerVit`. Nothing is left out."""
    return Translated(with_tables_of(fresh, without_prefix(theirs, "model.")), {})


RELEASE = Release("facebookresearch/TimeSformer", ("timesformer-vit",), translate)
