"""The spec files: what a step is told to do, one small JSON file beside where its results will lie.

They are content-addressed: the folder's name holds the hash of the spec, so a file never changes.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, RootModel, ValidationError

from retrace.errors import UserError
from retrace.files import write_text
from retrace.plan.identity import run_name
from retrace.plan.layout import imported_folder, maps_folder, run_folder, split_folder, view_folder
from retrace.plan.maps import Maps
from retrace.plan.plan import Plan
from retrace.plan.spec import Run, Split, VideoView, View

T = TypeVar("T", bound=BaseModel)


def specs(plan: Plan) -> Iterator[tuple[Path, BaseModel]]:
    """Yield the path and content of every spec of `plan`, each path once."""
    for split in plan.specified.values():
        yield split_folder(split) / "split.json", split
    for name, run in plan.runs.items():
        yield run_folder(run) / "spec.json", run
        for view in plan.views[name].values():
            yield view_folder(run, view) / "view.json", view
            if has_imported(plan.root, run):
                yield view_folder(run, view, imported=True) / "view.json", view
        for maps in plan.maps[name].values():
            yield maps_folder(run, maps) / "maps.json", maps


def write(plan: Plan) -> None:
    """Write every spec of `plan` that is not there yet."""
    for path, spec in specs(plan):
        if not (plan.root / path).exists():
            write_text(plan.root / path, json.dumps(spec.model_dump(mode="json"), indent=1) + "\n")


def has_imported(root: Path, run: Run) -> bool:
    """Tell whether somebody has put weights of others in the place of those of `run`."""
    return (root / imported_folder(run) / "weights.safetensors").is_file()


def read_split(path: Path) -> Split:
    """Read a split.json. Raises UserError if it is missing or is not one."""
    return _read(Split, path)


def read_run(path: Path) -> Run:
    """Read a spec.json. Raises UserError if it is missing, is not one, or lies in another run's folder."""
    run = _read(Run, path)
    if path.absolute().parent.name != run_name(run):
        raise UserError(f"{path}: this spec belongs into a folder named {run_name(run)}")
    return run


def read_view(path: Path) -> View | VideoView:
    """Read a view.json. Raises UserError if it is missing or is not one."""
    return _read(_AnyView, path).root


def read_maps(path: Path) -> Maps:
    """Read a maps.json. Raises UserError if it is missing or is not one."""
    return _read(Maps, path)


def weights_of(run: str | None, runs: Path) -> Path | None:
    """Return the weights of the run with this hash below the folder of all runs, or None without a hash.

    Raises UserError if there are none yet.
    """
    if run is None:
        return None
    found = sorted(runs.glob(f"*/*-{run}/weights.safetensors"))
    if not found:
        raise UserError(f"{runs}: run {run}, whose weights this one starts from, is not trained yet")
    return found[0]


class _AnyView(RootModel[View | VideoView]):
    """A view of clips or of videos."""


def _read(kind: type[T], path: Path) -> T:
    try:
        return kind.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror}; `retrace list` names the runs that the pages ask for"
        ) from error
    except (ValidationError, UnicodeDecodeError) as error:
        name = kind.__name__.removeprefix("_Any").lower()
        raise UserError(f"{path}: is not the spec of a {name}: {error}") from error
