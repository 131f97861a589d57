"""The plan: all pages at one scale, and the work that the tables and figures asked for add up to."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from retrace.errors import UserError
from retrace.plan.cell import ScoreCell, TrainedCell
from retrace.plan.expand import Cell, cells_of
from retrace.plan.extension import check_parents, extended
from retrace.plan.identity import digest, maps_name, run_name, view_name
from retrace.plan.items import Figure, Table
from retrace.plan.layout import split_folder
from retrace.plan.library import Library
from retrace.plan.load import Assumption, documents, files, read
from retrace.plan.maps import Maps
from retrace.plan.mistakes import checked
from retrace.plan.overlay import Change, changes, check_only, shrunk
from retrace.plan.page import Claim, Paper, Side
from retrace.plan.resolve import ancestors
from retrace.plan.scale import Scale, Shrink
from retrace.plan.shelf import Shelf
from retrace.plan.sides import place_of, selected
from retrace.plan.spec import Run, Split, VideoView, View
from retrace.plan.strict import nearest
from retrace.plan.video import Collection, VideoSplit


class Plan:
    """Everything declared, checked against each other, at one scale.

    Attributes: `scale` (name), `overlay` (the scale's page), `papers` and `datasets` (those of clips; by
    name, at the papers' own size), `documents` (the papers' pages as read), `library` (every dataset's page).
    """

    def __init__(self, root: Path, scale: str) -> None:
        """Read all pages under `root`. Raises UserError naming file, line and key of each mistake."""
        self.root = root
        self.scale = scale
        pages = {key: extended(page) for key, page in documents(root, "papers").items()}
        self.documents = {key: page for key, (page, _) in pages.items()}
        self._sources = {key: sources for key, (_, sources) in pages.items()}
        self.library = Library(root)
        self.datasets = self.library.clips
        scales = files(root, "scales")
        if scale not in scales:
            raise UserError(f"scales/: there is no scale '{scale}'; {nearest(scale, scales)}")
        self._scale_page = read(scales[scale], root)
        self.overlay = checked(Scale.model_validate, self._scale_page.data, self._scale_page)
        self.papers = {
            key: checked(Paper.model_validate, page.data, page) for key, page in self.documents.items()
        }
        self._check_names()
        self.library.check_stand_ins(self.overlay.stand_ins, self._scale_page)
        self._full = {key: self._shelf(key) for key in self.papers}
        self._shelves = {key: shrunk(shelf, self._scale_page) for key, shelf in self._full.items()}
        self._cells: dict[tuple[str, str], tuple[Cell, ...]] = {}

    def _check_names(self) -> None:
        for key in self.overlay.papers:
            if key not in self.papers:
                where = ("papers", key)
                raise UserError(
                    self._scale_page.problem(where, f"unknown paper '{key}'; {nearest(key, self.papers)}")
                )
        for key, paper in self.papers.items():
            for view, plan in paper.views.items():
                for domain, ask in plan.domains.items():
                    if ask.dataset is not None:
                        place = ("views", view, "domains", domain)
                        self._check_ask(key, place, ask.dataset, ask.split)
            check_parents(paper, self.documents[key])

    def _check_ask(self, paper: str, where: tuple[str, ...], dataset: str, split: str) -> None:
        page = self.documents[paper]
        datasets = {**self.datasets, **self.library.videos}
        if dataset not in datasets:
            hint = nearest(dataset, datasets)
            raise UserError(page.problem((*where, "dataset"), f"unknown dataset '{dataset}'; {hint}"))
        splits = datasets[dataset].splits
        if split not in splits:
            raise UserError(
                page.problem(
                    (*where, "split"), f"'{dataset}' has no split '{split}'; {nearest(split, splits)}"
                )
            )

    def _shelf(self, key: str) -> Shelf:
        shrink = self.overlay.papers.get(key, Shrink.model_validate({}))
        page, document = self.papers[key], self.documents[key]
        return Shelf(
            key,
            page,
            page,
            document,
            self.datasets,
            self.library,
            self.overlay.stand_ins,
            shrink,
            self._scale_page,
            self.scale,
        )

    # What is declared

    def require(self, paper: str) -> None:
        """Raise UserError with the nearest name if there is no such paper."""
        if paper not in self.papers:
            raise UserError(f"unknown paper '{paper}'; {nearest(paper, self.papers)}")

    def items(self, paper: str) -> dict[str, Table | Figure]:
        """Return the tables and figures of `paper` by key, tables first."""
        page = self.papers[paper]
        return {**page.tables, **page.figures}

    def item(self, paper: str, key: str) -> Table | Figure:
        """Return one table or figure. Raises UserError with the nearest name if there is none."""
        self.require(paper)
        items = self.items(paper)
        if key not in items:
            raise UserError(f"{paper} has no table or figure '{key}'; {nearest(key, items)}")
        return items[key]

    def cells(self, paper: str, key: str) -> tuple[Cell, ...]:
        """Return the cells of one table or figure, in reading order."""
        self.item(paper, key)
        if (paper, key) not in self._cells:
            self._cells[paper, key] = cells_of(self._shelves[paper], key)
        return self._cells[paper, key]

    def all_cells(self) -> Iterator[Cell]:
        """Yield every cell of every table and figure."""
        for paper in self.papers:
            for key in self.items(paper):
                yield from self.cells(paper, key)

    def trained_cells(self) -> Iterator[Cell]:
        """Yield every cell that rests on scores of its own, also those that others are computed from."""
        for cell in self.all_cells():
            yield from cell.trained()

    def side_cells(self, paper: str, claim: str, side: Side) -> tuple[Cell, ...]:
        """Return the cells that one side of a comparison selects.

        Raises UserError if it names a table, figure, axis or key that does not exist, or selects nothing.
        """
        where, items = place_of(self.papers[paper], claim, side), self.items(paper)
        document = self.documents[paper]
        if side.of not in items:
            message = f"there is no table or figure '{side.of}'; {nearest(side.of, items)}"
            raise UserError(document.problem((*where, "of"), message))
        return selected(self.cells(paper, side.of), side, document, where)

    def claim_cells(self, paper: str, key: str, claim: Claim) -> Iterator[Cell]:
        """Yield every cell that decides `claim`."""
        for comparison in claim.comparisons:
            for side in (*comparison.more, *comparison.less):
                yield from self.side_cells(paper, key, side)

    def check(self) -> None:
        """Expand everything, so that every mistake on any page is found now. Raises UserError."""
        for paper, shelf in self._shelves.items():
            cells = [cell for key in self.items(paper) for cell in self.cells(paper, key)]
            check_only(shelf, cells, self._scale_page)
        for paper, page in self.papers.items():
            for key, claim in page.claims.items():
                list(self.claim_cells(paper, key, claim))

    # What is to be done

    @cached_property
    def runs(self) -> dict[str, Run]:
        """Every run of this scale by its name, each once however many cells share it; parents first."""
        found: dict[str, Run] = {}
        for cell in self.trained_cells():
            for run in cell.runs:
                if run_name(run) not in found:
                    assert isinstance(cell.definition, TrainedCell)
                    line = [*ancestors(self._shelves[cell.place.paper], cell.definition, run.seed)]
                    found |= {run_name(one): one for one in [*reversed(line), run]}
        return found

    @cached_property
    def parents(self) -> dict[str, Run]:
        """For the name of every run that starts from another one, that one."""
        by_digest = {digest(run): run for run in self.runs.values()}
        return {name: by_digest[run.parent] for name, run in self.runs.items() if run.parent is not None}

    @cached_property
    def views(self) -> dict[str, dict[str, View | VideoView]]:
        """For every run name the views it is asked, by view name."""
        asked: dict[str, dict[str, View | VideoView]] = {name: {} for name in self.runs}
        for cell in self.trained_cells():
            for run in cell.runs if cell.view else ():
                assert cell.view is not None
                asked[run_name(run)][view_name(cell.view)] = cell.view
        return asked

    @cached_property
    def maps(self) -> dict[str, dict[str, Maps]]:
        """For every run name the maps that are drawn of it, by their name."""
        asked: dict[str, dict[str, Maps]] = {name: {} for name in self.runs}
        for cell in self.all_cells():
            for run in cell.runs if cell.maps else ():
                assert cell.maps is not None
                asked[run_name(run)][maps_name(cell.maps)] = cell.maps
        return asked

    @cached_property
    def splits(self) -> dict[str, Split]:
        """Every split of generated clips that is trained on or asked, by its folder."""
        found = [split for split in self._data() if isinstance(split, Split)]
        return {split_folder(split).as_posix(): split for split in found}

    @cached_property
    def specified(self) -> dict[str, Split]:
        """Every split of generated clips that is made, or of which a figure shows some, by its folder."""
        walked = [cell.walks for cell in self.all_cells() if cell.walks is not None]
        return {**self.splits, **{split_folder(split).as_posix(): split for split in walked}}

    def _data(self) -> Iterator[Split | VideoSplit]:
        for run in self.runs.values():
            yield from (run.train, run.val)
        for views in self.views.values():
            for view in views.values():
                yield from view.domains.values()
        for drawn in self.maps.values():
            for maps in drawn.values():
                yield maps.view.domains[maps.domain]

    @cached_property
    def collections(self) -> dict[str, Collection]:
        """Every collection of videos that this scale prepares, by the name of its dataset."""
        used = {split.dataset for split in self._data() if isinstance(split, VideoSplit)}
        names = sorted(used.union(self.overlay.stand_ins.values()))
        return {name: self.library.collection(name) for name in names}

    # What it rests on

    def assumptions(self, cell: Cell) -> tuple[Assumption, ...]:
        """Return the values behind `cell` that its paper does not print."""
        if cell.definition is None:
            return ()
        page = self.documents[cell.place.paper]
        used = [("tables", cell.place.item), ("figures", cell.place.item)]
        found = [a for a in page.assumptions if a.key[:2] in used]
        for one in (cell, *cell.parts):
            if isinstance(one.definition, TrainedCell):
                found += self._behind(cell.place.paper, one.definition)
        if cell.collection is not None:
            found += self.library.assumptions(cell.collection.dataset, cell.segmenter is None)
        if cell.walks is not None:
            found += self.library.documents[cell.walks.dataset].assumptions
        return tuple({(a.file, a.key): a for a in found}.values())

    def _behind(self, paper: str, cell: TrainedCell) -> Iterator[Assumption]:
        """Yield what is not printed of a trained cell's view, its protocol, those before it, and its data."""
        sources, page = self._sources[paper], self.papers[paper]
        yield from sources["views", cell.view]
        domains = page.views[cell.view].domains
        over = cell.over if isinstance(cell, ScoreCell) else None
        data = {cell.data, *(domains[name].dataset for name in (cell.domain, over) if name)}
        protocol: str | None = cell.protocol
        while protocol is not None:
            yield from sources["protocols", protocol]
            parent = page.protocols[protocol].parent
            data.add(parent.data if parent else None)
            protocol = parent.protocol if parent else None
        for name in sorted(filter(None, data)):
            yield from self.library.assumptions(self.overlay.stand_ins.get(name, name))

    def changes(self) -> list[Change]:
        """Return every value of a dataset in use or a protocol that this scale changes."""
        return self._changes

    @cached_property
    def _changes(self) -> list[Change]:
        return [
            change
            for key, here in self._shelves.items()
            for change in changes(self._full[key], here, self._clips_of(key))
        ]

    def _clips_of(self, paper: str) -> set[str]:
        """Return the datasets of clips that the cells of `paper` train on or show at this scale."""
        cells = [cell for key in self.items(paper) for cell in self.cells(paper, key)]
        shown = {cell.walks.dataset for cell in cells if cell.walks is not None}
        trained = {run.train.dataset for cell in cells for run in cell.runs}
        return (shown | trained) & self.datasets.keys()


def data_target(dataset: str) -> str:
    """Return the name under which Snakemake knows the data of a dataset, e.g. ``kinetics_400_data``."""
    return f"{dataset}_data".replace("-", "_").replace(".", "_")


def target(paper: str, key: str) -> str:
    """Return the name under which Snakemake knows a table or figure, e.g. ``rac_table_8``."""
    return f"{paper}_{key}".replace("-", "_")
