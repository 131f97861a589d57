"""How well divers are found: the box IoU of "Recur, Attend or Convolve?", and plainer figures beside it."""

from collections.abc import Iterable, Sequence
from statistics import fmean

from torch import Tensor
from torchvision.ops import box_iou

from retrace.segment.found import Found
from retrace.segment.frames import Frame
from retrace.segment.region import INSTANCES, THRESHOLD, region, region_iou

SHARE = 0.1
"""Of the predicted boxes, those with the highest IoU make the paper's figure (authors' code)."""


def paper_box_iou(batches: Iterable[Sequence[tuple[Tensor, Tensor]]]) -> float:
    """Return the "bounding box IoU" as the authors' code computes it, of predicted and labelled boxes.

    Of each image: the mean of the highest tenth, at least one, of the IoUs of all predicted boxes (P, 4) with
    the first labelled one of (L, 4). Of each batch their mean, where an image without any prediction
    takes with it all that came before it in its batch. The figure is the mean over the batches.

    So a score has no say, nor has a second diver, and boxes beside a diver cost next to nothing: not to be
    compared with an average precision. Images need a labelled box; the paper's all have one.
    """
    means = []
    for batch in batches:
        total = 0.0
        for predicted_P4, labelled_L4 in batch:
            if not len(predicted_P4):
                total = 0.0
                continue
            iou_P = box_iou(predicted_P4, labelled_L4)[:, 0]
            total += float(iou_P.topk(max(1, int(SHARE * len(iou_P)))).values.mean())
        means.append(total / len(batch))
    return fmean(means)


def diver_ious(predicted_P4: Tensor, labelled_L4: Tensor) -> list[float]:
    """Return for each labelled box its IoU with a box of its own, 0 where there is none.

    Candidates are as many predicted boxes, best score first, as there are divers; the pair that overlaps most
    is made first.
    """
    iou_PL = box_iou(predicted_P4[: len(labelled_L4)], labelled_L4)
    found = [0.0] * len(labelled_L4)
    for _ in range(min(iou_PL.shape)):
        row, column = divmod(int(iou_PL.argmax()), iou_PL.shape[1])
        found[column] = float(iou_PL[row, column].clamp(min=0))
        iou_PL[row], iou_PL[:, column] = -1, -1
    return found


def scores(found: Sequence[Found], frames: Sequence[Frame], batch: int) -> dict[str, float]:
    """Return the figures of some predictions, each for one labelled frame, taken `batch` at a time.

    `box_iou` is the paper's; `diver_box_iou` the mean of `diver_ious` over all divers; `mask_iou` the mean
    over the frames of the IoU of the two best masks, above 0.4 as in S1, with all labelled ones. Frames
    without a diver are left out. Raises nothing: without any frame they are 0.
    """
    pairs = [(one, frame) for one, frame in zip(found, frames, strict=True) if len(frame.masks_NHW)]
    boxes = [(one.boxes_N4.cpu(), frame.boxes_N4()) for one, frame in pairs]
    if not pairs:
        return {"box_iou": 0.0, "diver_box_iou": 0.0, "mask_iou": 0.0}
    masks = [
        region_iou(region(one, frame.image_3HW.shape[-2:], INSTANCES, THRESHOLD), frame.masks_NHW.any(0))
        for one, frame in pairs
    ]
    return {
        "box_iou": paper_box_iou(boxes[start : start + batch] for start in range(0, len(boxes), batch)),
        "diver_box_iou": fmean(iou for pair in boxes for iou in diver_ious(*pair)),
        "mask_iou": fmean(masks),
    }
