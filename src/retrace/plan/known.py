"""Whether the names in a cell's definition go by anything, and whether what they name fits together."""

from collections.abc import Mapping
from typing import Any

from retrace.errors import UserError
from retrace.plan.cell import ExamplesCell, MapCell, ScoreCell, TrainedCell
from retrace.plan.load import Key
from retrace.plan.shelf import Shelf
from retrace.plan.spec import VideoProtocol, matched
from retrace.plan.strict import nearest


def check_known(shelf: Shelf, cell: TrainedCell, roots: list[Key]) -> None:
    """Raise UserError for a name in a trained cell that nothing goes by."""
    page = shelf.page
    datasets = {**shelf.datasets, **shelf.library.videos}
    known(shelf, cell.data, datasets, "dataset", "data", roots)
    known(shelf, cell.protocol, page.protocols, "protocol", "protocol", roots)
    known(shelf, cell.view, page.views, "view", "view", roots)
    domains = page.views[cell.view].domains
    known(shelf, cell.domain, domains, "domain", "domain", roots)
    if isinstance(cell, ScoreCell) and cell.over is not None:
        known(shelf, cell.over, domains, "domain", "over", roots)
    if isinstance(cell, ExamplesCell):
        data = domains[cell.domain].dataset or cell.data
        clips = shelf.datasets.get(data)
        classes = clips.classes if clips else shelf.library.collection(data).classes
        known(shelf, cell.of_class, dict.fromkeys(classes), f"class of {data}", "of_class", roots)


def check_fit(shelf: Shelf, cell: TrainedCell, roots: list[Key]) -> None:
    """Raise UserError where videos meet a protocol or view for generated clips, or the other way round."""
    page, videos = shelf.page, cell.data in shelf.library.videos
    fits = {
        "protocol": isinstance(page.protocols[cell.protocol].train, VideoProtocol),
        "view": page.views[cell.view].clip is not None,
    }
    for key, for_videos in fits.items():
        if for_videos != videos:
            what, name = ("videos", "generated clips")[not videos], getattr(cell, key)
            message = f"'{cell.data}' has {what}, and {key} '{name}' is not for them"
            raise UserError(shelf.document.problem((*roots[0], key), message))
    _check_matched(shelf, cell, roots)
    if isinstance(cell, MapCell) and not videos:
        message = f"'{cell.data}' has generated clips, and maps are drawn over videos"
        raise UserError(shelf.document.problem((*roots[0], "data"), message))
    splits = shelf.library.videos[cell.data].splits if videos else shelf.datasets[cell.data].splits
    for split in ("train", "val"):
        if split not in splits:
            message = f"'{cell.data}' has no split '{split}' to train with; {nearest(split, splits)}"
            raise UserError(shelf.document.problem((*roots[0], "data"), message))


def _check_matched(shelf: Shelf, cell: TrainedCell, roots: list[Key]) -> None:
    """Raise UserError where a view asks for weights at an accuracy for which the protocol keeps none."""
    kept, at = matched(shelf.page.protocols[cell.protocol].train), shelf.page.views[cell.view].at
    if at is not None and at.accuracy not in kept:
        valid = ", ".join(map(str, kept)) or "none"
        asked = f"view '{cell.view}' asks at accuracy {at.accuracy}"
        message = f"{asked}; the weights that protocol '{cell.protocol}' keeps: {valid}"
        raise UserError(shelf.document.problem((*roots[0], "view"), message))


def known(shelf: Shelf, name: str, valid: Mapping[str, Any], what: str, key: str, roots: list[Key]) -> None:
    """Raise UserError with the nearest of `valid` if `name`, which stands under `key`, is none of them."""
    if name not in valid:
        root = next((r for r in roots if (*r, key) in shelf.document.lines), roots[0])
        raise UserError(
            shelf.document.problem((*root, key), f"unknown {what} '{name}'; {nearest(name, valid)}")
        )
