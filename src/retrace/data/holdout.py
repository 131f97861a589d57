"""A split that is held out of another one: who of an annotation is in which."""

from collections.abc import Iterable

from retrace.data.sources.entry import Entry
from retrace.errors import UserError
from retrace.plan.video import Cut, Holdout, SplitName


def annotated(split: SplitName, holdout: Cut | None) -> SplitName:
    """Return the split whose annotation lists the videos of `split`."""
    return holdout.of if holdout is not None and split == holdout.split else split


def of_split(
    listed: Iterable[Entry], split: SplitName, holdout: Holdout | None, file: str
) -> Iterable[Entry]:
    """Return those entries of an annotation that belong to `split`, in its order.

    Raises UserError where `file`, which lists them, has no more entries than are held out of it.
    """
    if holdout is None or split not in (holdout.split, holdout.of):
        return listed
    entries = list(listed)
    if len(entries) <= holdout.videos:
        raise UserError(
            f"{file} lists {len(entries)} videos, of which {holdout.videos} should be held out for "
            f"'{holdout.split}'"
        )
    held = held_out(len(entries), holdout)
    return [entry for place, entry in enumerate(entries) if (place in held) == (split == holdout.split)]


def held_out(count: int, holdout: Holdout) -> set[int]:
    """Return the places of `count` entries, from 0, that torch's `random_split` puts into the second part."""
    from torch import Generator  # here: nothing else in these steps needs torch, which takes a second
    from torch.utils.data import random_split

    seeded = Generator().manual_seed(holdout.seed)
    _, held = random_split(range(count), [count - holdout.videos, holdout.videos], seeded)  # type: ignore[arg-type]
    return set(held.indices)
