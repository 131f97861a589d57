"""What the rules compare to see whether a file is still up to date: digests of the plan's parts."""

from retrace.plan.expand import Cell
from retrace.plan.identity import canonical, collection_name, digest
from retrace.plan.plan import Plan


def of_item(plan: Plan, paper: str, key: str) -> str:
    """Return a digest of all that the rendering of one table or figure depends on besides results."""
    cells = plan.cells(paper, key)
    trained = any(cell.runs for cell in cells)
    return digest(
        [
            plan.papers[paper].model_dump(mode="json", include={"short", "authors", "venue", "year"}),
            plan.item(paper, key).model_dump(mode="json"),
            [_of_cell(cell) for cell in cells],
            sorted({canonical(a[2:]) for cell in cells for a in plan.assumptions(cell)}),
            plan.overlay.model_dump(mode="json", include={"title", "says", "comparable"}),
            [change for change in plan.changes() if trained and change.paper == paper],
        ]
    )


def of_claims(plan: Plan) -> str:
    """Return a digest of every claim as the pages state them."""
    return digest([page.model_dump(mode="json", include={"claims"}) for page in plan.papers.values()])


def of_ledger(plan: Plan) -> str:
    """Return a digest of every assumption, the cells that rest on it, and what the scale changes."""
    library = plan.library
    pages = [*plan.documents.values(), *library.documents.values(), *library.segmenters.documents.values()]
    cells = [(c.place, c.not_run, c.definition and c.definition.model_dump()) for c in plan.all_cells()]
    return digest([[page.assumptions for page in pages], cells, plan.overlay.model_dump(mode="json")])


def of_page(plan: Plan) -> str:
    """Return a digest of everything on every page: the page to open tells of all of it."""
    library = plan.library
    folders = (plan.papers, plan.datasets, library.videos, library.masks, library.segmenters.pages)
    pages = [page for folder in folders for page in folder.items()] + [("scale", plan.overlay)]
    return digest([of_ledger(plan), [[name, page.model_dump(mode="json")] for name, page in pages]])


def _of_cell(cell: Cell) -> list[object]:
    counted = None if cell.collection is None else collection_name(cell.collection)
    return [cell.place, cell.not_run, cell.says, counted]
