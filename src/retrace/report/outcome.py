"""What became of a cell: a number with its uncertainty, or the reason why there is none."""

from pathlib import Path
from typing import Literal, NamedTuple

from retrace.errors import UserError
from retrace.evaluate.uncertainty import interval
from retrace.plan.cell import (
    ClassesCell,
    CostCell,
    EpochCell,
    PathsCell,
    ScoreCell,
    SegmenterCell,
    SettingCell,
    ShapeCell,
    VideosCell,
)
from retrace.plan.expand import Cell
from retrace.plan.identity import digest
from retrace.plan.items import Quoted
from retrace.plan.layout import run_folder
from retrace.plan.spec import Run
from retrace.plan.speed import SpeedCell
from retrace.plan.video import Collection
from retrace.report import speed
from retrace.report.matched import too_far
from retrace.report.measure import Measured, measure
from retrace.report.results import Results

CITED = "cited"
TIMES = "\N{MULTIPLICATION SIGN}"
NOT_COUNTED = "not counted yet"
NOT_TUNED = "no segmenter yet"
NO_SCORES = "no scores yet"
NO_MAPS = "no maps yet"
NO_PATHS = "no paths yet"
_COUNTED: dict[str, tuple[str, float | None]] = {
    "parameters": ("parameters", None),
    "mparams": ("parameters", 1e6),
    "gmacs": ("multiply_adds", 1e9),
    "conv_gmacs": ("conv_multiply_adds", 1e9),
}
"""What a measure is read from, and its unit; without one it is a whole number."""


class Outcome(NamedTuple):
    """`value` stands if and only if `state` is measured. Accuracies are in %, ratios and counts plain;
    of maps it is the number of videos shown.

    `low` and `high` bound the 95 % interval, `sd` is over seeds; all three belong to trained cells, `sd`
    to those with two seeds or more. A setting is a text. `scaled` tells that the scale decides what the
    number is, `elsewhere` that it hangs on hardware and the paper's was another. `reason` says why there is
    no number, or what it lacks.
    """

    state: Literal["measured", "not run", "failed", "cited"]
    reason: str = ""
    value: float | int | str | None = None
    low: float | None = None
    high: float | None = None
    sd: float | None = None
    n_seeds: int = 0
    n_clips: int = 0
    coverage: float | None = None
    per_seed: tuple[tuple[Run, float], ...] = ()
    scaled: bool = False
    elsewhere: bool = False


def outcome(cell: Cell, results: Results) -> Outcome:
    """Return what became of `cell`. Never raises for what a run left or did not leave behind."""
    if cell.not_run is not None:
        return Outcome("cited") if cell.not_run == CITED else Outcome("not run", cell.not_run)
    try:
        match cell.definition:
            case CostCell():
                return of_cost(cell.place.paper, cell.definition, results)
            case SpeedCell():
                return _timed(cell.place.paper, cell.definition, results)
            case ShapeCell():
                return _size(cell.place.paper, cell.definition, results)
            case PathsCell() if cell.walks is not None:
                walks = results.walks(cell.walks, cell.definition.videos)
                if walks is None:
                    return Outcome("not run", NO_PATHS)
                return Outcome("measured", value=len(walks.classes))
            case SettingCell():
                return Outcome("measured", value=_like_printed(cell))
            case ClassesCell() if cell.collection is not None:
                return Outcome("measured", value=len(cell.collection.classes))
            case SegmenterCell() if cell.segmenter is not None:
                return _of_segmenter(cell.segmenter, cell.definition.measure, results)
            case VideosCell() if cell.collection is not None:
                return _videos(cell.collection, cell.definition, results)
        return _trained(cell, results)
    except UserError as error:
        return Outcome("failed", str(error))


def of_imported(cell: Cell, results: Results) -> Outcome | None:
    """Return what became of `cell` with the weights that others trained for it, or None if it has none."""
    planned = sum(results.imported(run) is not None for run in cell.runs)
    if not planned or not isinstance(cell.definition, ScoreCell):
        return None
    try:
        measured = measure(cell, results, imported=True)
    except UserError as error:
        return Outcome("failed", str(error))
    return Outcome("not run", NO_SCORES) if measured is None else _measured(measured, planned)


def run_label(run: Run) -> str:
    """Return `<dataset>/<run name>`, the name of a run in tables."""
    folder = run_folder(run)
    return f"{folder.parent.name}/{folder.name}"


def of_cost(paper: str, cell: CostCell, results: Results) -> Outcome:
    """Return a cost as it was counted, in the unit of its measure."""
    found = results.costs(paper).get(digest(cell.network()))
    name, unit = _COUNTED[cell.measure]
    if found is None or name not in found:
        return Outcome("not run", NOT_COUNTED)
    value = int(found[name])
    return Outcome("measured", value=value if unit is None else value / unit)


def _like_printed(cell: Cell) -> str | float | int | None:
    """Return a setting in words, or as a number where the paper prints one and it is one."""
    printed = cell.published.value if isinstance(cell.published, Quoted) else cell.published
    if cell.says is None or printed is None or isinstance(printed, str):
        return cell.says
    try:
        number = float(cell.says)
    except ValueError:
        return cell.says
    return int(number) if number.is_integer() else number


def _size(paper: str, cell: ShapeCell, results: Results) -> Outcome:
    """Return the size of what a layer puts out, spelt as the paper spells it."""
    shapes = results.costs(paper).get(digest(cell.network()), {}).get("shapes", {})
    if cell.layer not in shapes:
        return Outcome("not run", NOT_COUNTED)
    shape = shapes[cell.layer]
    if len(shape) != len(cell.axes):
        raise UserError(f"layer '{cell.layer}' has {len(shape)} dimensions, axes '{cell.axes}' name others")
    size = dict(zip(cell.axes, shape, strict=True))
    if cell.grid is not None:
        size |= {"H": cell.grid, "W": cell.grid}
    shown = "TNC" if "N" in cell.axes and cell.grid is None else "THWC"
    return Outcome("measured", value=TIMES.join(str(size.get(axis, 1)) for axis in shown))


def _videos(collection: Collection, cell: VideosCell, results: Results) -> Outcome:
    """Return how many videos of a split the manifest has found."""
    counts = results.annotations(collection)
    if counts is None:
        return Outcome("not run", f"no manifest of {collection.dataset} yet")
    split = counts["splits"][cell.split]
    found = split["annotated"] - split["missing"]
    stands_in = "" if collection.dataset == cell.data else f"counted in {collection.dataset}, which stands in"
    return Outcome(
        "measured",
        stands_in,
        found / 1000 if cell.measure == "kvideos" else found,
        coverage=found / split["expected"],
        scaled=True,
    )


def _of_segmenter(folder: Path, measure: str, results: Results) -> Outcome:
    """Return the labelled frames of a segmenter, or how well its boxes fit those it was not trained on."""
    if failure := results.read(folder / "failure.json"):
        return Outcome("failed", str(failure.get("reason", "no reason given")))
    found = results.read(folder / "segmenter.json")
    if found is None:
        return Outcome("not run", NOT_TUNED)
    if measure == "box_iou":
        before = f"{100 * found['untrained'][measure]:.1f} % before training"
        return Outcome("measured", before, 100 * found["best"][measure], scaled=True)
    return Outcome("measured", value=found["frames"][measure.removesuffix("_frames")], scaled=True)


def _timed(paper: str, cell: SpeedCell, results: Results) -> Outcome:
    """Return a speed, a batch or a memory as it was measured, and on what."""
    try:
        found = speed.entry(paper, cell, results)
    except UserError as error:
        return Outcome("not run", str(error))
    value, low, high = interval(speed.quantity(cell, found, results))
    elsewhere = cell.card.casefold() not in str(found["hardware"]).casefold()
    done = Outcome("measured", speed.in_words(found), value, scaled=True, elsewhere=elsewhere)
    if cell.measure == "largest_batch":
        return done._replace(value=int(value))
    return done._replace(low=low, high=high) if cell.measure == "clips_per_second" else done


def _trained(cell: Cell, results: Results) -> Outcome:
    failures = [failure for run in cell.runs if (failure := results.failure(run)) is not None]
    if failures:
        share = f" ({len(failures)} of {len(cell.runs)} seeds)" if len(cell.runs) > 1 else ""
        return Outcome("failed", f"{failures[0]}{share}")
    if cell.maps is not None:
        pictures = results.pictures(cell.runs[0], cell.maps)
        return (
            Outcome("not run", NO_MAPS) if pictures is None else Outcome("measured", value=len(pictures.ids))
        )
    measured = measure(cell, results)
    if measured is None:
        return Outcome("not run", NO_SCORES)
    if reason := too_far(cell, results):
        return Outcome("not run", reason)
    found = _measured(measured, _planned(cell))
    return _whole(found) if isinstance(cell.definition, EpochCell) else found


def _whole(found: Outcome) -> Outcome:
    """Return a mean of epochs, which clips have no part in; of a single run, or equal ones, it is whole."""
    assert isinstance(found.value, float)
    value = int(found.value) if found.value.is_integer() else found.value
    return found._replace(value=value, low=None, high=None, n_clips=0, coverage=None)


def _planned(cell: Cell) -> int:
    """Return how many seeds a cell is to have; one that is computed from others has those of the first."""
    return len(next(cell.trained()).runs)


def _measured(measured: Measured, planned: int) -> Outcome:
    value, low, high = interval(measured.quantity)
    n_seeds = len(measured.runs)
    return Outcome(
        "measured",
        "" if n_seeds == planned else f"{n_seeds} of {planned} seeds so far",
        value,
        low,
        high,
        float(measured.per_seed.std(ddof=1)) if n_seeds > 1 else None,
        n_seeds,
        measured.n_clips,
        measured.coverage,
        tuple(zip(measured.runs, map(float, measured.per_seed), strict=True)),
        scaled=True,
    )
