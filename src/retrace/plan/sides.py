"""What one side of a comparison selects from the cells of a table or figure."""

from collections.abc import Sequence

from retrace.errors import UserError
from retrace.plan.expand import Cell
from retrace.plan.load import Document, Key
from retrace.plan.page import Paper, Side
from retrace.plan.strict import nearest


def selected(cells: Sequence[Cell], side: Side, document: Document, where: Key) -> tuple[Cell, ...]:
    """Return the cells that `side`, which stands under `where` of `document`, selects of those of its item.

    Raises UserError if it names an axis or key that does not exist, or selects nothing.
    """
    chosen = [(cell, dict(cell.place.axes)) for cell in cells]
    if not chosen or any(cell.maps for cell in cells):
        what = "pictures, which have no margin" if chosen else "no cells"
        raise UserError(document.problem((*where, "of"), f"{side.of} has {what}"))
    for axis, wanted in side.model_dump(exclude={"of"}, exclude_none=True).items():
        valid = {axes[axis] for _, axes in chosen if axis in axes}
        keys = [wanted] if isinstance(wanted, str) else wanted
        for key in keys:
            if key not in valid:
                hint = nearest(key, valid) if valid else f"its axes: {', '.join(chosen[0][1])}"
                raise UserError(document.problem((*where, axis), f"{side.of} has no {axis} '{key}'; {hint}"))
        chosen = [(cell, axes) for cell, axes in chosen if axes[axis] in keys]
        if not chosen:
            raise UserError(document.problem((*where, axis), f"selects no cell of {side.of}"))
    return tuple(cell for cell, _ in chosen)


def place_of(paper: Paper, claim: str, side: Side) -> Key:
    """Return the key under which a page states `side`, or its claim if the page does not know the side."""
    known = paper.claims.get(claim)
    for index, comparison in enumerate(known.comparisons if known else ()):
        for name in ("more", "less"):
            sides = getattr(comparison, name)
            for place, one in enumerate(sides):
                if one is side:
                    at = (place,) if len(sides) > 1 else ()
                    return ("claims", claim, "comparisons", index, name, *at)
    return ("claims", claim)
