"""The one door to the official annotations: a format by its name."""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from types import ModuleType

from retrace.data.sources import diving48, kinetics, moments, something_v1, something_v2
from retrace.data.sources.entry import Entry
from retrace.data.sources.reading import given
from retrace.errors import UserError
from retrace.plan.video import Format, SplitName

_FORMATS: Mapping[Format, ModuleType] = {
    "kinetics": kinetics,
    "something-v1": something_v1,
    "something-v2": something_v2,
    "moments": moments,
    "diving48": diving48,
}


def entries(form: Format, path: Path, split: SplitName, classes: tuple[str, ...]) -> Iterator[Entry]:
    """Yield what the annotation of one split lists, in its order.

    Raises UserError with file, place and what was expected where the file is not what its format promises,
    or lists nothing.
    """
    empty = True
    for entry in _FORMATS[form].entries(path, split, classes):
        empty = False
        yield entry
    if empty:
        raise UserError(f"{path} lists no video of {split}")


def check_labels(form: Format, path: Path | None, classes: tuple[str, ...]) -> None:
    """Raise UserError at the first label where `path`, the publisher's own list, has another class.

    Kinetics has no list: its order is the alphabetical one. Elsewhere nothing is checked without a list.
    """
    if form == "kinetics":
        published, source = sorted(classes), "the alphabetical order that Kinetics goes by"
    elif path is not None:
        published, source = _FORMATS[form].labels(path), str(path)
    else:
        return
    for index, (theirs, ours) in enumerate(zip_longest(published, classes)):
        if theirs != ours:
            same = " The classes are the same, the order is not." if set(published) == set(classes) else ""
            raise UserError(
                f"{source}: label {index} is {given(theirs)}, the page's class list has {given(ours)}.{same} "
                "Is one of them of another version of the dataset?"
            )
