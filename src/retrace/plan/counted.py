"""What a plan has counted on the meta device or measured on the machine: costs, sizes of layers, speeds."""

from retrace.plan.cell import CostCell, CountedCell, ScoreCell, ShapeCell, SpeedCell
from retrace.plan.expand import Cell
from retrace.plan.identity import digest
from retrace.plan.items import Figure
from retrace.plan.plan import Plan


def costs(plan: Plan, paper: str) -> dict[str, CountedCell]:
    """Return a cell of each model that is counted for `paper`, by the digest of the model at its size."""
    return {digest(cell.network()): cell for cell in _counted(plan, paper)}


def layers(plan: Plan, paper: str) -> dict[str, list[str]]:
    """Return the layers whose sizes `paper` prints, by the digest of their model at its size."""
    found: dict[str, set[str]] = {}
    for cell in _counted(plan, paper):
        if isinstance(cell, ShapeCell):
            found.setdefault(digest(cell.network()), set()).add(cell.layer)
    return {key: sorted(layers) for key, layers in found.items()}


def _counted(plan: Plan, paper: str) -> list[CountedCell]:
    return [cell for key in plan.items(paper) for cell in item_costs(plan, paper, key)]


def item_costs(plan: Plan, paper: str, key: str) -> list[CountedCell]:
    """Return the costs and sizes that one table or figure prints, or that its points stand at."""
    item, cells = plan.item(paper, key), plan.cells(paper, key)
    counted: list[CountedCell] = [c.definition for c in cells if isinstance(c.definition, CountedCell)]
    if isinstance(item, Figure) and item.draw == "accuracy_by_cost":
        counted += [test_cost(plan, cell)[0] for cell in cells if isinstance(cell.definition, ScoreCell)]
    return counted


def test_cost(plan: Plan, cell: Cell) -> tuple[CostCell, int]:
    """Return the cost of one clip that a cell of videos shows, at the paper's size, and their number."""
    scored = cell.definition
    assert isinstance(scored, ScoreCell)
    clip = plan.papers[cell.place.paper].views[scored.view].clip
    assert clip is not None
    classes = len(plan.library.collection(scored.data).classes)
    cost = CostCell(
        measure="conv_gmacs",
        model=scored.model,
        classes=classes,
        frames=clip.sampling.frames,
        side=clip.side,
        channels=3,
    )
    return cost, clip.shown


def speeds(plan: Plan, paper: str) -> dict[str, SpeedCell]:
    """Return the cells of speed and memory of `paper` by their digest, each model once."""
    cells = (cell.definition for key in plan.items(paper) for cell in plan.cells(paper, key))
    return {
        digest(cell.model_dump(exclude={"measure"})): cell for cell in cells if isinstance(cell, SpeedCell)
    }
