"""The page of Deep Analysis says what the paper prints, and its numbers agree with one another."""

from itertools import pairwise

import pytest

from papertext import (
    TIMES,
    assert_said,
    copied,
    numbers,
    oracle,
    page,
    paper_text,
    printed_cells,
    prose,
    running,
    spelt_rows,
    table_with,
)

PAGE = page("deep_analysis")

SAID = {
    "text-1": {
        "card value": "NVIDIA V100 32G GPU",
        "cuda value": "CUDA 10.1",
        "cudnn value": "cudnn 7.6.5",
        "pytorch value": "PyTorch 1.5",
        "batch value": "measured under maximum batch size",
        "cost-ratio value": "only half FLOPs of I3D-R50",
        "crops value": "3 256x256 spatial crops",
    },
    "text-2": {
        "i3d-resnet50 epochs": "train I3D-ResNet50 and TAM-ResNet50 from scratch for 196 epoches",
        "tam-resnet50 epochs": "train I3D-ResNet50 and TAM-ResNet50 from scratch for 196 epoches",
        "tam-resnet50 loss": "degrades its accuracy by ~ 0.5",
    },
    "text-3": {
        "ssv2 total": "a total of 192K videos",
        "ssv2 classes": "174 human-object interactions",
        "kinetics train": "240K training videos",
        "kinetics val": "20K validation videos",
        "kinetics classes": "400 action categories",
        "kinetics duration": "each video lasting 6-10 seconds",
        "mit total": "one million labeled videos",
        "mit classes": "It has 339 classes",
        "mit duration": "trimmed to 3 seconds long",
    },
    "text-4": {
        "stored-side value": "resize the shorter side of an image to 256",
        "lr-drops-35 value": "is 35, the learning rate drops 10x at the 10-th, 20-th, 30-th epoch",
        "lr-drops-45 value": "drops 10x at the 15-th, 30-th, 40-th epoch when 45 epochs",
        "gpus value": "single compute node with 6 V100 GPUs",
        "memory value": "a total of 96G GPU memory",
        "batch value": "72 or the maximum allowed for a single node (a multiple of 6)",
        "big-frames value": "using 32 or 64 frames",
        "big-gpus value": "no more than 3, i.e. 18 GPUs",
        "big-batch value": "synchronized batch normalization in training at a batch size of 36",
        "crop value": "multi-scale augmentation and randomly crop the same 224x224 region",
        "jitter value": "temporal jittering is used",
        "normalisation value": "mean and standard deviation used in the original ImageNet-pretrained model",
    },
    "text-5": {
        "clips clip": "In the *clip-level* accuracy setting, we sample f frames",
        "clips video": "m = 10 to compute video-level accuracy",
        "short-side clip": "resizing the shorter side of the image to 224",
        "crop clip": "crop a 224x224 region centered",
        "uniform clip": "the middle frame of each segment",
        "uniform video": "an offset i from the middle frame",
        "offsets video": r"-m/2 \le i < m/2",
        "dense clip": "the first clip is used",
        "dense video": "uniformly select m points and then take f consecutive frames",
    },
    "text-6": {
        "span value": "take 64 consecutive frames",
        "frames value": "sample every other frame as the input, i.e., 32 frames",
        "short-side value": "range of [256, 320]",
        "crop value": "randomly crop a 224x224 spatial region",
        "epochs value": "all models for 196 epochs",
        "batch value": "total batch size of 1024",
        "gpus value": "with 128 GPUs",
        "batch-norm value": "computed on those 8 samples",
        "schedule value": "half-period cosine annealing",
        "momentum value": "momentum 0.9",
        "weight-decay value": "weight decay 0.0001",
        "warm-up value": "0.01 to 1.6 with 34 epochs linearly",
        "clips value": "uniformly sample 10 clips",
        "clips-ssv2 value": "only sample 2 clips",
        "crops value": "3 256x256 crops from each clip whose shorter side of each clip is resized 256",
        "predictions value": "averaging over 30 predictions",
    },
    "text-7": {
        "weights value": "32-frame models trained with *Kinetics*",
        "epochs value": "finetuned 45 epochs",
        "lr value": "cosine annealing learning rate schedule starting with 0.01",
        "batch value": "batch size of 48 with synchronized batch normalization",
        "gpus value": "on a 6 GPUs machine",
    },
    "text-8": {
        "backbones value": "three backbones (InceptionV1, ResNet18 and ResNet50)",
        "inflation value": "copy the weights along the time dimension",
        "temporal-pooling value": "the last three spatial poolings (kernel size is set to 3)",
        "i3d-kernel value": "kernel size in temporal domain to 3",
        "i3d-bottleneck value": "3x3 convolution in bottleneck block into 3 x 3 x 3",
        "s3d-factors value": "in I3D becomes one 2D spatial convolution and one 1D",
        "s3d-first value": "the first convolution of the network is not factorized",
        "s3d-inception value": "remove the temporal stride in the first convolutional layer",
        "s3d-resnet value": "the corresponding I3D models, we simply set the output channels to the original",
        "tam-resnet value": "the non-identity path of every residual block",
        "tam-inception value": "after the every inception module",
        "tsn value": "directly uses 2D models",
    },
}
"""For every printed cell of the text tables, words of the paper that say it."""


@pytest.fixture(scope="module")
def text() -> str:
    return paper_text("001")


def value(table: str, row: str, column: str) -> float:
    """Return one printed number of the page."""
    number = printed_cells(PAGE)[table, row, column]
    return float(number)


def setting(table: str, row: str) -> str:
    """Return the last column of a row of settings."""
    column = PAGE.tables[table].columns[-1].key
    return str(printed_cells(PAGE)[table, row, column])


def test_table_1_is_as_printed(text: str) -> None:
    printed = table_with(text, "TSN-ResNet50-tp", "73.9")[1:]
    assert [row[0].replace(TIMES, "x") for row in printed] == [
        row.label for row in PAGE.tables["table-1"].rows
    ]
    assert [row[1:] for row in printed] == spelt_rows(PAGE.tables["table-1"])


def test_table_2_is_as_printed(text: str) -> None:
    printed = table_with(text, "I3D-ResNet50", "76.61")[2:]
    assert [row[0] for row in printed] == [row.label for row in PAGE.tables["table-2"].rows]
    assert [row[1:3] for row in printed] == spelt_rows(PAGE.tables["table-2"])


def test_table_3_is_as_printed_but_turned(text: str) -> None:
    names, *printed = table_with(text, "FLOPs (G)", "NLN")[1:]
    assert [row.label for row in PAGE.tables["table-3"].rows] == [
        f"{'InceptionV1' if i < 4 else 'ResNet50'}, {name}".replace("None", "none")
        for i, name in enumerate(names[2:])
    ]
    columns = PAGE.tables["table-3"].columns
    assert [numbers(row[1]) for row in printed] == [numbers(c.label) for c in columns]
    turned = [list(row) for row in zip(*(row[2:] for row in printed), strict=True)]
    assert turned[-1][4] == "196"
    turned[-1][4] = "196.0"  # the one cost that is printed without its decimal
    assert turned == spelt_rows(PAGE.tables["table-3"])


def test_table_4_is_as_printed(text: str) -> None:
    printed = table_with(text, "Mini-MiT", "802k")[1:]
    assert [row[0].split(" [")[0] for row in printed] == [row.label for row in PAGE.tables["table-4"].rows]
    ours = [[f"{a}k", f"{b}k", c, d] for a, b, c, d in spelt_rows(PAGE.tables["table-4"])]
    assert [row[1:] for row in printed] == ours


def test_table_5_is_as_printed(text: str) -> None:
    printed = table_with(text, "Weight Init.", "cosine")[1:]
    for row, ours in zip(printed, spelt_rows(PAGE.tables["table-5"]), strict=True):
        cells = [cell for cell in row[1:] if cell]
        assert ours == (cells * 4 if len(cells) == 1 else cells)


def test_every_cell_of_the_text_tables_is_said_in_the_text(text: str) -> None:
    assert_said(PAGE, SAID, text)


def test_the_page_is_in_our_own_words(text: str) -> None:
    assert [run for ours in prose(PAGE) for run in copied(ours, running(text))] == []


def test_mini_models_bear_out_what_is_claimed_of_figure_2() -> None:
    """The claims marked as known from the authors' repository, on the list of its 288 models."""
    top1 = oracle("deep_analysis", "published_mini")
    acc = {
        (m["dataset"], m["arch"], m["backbone"], m["temporal_pooling"], m["frames"]): m["top1"] for m in top1
    }
    sets, backbones = sorted({k[0] for k in acc}), sorted({k[2] for k in acc})
    temporal, lengths = ("I3D", "S3D", "TAM"), (8, 16, 32, 64)
    ssv2 = "mini_st2stv2"

    def gain(data: str, arch: str, backbone: str, frames: int) -> float:
        return acc[data, arch, backbone, True, frames] - acc[data, arch, backbone, False, frames]

    assert len(acc) == 288
    assert all(gain(ssv2, "TSN", b, f) > 15 for b in backbones for f in lengths)
    assert all(gain(d, a, b, f) < 0 for d in sets for a in temporal for b in backbones for f in (8, 16))
    for data in (ssv2, "mini_kinetics400"):
        for arch in temporal:
            losses = [-sum(gain(data, arch, b, f) for b in backbones) for f in lengths]
            assert all(more > less for more, less in pairwise(losses))
    plain = {k[1:3] + k[4:]: v for k, v in acc.items() if k[0] == ssv2 and not k[3] and k[1] in temporal}

    def spread(axis: int) -> float:
        groups = [[v for k, v in plain.items() if k[axis] == key] for key in {k[axis] for k in plain}]
        means = [sum(group) / len(group) for group in groups]
        return max(means) - min(means)

    assert spread(0) < spread(1) < spread(2)


def test_tables_1_and_2_agree_on_the_accuracy_from_imagenet() -> None:
    for row in ("i3d-resnet50", "tam-resnet50"):
        assert round(value("table-2", row, "imagenet"), 1) == value("table-1", row, "top1")


def test_the_loss_without_pretraining_is_what_the_text_calls_half_a_point() -> None:
    loss = value("table-2", "tam-resnet50", "imagenet") - value("table-2", "tam-resnet50", "none")
    assert loss == pytest.approx(value("text-2", "tam-resnet50", "loss"), abs=0.1)


def test_tam_costs_half_of_i3d() -> None:
    ratio = value("table-1", "tam-resnet50", "flops") / value("table-1", "i3d-resnet50", "flops")
    assert ratio == pytest.approx(0.5, abs=0.02)


def test_sizes_in_the_running_text_are_those_of_table_4_but_where_the_page_says_otherwise() -> None:
    def parts(row: str) -> float:
        return value("table-4", row, "train") + value("table-4", row, "val")

    assert value("text-3", "ssv2", "total") == parts("ssv2")
    assert value("text-3", "kinetics", "train") == value("table-4", "kinetics", "train")
    assert value("text-3", "kinetics", "val") == value("table-4", "kinetics", "val") + 1
    assert parts("mit") == 836
    for row in ("ssv2", "kinetics", "mit"):
        assert value("text-3", row, "classes") == value("table-4", row, "classes")


def test_the_first_two_mini_datasets_have_half_of_the_classes() -> None:
    for row in ("ssv2", "kinetics"):
        assert 2 * value("table-4", f"mini-{row}", "classes") == value("table-4", row, "classes")


def resnet50_block_inputs() -> list[tuple[int, int]]:
    """Return channels and side of the input of every residual block of ResNet50 at 224x224."""
    stages = [(64, 256, 56, 3), (256, 512, 28, 4), (512, 1024, 14, 6), (1024, 2048, 7, 3)]
    blocks = []
    for into, out, side, depth in stages:
        blocks += [(into, side if into == 64 else 2 * side)] + [(out, side)] * (depth - 1)
    return blocks


def test_the_cost_of_mixing_all_channels_follows_from_the_shape_of_resnet50() -> None:
    """Conv. and TAM put three taps before every block: three matrices C x C, or three vectors of C."""
    blocks, frames = resnet50_block_inputs(), 8
    matrices, vectors = sum(3 * c * c for c, _ in blocks), sum(3 * c for c, _ in blocks)
    macs = frames * sum(3 * c * c * side * side for c, side in blocks)
    rows = {name: f"resnet50-{name}" for name in ("conv", "tam", "none")}
    million = value("table-3", rows["conv"], "parameters") - value("table-3", rows["tam"], "parameters")
    giga = value("table-3", rows["conv"], "flops") - value("table-3", rows["none"], "flops")
    assert million == pytest.approx((matrices - vectors) / 1e6, abs=0.1)
    assert giga == pytest.approx(macs / 1e9, abs=0.1)


def test_shifting_channels_costs_nothing() -> None:
    for column in ("flops", "parameters"):
        assert value("table-3", "resnet50-tsm", column) == value("table-3", "resnet50-none", column)


def test_orderings_claimed_of_table_3_are_in_its_printed_numbers() -> None:
    rows = {row.key: row.published for row in PAGE.tables["table-3"].rows}
    printed = {(r, c): value("table-3", r, c) for r in rows for c in ("mini-ssv2-8", "mini-ssv2-16")}
    for (row, column), number in printed.items():
        backbone, aggregation = row.split("-")
        assert (number < 40) == (aggregation == "none")
        assert printed[f"{backbone}-tam", column] >= number
        if backbone == "resnet50" and aggregation not in ("none", "nln"):
            assert number > printed["resnet50-nln", column]
    for row in rows:
        for data in ("mini-ssv2", "mini-kinetics"):
            assert value("table-3", row, f"{data}-16") > value("table-3", row, f"{data}-8")


def test_settings_of_the_full_datasets_multiply_out() -> None:
    gpus, each = value("text-6", "gpus", "value"), value("text-6", "batch-norm", "value")
    assert gpus * each == value("text-6", "batch", "value")
    assert value("text-6", "span", "value") == 2 * value("text-6", "frames", "value")
    views = numbers(setting("text-6", "crops"))[0] * value("text-6", "clips", "value")
    assert views == value("text-6", "predictions", "value")


def test_learning_rate_drops_fit_the_epochs() -> None:
    for row, total in zip(("lr-drops-35", "lr-drops-45"), numbers(setting("table-5", "epochs")), strict=True):
        factor, *drops = numbers(setting("text-4", row))
        assert factor == 10
        assert drops == sorted(drops) and drops[-1] < total
