"""Parameters and multiply-adds of the video CNNs, as measured with the authors' code and as printed."""

from functools import cache

import pytest
import torch

from papertext import oracle
from retrace.cost.count import parameters, work
from video_cnns import ARCHS, on_meta

COSTS = {
    ("InceptionV1", "TSN"): (5_689_079, 11_978_817_536, 6_521_725_952),
    ("ResNet18", "TSN"): (11_221_143, 14_508_490_752, 7_520_780_288),
    ("ResNet50", "TSN"): (23_686_295, 32_697_090_048, 14_135_984_128),
    ("InceptionV1", "TAM"): (5_706_503, 12_047_006_720, 6_570_863_936),
    ("ResNet18", "TAM"): (11_225_559, 14_530_768_896, 7_535_155_712),
    ("ResNet50", "TAM"): (23_725_655, 32_831_963_136, 14_213_054_464),
    ("InceptionV1", "CONV"): (17_206_775, 32_177_266_688, 15_944_477_696),
    ("ResNet18", "CONV"): (12_535_959, 16_974_741_504, 8_676_835_328),
    ("ResNet50", "CONV"): (71_474_327, 106_992_893_952, 43_422_711_808),
    ("InceptionV1", "S3D"): (7_992_503, 19_778_626_560, 12_264_670_208),
    ("ResNet18", "S3D"): (15_425_559, 21_329_215_488, 12_125_732_864),
    ("ResNet50", "S3D"): (27_485_079, 39_517_814_784, 19_672_203_264),
    ("InceptionV1", "I3D"): (12_376_439, 33_806_581_760, 21_411_353_600),
    ("ResNet18", "I3D"): (33_210_903, 43_217_190_912, 22_472_425_472),
    ("ResNet50", "I3D"): (46_339_607, 64_180_322_304, 29_460_135_936),
    ("ResNet50", "TSM"): (23_686_295, 32_697_090_048, None),
    ("ResNet50", "NLN"): (31_044_759, 49_138_761_728, None),
}
"""Parameters for 87 classes, and the multiply-adds of the convolutions at 8 frames of 224x224 without and
with temporal pooling: the authors' code, run on the meta device; TSM and NLN are not in it."""

FEATURES = {"InceptionV1": 1024, "ResNet18": 512, "ResNet50": 2048}
PUBLISHED_CLASSES = {"mini_st2stv2": 87, "mini_kinetics400": 200, "mini_moments": 200}


@cache
def counted(
    backbone: str, arch: str, pooled: bool, frames: int = 8, side: int = 224, legacy: bool = False
) -> tuple[int, int]:
    """Return parameters for 87 classes and the multiply-adds of the convolutions."""
    options = {"temporal_pooling": pooled, "legacy_pool4": legacy}
    net = on_meta(backbone.lower(), ARCHS[arch], classes=87, frames=frames, side=side, **options)
    return parameters(net), work(net, (1, frames, 3, side, side)).convolutions


@pytest.mark.parametrize(("backbone", "arch"), COSTS, ids=map("-".join, COSTS))
def test_parameters_and_multiply_adds_are_the_measured_ones(backbone, arch):
    count, plain, pooled = COSTS[backbone, arch]
    assert counted(backbone, arch, False) == (count, plain)
    if pooled is not None:
        assert counted(backbone, arch, True) == (count, pooled)


def law(backbone: str, arch: str, pooled: bool, frames: int, legacy: bool = False) -> int:
    """Return the multiply-adds of the convolutions by the number of frames."""
    if not pooled and (backbone, arch) == ("InceptionV1", "S3D"):
        return 2_491_740_160 * frames - 155_294_720  # the last pool loses a frame
    if not pooled and legacy:
        return 4_225_822_720 * frames - 232_967_168
    return COSTS[backbone, arch][1 + pooled] * frames // 8


@pytest.mark.parametrize(("arch", "legacy"), [("S3D", False), ("I3D", True)])
@pytest.mark.parametrize("frames", [8, 16])
def test_a_last_pool_without_padding_loses_a_frame(arch, legacy, frames):
    lossy = counted("InceptionV1", arch, False, frames, legacy=legacy)[1]
    assert lossy == law("InceptionV1", arch, False, frames, legacy)


def test_with_temporal_pooling_both_last_pools_of_inflated_inception_cost_the_same():
    assert counted("InceptionV1", "I3D", True, legacy=True) == counted("InceptionV1", "I3D", True)


@pytest.mark.parametrize(
    ("arch", "pooled", "giga"), [("TSN", True, 73.853), ("TAM", False, 171.530), ("I3D", False, 335.309)]
)
def test_the_costs_of_table_1_are_those_of_32_frames_of_256_pixels(arch, pooled, giga):
    assert round(counted("ResNet50", arch, pooled, 32, 256)[1] / 1e9, 3) == giga


def test_the_classifier_is_all_that_classes_and_frames_left_change():
    net = on_meta("resnet50", "none", classes=200, frames=8, side=224)
    assert parameters(net) == 23_686_295 + (200 - 87) * 2049
    shape = (1, 8, 3, 224, 224)
    counted = work(net, shape)
    assert counted.all - counted.convolutions == 200 * 2048 * 8


SIZES = {
    ("resnet50", "none", False): {
        "conv1": (8, 64, 112),
        "layer1": (8, 256, 56),
        "layer2": (8, 512, 28),
        "layer3": (8, 1024, 14),
        "layer4": (8, 2048, 7),
    },
    ("resnet50", "tam", True): {
        "pool1": (4, 256, 56),
        "pool2": (2, 512, 28),
        "pool3": (1, 1024, 14),
        "layer4": (1, 2048, 7),
    },
    ("resnet50", "i3d", True): {"layer2": (4, 512, 28), "layer3": (2, 1024, 14), "layer4": (1, 2048, 7)},
    ("resnet18", "s3d", True): {"layer2": (4, 128, 28), "layer3": (2, 256, 14), "layer4": (1, 512, 7)},
    ("inceptionv1", "i3d", False): {
        "conv1": (8, 64, 112),
        "conv3": (8, 192, 56),
        "inception3b": (8, 480, 28),
        "inception4e": (8, 832, 14),
        "inception5b": (8, 1024, 7),
    },
    ("inceptionv1", "s3d", False): {"inception4e": (8, 832, 14), "inception5b": (7, 1024, 7)},
    ("inceptionv1", "none", True): {
        "inception3a": (4, 256, 28),
        "inception4a": (2, 512, 14),
        "inception5a": (1, 832, 7),
    },
    ("inceptionv1", "s3d", True): {
        "inception3a": (4, 256, 28),
        "inception4a": (2, 512, 14),
        "inception5a": (1, 832, 7),
    },
}
"""Frames, channels and side at the ends of stages, measured with the authors' code at 8 frames of 224x224."""


@pytest.mark.parametrize(("backbone", "temporal", "pooled"), SIZES, ids=str)
def test_feature_maps_have_the_measured_sizes(backbone, temporal, pooled):
    net = on_meta(backbone, temporal, classes=87, frames=8, side=224, temporal_pooling=pooled)
    found = {}
    for name, module in net.trunk.named_children():
        module.register_forward_hook(lambda _module, _in, out, name=name: found.update({name: out.shape}))
    with torch.no_grad():
        net(torch.empty(1, 8, 3, 224, 224, device="meta"))
    for name, (frames, channels, side) in SIZES[backbone, temporal, pooled].items():
        volume = (1, channels, frames, side, side)
        assert found[name] == (volume if net.volume else (frames, channels, side, side)), name


def test_a_sample_of_the_480_measured_configurations_is_met():
    for row in oracle("deep_analysis", "measured")[::37]:
        backbone, arch, classes = row["backbone"], row["arch"], row["num_classes"]
        count, macs = counted(backbone, arch, row["temporal_pooling"], row["frames"], row["size"])
        assert count + (classes - 87) * (FEATURES[backbone] + 1) == row["params"]
        assert macs == row["macs_conv_only"]
        if row["size"] == 224:
            assert macs == law(backbone, arch, row["temporal_pooling"], row["frames"])


def test_all_288_published_models_have_the_published_costs():
    for row in oracle("deep_analysis", "published_mini"):
        backbone, arch, pooled, frames = (row[k] for k in ("backbone", "arch", "temporal_pooling", "frames"))
        more_classes = PUBLISHED_CLASSES[row["dataset"]] - 87
        assert COSTS[backbone, arch][0] + more_classes * (FEATURES[backbone] + 1) == row["params"]
        legacy = not row["macs_match_current_code"]
        assert law(backbone, arch, pooled, frames, legacy) == row["macs"]
        assert legacy <= ((backbone, arch) == ("InceptionV1", "I3D"))
