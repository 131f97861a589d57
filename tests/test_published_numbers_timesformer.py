"""The page of TimeSformer says what the supplement prints, and its numbers agree with one another."""

import pytest

from pages import ROOT
from papertext import assert_said, copied, numbers, page, paper_text, printed_cells, prose, running, tables
from retrace.plan.plan import Plan
from retrace.report.verdict import quoted

PAGE = page("timesformer")

BOTH_SETS = "accuracy on both Kinetics-400, and Something-Something-V2"
LR_I3D = "base learning rate of 0.01, which is divided by 10 at epochs 44 and 88"
AS_I3D = "initialized from ImageNet weights, we use this same exact training protocol"
SAID = {
    "text-1": {
        "kinetics-400 train": "consists of 240K training videos",
        "kinetics-400 test": "20K validation videos that span 400",
        "kinetics-400 classes": "span 400 human action categories",
        "kinetics-600 train": "has 392K training videos",
        "kinetics-600 test": "30K validation videos spanning 600",
        "kinetics-600 classes": "spanning 600 action categories",
        "ssv2 train": "contains 170K training videos",
        "ssv2 test": "25K validation videos that span 174",
        "ssv2 classes": "span 174 action categories",
        "diving48 train": "has 16K training videos",
        "diving48 test": "3K testing videos spanning 48",
        "diving48 classes": "spanning 48 fine-grained diving categories",
    },
    "text-2": {
        "base parameters": "“Base” model already has 121M parameters",
        "large kinetics-400": "“Large” ViT. We report that this yielded results 1%",
        "large ssv2": "“Large” ViT. We report that this yielded results 1%",
        "small unnamed": "“Small” ViT variant, which produced accuracies about 5% worse",
    },
    "text-3": {"32 unnamed": "about 3% worse than our default variant using P = 16"},
    "text-4": {
        "space-first kinetics-400": "leads to a 0.5% drop in accuracy on both Kinetics-400",
        "space-first ssv2": f"leads to a 0.5% drop in {BOTH_SETS}",
        "parallel unnamed": "parallel space-time self-attention. We report that it produces 0.4% lower",
    },
    "text-5": {
        "weights base": "we use the “Base” ViT model",
        "weights hr": "we use the “Base” ViT model",
        "attention-weights base": "obtained from the corresponding attention layer in ViT",
        "attention-weights hr": "obtained from the corresponding attention layer in ViT",
        "patch base": "our default variant using P = 16",
        "patch hr": "our default variant using P = 16",
        "epochs base": "We train our model for 15 epochs",
        "epochs hr": "We train our model for 15 epochs",
        "lr base": "initial learning rate of 0.005",
        "lr hr": "initial learning rate of 0.005",
        "lr-drops base": "divided by 10 at epochs 11, and 14",
        "lr-drops hr": "divided by 10 at epochs 11, and 14",
        "short-side base": "shorter side of the video to a random value in [256, 320]",
        "short-side hr": "shorter side of the video to a random value in [448, 512]",
        "crop base": "sample a 224x224 crop",
        "crop hr": "sample a 448x448 crop",
        "frame-rate base": "frame rate of 1/32",
        "frame-rate hr": "frame rate of 1/32",
        "batch base": "The batch size is set to 16",
        "batch hr": "The batch size is set to 16",
        "gpus base": "all our models using synchronized SGD across 32 GPUs",
        "gpus hr": "all our models using synchronized SGD across 32 GPUs",
        "optimizer base": "synchronized SGD",
        "optimizer hr": "synchronized SGD",
        "momentum base": "The momentum is set to 0.9, while the weight decay is set to 0.0001",
        "momentum hr": "The momentum is set to 0.9, while the weight decay is set to 0.0001",
        "weight-decay base": "while the weight decay is set to 0.0001",
        "weight-decay hr": "while the weight decay is set to 0.0001",
    },
    "text-6": {
        "clip base": "a single temporal clip in the middle of the video",
        "clip hr": "a single temporal clip in the middle of the video",
        "short-side base": "shorter spatial side of a video to 224 pixels (or 448 for TimeSformer-HR)",
        "short-side hr": "to 224 pixels (or 448 for TimeSformer-HR)",
        "crops base": "take 3 crops of size 224x224",
        "crops hr": "take 3 crops",
        "crop base": "3 crops of size 224x224",
        "crop hr": "(448x448 for TimeSformer-HR)",
        "average base": "averaging the softmax scores of these 3 predictions",
        "average hr": "averaging the softmax scores of these 3 predictions",
    },
    "text-7": {
        "weights i3d": "initialize it with a 2D ImageNet CNN",
        "weights slowfast-imagenet": AS_I3D,
        "weights slowfast-scratch": "When training SlowFast from scratch",
        "epochs i3d": "train it for 118 epochs",
        "epochs slowfast-imagenet": "train it for 118 epochs",
        "epochs slowfast-scratch": "the training is done for 196 epochs",
        "lr i3d": LR_I3D,
        "lr slowfast-imagenet": LR_I3D,
        "lr slowfast-scratch": "the initial learning rate is set to 0.1",
        "schedule i3d": LR_I3D,
        "schedule slowfast-imagenet": LR_I3D,
        "schedule slowfast-scratch": "196 epochs with a cosine learning rate schedule",
        "warm-up slowfast-scratch": "warm-up for the first 34 epochs starting with a learning rate of 0.01",
        "dropout slowfast-scratch": "A dropout of 0.5 is used before the final classification layer",
        "momentum i3d": "set the momentum to 0.9, and weight decay to 0.0001",
        "momentum slowfast-imagenet": "set the momentum to 0.9, and weight decay to 0.0001",
        "momentum slowfast-scratch": "momentum is set to 0.9, the weight decay is 0.0001",
        "weight-decay i3d": "weight decay to 0.0001. The batch size is set to 64",
        "weight-decay slowfast-imagenet": "weight decay to 0.0001. The batch size is set to 64",
        "weight-decay slowfast-scratch": "the weight decay is 0.0001, and the batch size is set to 64",
        "batch i3d": "The batch size is set to 64",
        "batch slowfast-imagenet": "The batch size is set to 64",
        "batch slowfast-scratch": "and the batch size is set to 64",
        "gpus i3d": "SGD across 32 GPUs following the linear scaling recipe",
        "gpus slowfast-imagenet": "SGD across 32 GPUs following the linear scaling recipe",
        "scaling i3d": "following the linear scaling recipe",
        "scaling slowfast-imagenet": "following the linear scaling recipe",
        "scaling slowfast-scratch": "we adopt the linear scaling recipe",
    },
}
"""For every printed cell, words of the paper that say it."""


@pytest.fixture(scope="module")
def text() -> str:
    return paper_text("004")


def said(table: str, row: str, column: str) -> list[float]:
    """Return the numbers of one printed cell."""
    return numbers(str(printed_cells(PAGE)[table, row, column]))


def test_every_cell_is_said_in_the_text(text: str) -> None:
    assert_said(PAGE, SAID, text)
    assert AS_I3D in running(text)


def test_the_supplement_has_no_table_of_its_own(text: str) -> None:
    assert tables(text) == []
    assert set(PAGE.tables) == set(SAID)


def test_every_figure_of_the_text_is_on_the_page(text: str) -> None:
    assert "Figure 1. " in text and "Figure 2" not in text
    assert set(PAGE.figures) == {"figure-1"}


def test_the_page_is_in_our_own_words(text: str) -> None:
    assert [run for ours in prose(PAGE) for run in copied(ours, running(text))] == []


def divided_attention_parameters(classes: int) -> int:
    """Count the learnable values of ViT-Base with a second attention in each block, on 8 frames of 224."""
    width, layers, patch, frames, side = 768, 12, 16, 8, 224
    attention = width * 3 * width + 3 * width + width * width + width
    mlp = width * 4 * width + 4 * width + 4 * width * width + width
    norm, after_time = 2 * width, width * width + width
    block = 2 * attention + mlp + 3 * norm + after_time
    tokens = (side // patch) ** 2 + 1
    embedding = 3 * patch * patch * width + width + width + tokens * width + frames * width
    return embedding + layers * block + norm + (width + 1) * classes


def test_the_printed_parameters_are_the_counted_millions_without_their_fraction() -> None:
    """So says the page: only with the classes of Something-Something-V2 does rounding give the same."""
    (printed,) = said("text-2", "base", "parameters")
    kinetics, ssv2 = (
        divided_attention_parameters(int(said("text-1", key, "classes")[0])) / 1e6
        for key in ("kinetics-400", "ssv2")
    )
    assert int(kinetics) == int(ssv2) == round(ssv2) == printed
    assert round(kinetics) == printed + 1


def test_every_change_is_a_loss() -> None:
    changes = [
        value
        for key, table in PAGE.tables.items()
        for row in table.rows
        for column, value in zip(table.columns, row.published, strict=True)
        if column.unit == "points" and value is not None
    ]
    assert sorted(changes) == [-5, -3, -1, -1, -0.5, -0.5, -0.4]


def test_claimed_orderings_are_in_the_printed_changes() -> None:
    assert said("text-2", "small", "unnamed") < said("text-2", "large", "kinetics-400") < [0]
    assert said("text-4", "space-first", "ssv2") < said("text-4", "parallel", "unnamed") < [0]
    assert said("text-3", "32", "unnamed") < [0]


def test_the_high_resolution_model_sees_twice_the_side_in_training_and_testing() -> None:
    for table, row in (("text-5", "crop"), ("text-6", "crop"), ("text-6", "short-side")):
        assert [2 * side for side in said(table, row, "base")] == said(table, row, "hr")
    for variant in ("base", "hr"):
        shortest, longest = said("text-5", "short-side", variant)
        assert said("text-5", "crop", variant)[0] <= shortest < longest
        assert said("text-5", "crop", variant) == said("text-6", "crop", variant)


def test_the_learning_rate_drops_within_training() -> None:
    for table, row, column in (("text-5", "lr-drops", "base"), ("text-7", "schedule", "i3d")):
        factor, first, second = said(table, row, column)
        assert factor == 10
        assert first < second < said(table, "epochs", column)[0]
    assert said("text-7", "warm-up", "slowfast-scratch")[0] < said("text-7", "epochs", "slowfast-scratch")[0]


def test_the_printed_batch_cannot_fill_the_printed_gpus() -> None:
    """Why the page doubts it: 16 clips, 32 cards."""
    assert said("text-5", "batch", "base") < said("text-5", "gpus", "base")


def test_protocols_and_views_do_what_is_printed_but_for_the_rate_of_the_high_resolution_model() -> None:
    plan = Plan(ROOT, "paper")
    differing = {
        (*dict(cell.place.axes).values(), cell.says)
        for table in ("text-5", "text-6", "text-7")
        for cell in plan.cells("timesformer", table)
        if cell.says is not None and (printed := quoted(cell.published)) and printed.value != cell.says
    }
    assert differing == {("frame-rate", "hr", "1/16")}
