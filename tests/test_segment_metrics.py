"""The paper's box IoU with its oddities, and the plainer figures, against torchvision and by hand."""

import pytest
import torch
from torchvision.ops import box_iou

from papertext import oracle
from retrace.segment.metrics import diver_ious, paper_box_iou, scores
from retrace.segment.region import region_iou
from segments import found, frame_of


def boxes(*rows) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float32).view(-1, 4)


def random_boxes(count: int, seed: int) -> torch.Tensor:
    corner = torch.rand(count, 2, generator=torch.Generator().manual_seed(seed)) * 40
    size = torch.rand(count, 2, generator=torch.Generator().manual_seed(seed + 1)) * 30 + 5
    return torch.cat([corner, corner + size], 1)


def in_full(batches) -> float:
    """The same figure, spelt out as the authors' code goes about it."""
    total = 0.0
    for batch in batches:
        so_far = 0.0
        for predicted, labelled in batch:
            if len(predicted) == 0:
                so_far = 0.0
            else:
                ranked = sorted((box_iou(one[None], labelled[:1]).item() for one in predicted), reverse=True)
                best = ranked[: max(1, len(ranked) // 10)]
                so_far += sum(best) / len(best)
        total += so_far / len(batch)
    return total / len(batches)


def test_it_is_the_figure_of_the_authors_code():
    images = [
        (random_boxes(count, 10 * count), random_boxes(1 + count % 2, 7 * count))
        for count in (1, 3, 9, 10, 19, 20, 31, 0, 5, 100, 0, 12)
    ]
    for size in (1, 2, 5):
        batches = [images[start : start + size] for start in range(0, len(images), size)]
        assert paper_box_iou(batches) == pytest.approx(in_full(batches), abs=1e-6)


def test_the_authors_examples():
    """One box fits by .912, two are beside the diver; then alone, behind and before an image without any."""
    figures = oracle("rac", "iou_metric")
    two = boxes((0, 0, 100, 100), (200, 200, 300, 300))
    good = boxes((0, 0, 100, 91.2), (50, 50, 150, 150), (150, 0, 190, 40))
    of_second = boxes((200, 200, 300, 300))
    none = boxes()
    assert paper_box_iou([[(good, two)]]) == pytest.approx(figures["1img_3pred_2gt"], abs=1e-6)
    assert paper_box_iou([[(of_second, two)]]) == figures["second_gt_only_pred"] == 0
    assert paper_box_iou([[(good, two), (none, two)]]) == figures["batch_good_then_empty"] == 0
    assert paper_box_iou([[(none, two), (good, two)]]) == pytest.approx(
        figures["batch_empty_then_good"], abs=1e-6
    )


def test_of_twenty_boxes_the_best_two_count_and_of_nineteen_the_best():
    labelled = boxes((0, 0, 10, 10))
    predicted = torch.cat([boxes((0, 0, 10, 10), (0, 0, 10, 5)), boxes((50, 50, 60, 60)).expand(18, 4)])
    assert paper_box_iou([[(predicted, labelled)]]) == pytest.approx(0.75)
    assert paper_box_iou([[(predicted[:19], labelled)]]) == pytest.approx(1.0)


def test_a_divers_iou_is_that_of_a_box_of_its_own_among_the_best():
    labelled = boxes((0, 0, 10, 10), (20, 0, 30, 10))
    # The first overlaps both; the second fits the second diver; the third, which fits the first, is too low.
    predicted = boxes((0, 0, 30, 10), (20, 0, 30, 10), (0, 0, 10, 10))
    assert diver_ious(predicted, labelled) == pytest.approx([1 / 3, 1.0])
    assert diver_ious(predicted[:1], labelled) == pytest.approx([1 / 3, 0.0])
    assert diver_ious(boxes(), labelled) == [0.0, 0.0]


def test_without_a_second_diver_it_is_torchvisions_iou_of_the_best_box():
    for seed in range(20):
        predicted, labelled = random_boxes(4, 100 + seed), random_boxes(1, 300 + seed)
        expected = box_iou(predicted[:1], labelled).item()
        assert diver_ious(predicted, labelled) == pytest.approx([expected])


def test_regions_overlap_by_their_pixels():
    one, other = torch.zeros(6, 6, dtype=torch.bool), torch.zeros(6, 6, dtype=torch.bool)
    one[:3], other[2:5] = True, True
    assert region_iou(one, other) == pytest.approx(1 / 5)


def test_all_figures_of_some_frames():
    frames = [frame_of((10, 8, 20, 30)), frame_of(), frame_of((10, 8, 20, 30), (40, 8, 50, 30))]
    right = [found((10, 8, 20, 30)), found((0, 0, 60, 40)), found((40, 8, 50, 30), (10, 8, 20, 30))]
    figures = scores(right, frames, 2)
    assert figures["box_iou"] == figures["diver_box_iou"] == pytest.approx(1)
    assert figures["mask_iou"] > 0.8  # a mask is stretched a little over its box
    nothing = scores([found()] * 3, frames, 2)
    assert nothing == {"box_iou": 0, "diver_box_iou": 0, "mask_iou": 0}
    half = scores([found((10, 8, 20, 30)), found(), found()], frames, 1)
    assert half["box_iou"] == pytest.approx(0.5) and half["diver_box_iou"] == pytest.approx(1 / 3)
    assert scores([found()], [frame_of()], 2)["box_iou"] == 0
