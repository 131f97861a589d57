"""Which random numbers a generated video owns, and what every generator asks of them first."""

import numpy as np

from retrace.errors import UserError
from retrace.plan.strict import nearest
from retrace.plan.video import Scene, SplitName

SPLITS: tuple[SplitName, ...] = ("train", "val", "test")
"""Their places are part of the seeds: append, never reorder."""


def seeds(scene: Scene, split: SplitName, index: int) -> tuple[np.random.Generator, np.random.SeedSequence]:
    """Return what decides what happens, and the seed of how it looks: by (seed, split, index) alone.

    So a video is the same however many are made, in whatever order, and two videos with the same looks
    differ in nothing but what happens.
    """
    happens, looks = np.random.SeedSequence([scene.seed, SPLITS.index(split), index]).spawn(2)
    return np.random.default_rng(happens), looks


def of_class(scene: Scene, label: int) -> np.random.SeedSequence:
    """Return the seed of what all videos of a class have in common."""
    return np.random.SeedSequence([scene.seed, label, 0, 1])  # four words: no video's own seed has a last one


def length(rng: np.random.Generator, scene: Scene, multiple: int = 1) -> int:
    """Draw a number of frames within the scene's range, a multiple of `multiple`."""
    shortest, longest = -(-scene.frames[0] // multiple), scene.frames[1] // multiple
    if shortest > longest:
        raise UserError(
            f"generator.frames: no multiple of {multiple} lies in {scene.frames[0]}..{scene.frames[1]}, "
            f"and a {scene.__class__.__name__.lower()} video has such a length"
        )
    return multiple * int(rng.integers(shortest, longest + 1))


def word(found: str, valid: tuple[str, ...], name: str) -> str:
    """Return `found`, a part of the class `name`; raise UserError if the generator cannot draw it."""
    if found not in valid:
        raise UserError(f"class '{name}': '{found}' cannot be generated; {nearest(found, valid)}")
    return found
