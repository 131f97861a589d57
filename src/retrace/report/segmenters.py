"""What the page shows of segmenters and of what they left in the videos: plain values, as in `views`."""

from typing import Any, NamedTuple

from retrace.plan.layout import segmenter_folder
from retrace.plan.plan import Plan
from retrace.report.results import read_json
from retrace.report.views import Image, image, link

FIGURES = {
    "box_iou": "box IoU as the paper has it",
    "diver_box_iou": "box IoU a diver",
    "mask_iou": "mask IoU",
}


class SegmenterView(NamedTuple):
    """One segmenter: how it does on its validation frames, and what to look at."""

    title: str
    folder: str
    frames: tuple[int, int]
    """To train on and to validate on."""
    kept: int | None
    """The epoch; None while there is none."""
    figures: list[tuple[str, str, str]]
    """Name, value and value before training, in %."""
    published: str
    curve: Image | None
    overlays: Image | None


def segmenter_views(plan: Plan) -> list[SegmenterView]:
    """Return every segmenter whose videos this scale prepares, as the page shows it."""
    return [_view(plan, name) for name in plan.library.segmenters.behind(plan.collections)]


def composed_in_words(audit: dict[str, Any]) -> str:
    """Return what an audit says of videos that were composed here, or nothing of others."""
    composed = audit.get("composed")
    if composed is None:
        return ""
    words = f"nothing found in {_percent(composed['nothing_found'])} of {composed['frames']} frames"
    if known := composed.get("known"):
        missed, covered, iou = (_percent(known[name]) for name in ("nothing_found", "covered", "iou"))
        words += (
            f"; where a diver is known to be seen, nothing in {missed}; "
            f"{covered} of the divers' pixels lie in what was found, the IoU of the two is {iou}"
        )
    return words


def _view(plan: Plan, name: str) -> SegmenterView:
    page, segmenter = plan.library.segmenters.pages[name], plan.library.segmenters.training(name)
    folder = segmenter_folder(name, segmenter)
    found = read_json(plan.root / folder / "segmenter.json") or {}
    figures = [
        (FIGURES[key], _percent(value), _percent(found["untrained"][key]))
        for key, value in found.get("best", {}).items()
    ]
    return SegmenterView(
        page.title,
        link(folder),
        (segmenter.frames.train, segmenter.frames.val),
        found.get("best_epoch"),
        figures,
        "" if page.published is None else _percent(page.published),
        image(plan.root / folder / "curve.png"),
        image(plan.root / folder / "overlays.png"),
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
