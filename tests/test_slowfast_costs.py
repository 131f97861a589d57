"""Parameters and multiply-adds of SlowFast, Slow, I3D and C2D against those counted on PySlowFast."""

from functools import cache

import pytest
import torch

from attention_blocks import TA, attention, dot_product, gta
from papertext import oracle
from retrace.cost.count import multiply_adds, parameters
from retrace.models.registry import build
from slowfasts import Kind, single, slowfast, slowfast_101

NL, SA = {"joint": attention(2, "before")}, attention(4, "before")
NLN = {"joint": dot_product(2, "before")}
DNL = {"space": SA, "time": TA}


def gta_unit(groups: int) -> dict:
    return {"space": SA, "time": gta(groups=groups)}


Row = tuple[Kind, int, int, int, int | None, int]
"""Model, classes, frames, parameters, and multiply-adds on 224 x 224 and 256 x 256 pixels."""

IN_2_AND_3 = {"positions": ("layer2.1", "layer2.3", "layer3.6", "layer3.13", "layer3.20")}
FEW = {"slow_res4": 6, "fast_res4": 6}
ROWS: dict[str, Row] = {
    "SlowFast 4x16 R50": (
        slowfast(alpha=8, lateral_time=5),
        400,
        32,
        34_480_216,
        27_638_665_216,
        36_101_963_776,
    ),
    "SlowFast 8x8 R50": (slowfast(), 400, 32, 34_566_488, 50_308_583_424, 65_711_652_864),
    "SlowFast NLN 8x8 R50": (
        slowfast(NLN, lateral_time=5),
        400,
        32,
        41_838_680,
        72_228_671_488,
        99_123_478_528,
    ),
    "SlowFast 8x8 R101_101_101": (slowfast_101(), 400, 32, 62_826_968, 96_396_644_352, 125_908_303_872),
    "SlowFast 8x8 R101_50_101": (
        slowfast_101(slow_res4=6),
        400,
        32,
        53_914_072,
        82_421_223_424,
        107_654_692_864,
    ),
    "SlowFast 8x8 R101_50_50": (slowfast_101(**FEW), 400, 32, 53_774_808, 81_547_759_616, 106_513_842_176),
    "SlowFast 16x8 R101_50_50": (slowfast_101(**FEW), 400, 64, 53_774_808, 163_094_597_632, 213_023_997_952),
    "SlowFast NLN 16x8 R101_50_50": (
        slowfast_101(NLN, **FEW),
        400,
        64,
        60_080_088,
        182_978_744_320,
        242_015_027_200,
    ),
    "SlowFast 16x8 R50 SSv2": (slowfast(), 174, 64, 34_045_558, 100_615_724_544, 131_417_536_512),
    "SlowFast 16x8 R50 SSv2, k 5": (
        slowfast(lateral_time=5),
        174,
        64,
        33_959_286,
        99_986_316_800,
        130_595_452_928,
    ),
    "SlowFast NLN 16x8 R50 SSv2": (slowfast(NL), 174, 64, 41_404_022, 169_002_802_688, 239_865_460_736),
    "SlowFast NLN 16x8 R50 SSv2, k 5": (
        slowfast(NL, lateral_time=5),
        174,
        64,
        41_317_750,
        168_373_394_944,
        239_043_377_152,
    ),
    "SlowFast NLN 8x8 R101, res4": (slowfast_101(NL), 400, 32, 69_132_248, 104_450_494_464, 137_182_593_024),
    "Slow 4x16 R50": (single("slow"), 400, 4, 32_454_096, 20_870_823_936, 27_262_058_496),
    "Slow 8x8 R50": (single("slow"), 400, 8, 32_454_096, 41_740_828_672, 54_520_840_192),
    "Slow NLN 8x8 R50": (single("slow", NLN), 400, 8, 39_812_560, 63_975_620_608, 88_343_707_648),
    "I3D 8x8 R50": (single("i3d"), 400, 8, 28_043_472, 28_407_660_544, 37_106_089_984),
    "I3D NLN 8x8 R50": (single("i3d", NL), 400, 8, 35_401_936, 36_535_369_728, 48_917_250_048),
    "I3D 8x8 R101": (
        single("i3d", backbone="resnet101", positions=()),
        400,
        8,
        51_754_192,
        46_955_921_408,
        61_332_389_888,
    ),
    "C2D 8x8 R50": (single("c2d"), 400, 8, 24_327_632, 19_493_191_680, 25_462_702_080),
    "C2D NLN 8x8 R50": (single("c2d", NL), 400, 8, 31_686_096, 27_620_900_864, 37_273_862_144),
    "SF16x8-R50 +SA": (slowfast({"space": SA}), 174, 64, 37_730_934, None, 147_389_446_144),
    "SF16x8-R50 +TA": (slowfast({"time": TA}), 174, 64, 37_730_934, None, 153_127_254_016),
    "SF16x8-R50 +DNL": (slowfast(DNL), 174, 64, 41_416_310, None, 169_099_163_648),
    "SF16x8-R50 +DNL pool-after": (
        slowfast({"space": attention(4, "after"), "time": TA}),
        174,
        64,
        41_416_310,
        None,
        177_152_227_328,
    ),
    "SF16x8-R50 +GTA G=8": (slowfast(gta_unit(8)), 174, 64, 41_620_086, None, 170_365_843_456),
    "SF16x8-R50 +GTA G=4": (slowfast(gta_unit(4)), 174, 64, 41_497_206, None, 169_866_721_280),
    "SF16x8-R50 +GTA G=2": (slowfast(gta_unit(2)), 174, 64, 41_466_486, None, 169_617_160_192),
    "SF8x8-R101 +GTA res4[6,13,20]": (slowfast_101(gta_unit(8)), 400, 32, 69_199_064, None, 136_842_854_400),
    "SF8x8-R101 +NL 2+3": (slowfast_101(NL, **IN_2_AND_3), 400, 32, 70_185_432, None, 159_731_171_328),
    "SF8x8-R101 +GTA 2+3": (
        slowfast_101(gta_unit(8), **IN_2_AND_3),
        400,
        32,
        70_278_616,
        None,
        145_132_896_256,
    ),
    "SF8x8-R101_50_101 +NL 2+3": (
        slowfast_101(NL, slow_res4=6, **IN_2_AND_3),
        400,
        32,
        61_272_536,
        None,
        141_477_560_320,
    ),
    "SF8x8-R101_50_50 +NL 2+3": (
        slowfast_101(NL, **FEW, **IN_2_AND_3),
        400,
        32,
        61_133_272,
        None,
        140_336_709_632,
    ),
}


@cache
def network(row: str) -> torch.nn.Module:
    """Return the model, trained on crops of 224 pixels, as all of them are."""
    model, classes, frames, *_ = ROWS[row]
    with torch.device("meta"):
        return build(model, classes=classes, channels=3, frames=frames, side=224)


@pytest.mark.parametrize("row", ROWS)
def test_parameters_and_multiply_adds_are_those_of_the_public_code(row: str) -> None:
    _, _, frames, count, at_224, at_256 = ROWS[row]
    assert parameters(network(row)) == count
    for side, work in ((224, at_224), (256, at_256)):
        if work is not None:
            assert multiply_adds(network(row), (1, frames, 3, side, side)) == work


def test_the_integers_are_those_that_were_counted() -> None:
    counted = {
        tuple(row[k] for k in ("params", "macs224", "macs256"))
        for row in oracle("gta_timesformer", "pyslowfast_official_costs")
    }
    blocks = oracle("gta_timesformer", "gta_slowfast_costs")
    for name, (*_, count, at_224, at_256) in ROWS.items():
        assert (count, at_224, at_256) in counted or (count, at_256) == (
            blocks[name]["params"],
            blocks[name]["macs"],
        )


PRINTED = {
    "SlowFast 16x8 R50 SSv2": (131.4, 34.0),
    "SlowFast NLN 16x8 R50 SSv2": (239.9, 41.4),
    "SF16x8-R50 +DNL": (169.1, 41.4),
}
"""Table 1 of "GTA", GMAC and million parameters."""


def test_costs_of_table_1_are_the_printed_ones() -> None:
    for name, printed in PRINTED.items():
        *_, count, _, at_256 = ROWS[name]
        assert (round(at_256 / 1e9, 1), round(count / 1e6, 1)) == printed
