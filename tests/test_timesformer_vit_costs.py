"""Parameters and multiply-adds of every TimeSformer, to the integer.

Counted with the authors' code on the meta device, and again by closed formulas; the small ViT of early timm
by the formulas alone.
"""

import pytest
import torch

from pages import ROOT
from retrace.cost.count import multiply_adds, parameters
from retrace.models.registry import build
from retrace.plan import counted as plan_counts
from retrace.plan.plan import Plan
from vits import BASE, DIVIDED, spec

LARGE = BASE | {"width": 1024, "layers": 24, "heads": 16}
SMALL = BASE | {"width": 384, "heads": 6}
EARLY_SMALL = BASE | {"layers": 8, "heads": 8, "mlp_ratio": 3, "qkv_bias": False}
PATCH_32 = BASE | {"patch": 32}
TIME_FIRST, JOINT, SPACE = "time-first", "joint", "space-only"

# attention, sizes, frames, side, classes, parameters, multiply-adds
ROWS = [
    (TIME_FIRST, BASE, 8, 224, 400, 121566352, 195830280192),
    (TIME_FIRST, BASE, 8, 224, 174, 121392558, 195830106624),
    (TIME_FIRST, BASE, 8, 224, 600, 121720152, 195830433792),
    (TIME_FIRST, BASE, 8, 224, 48, 121295664, 195830009856),
    (TIME_FIRST, BASE, 16, 448, 400, 122024080, 1702685650944),
    (TIME_FIRST, BASE, 16, 448, 174, 121850286, 1702685477376),
    (TIME_FIRST, BASE, 64, 224, 174, 121435566, 1579191372288),
    (TIME_FIRST, BASE, 96, 224, 400, 121633936, 2379856982016),
    (TIME_FIRST, PATCH_32, 8, 224, 400, 123222928, 48801755136),
    (TIME_FIRST, LARGE, 8, 224, 400, 429720976, 688937254912),
    (TIME_FIRST, SMALL, 8, 224, 400, 30702352, 50677315584),
    (TIME_FIRST, BASE | {"layers": 8, "heads": 8}, 8, 224, 400, 81396880, 130861903872),
    (JOINT, BASE, 8, 224, 400, 86112400, 179562805248),
    (JOINT, BASE, 8, 224, 174, 85938606, 179562631680),
    (JOINT, BASE, 16, 448, 400, 86570128, 3973677643776),
    (JOINT, BASE, 96, 224, 400, 86179984, 8135706998784),
    (JOINT, LARGE, 8, 224, 400, 303719824, 596056145920),
    (JOINT, SMALL, 8, 224, 400, 21822736, 56465783808),
    (SPACE, BASE, 8, 224, 400, 86106256, 140504788992),
    (SPACE, BASE, 8, 224, 174, 85932462, 140504615424),
    (SPACE, BASE, 16, 448, 400, 86557840, 1255910486016),
    (SPACE, BASE, 96, 224, 400, 86106256, 1686054088704),
    (SPACE, LARGE, 8, 224, 400, 303711632, 492429918208),
]
SCALED = [
    (TIME_FIRST, BASE, 8, 336, 400, 121754512, 456195551232),
    (TIME_FIRST, BASE, 8, 448, 400, 122017936, 850446446592),
    (TIME_FIRST, BASE, 8, 560, 400, 122356624, 1408322482176),
    (TIME_FIRST, BASE, 16, 224, 400, 121572496, 392066052096),
    (TIME_FIRST, BASE, 32, 224, 400, 121584784, 785924861952),
    (TIME_FIRST, BASE, 64, 224, 400, 121609360, 1579191545856),
    (TIME_FIRST, BASE, 128, 224, 400, 121658512, 3187921170432),
    (JOINT, BASE, 8, 336, 400, 86300560, 531364804608),
    (JOINT, BASE, 8, 448, 400, 86563984, 1261803730944),
    (JOINT, BASE, 8, 560, 400, 86902672, 2608795711488),
    (JOINT, BASE, 16, 224, 400, 86118544, 449675065344),
    (JOINT, BASE, 32, 224, 400, 86130832, 1261803730944),
    (JOINT, BASE, 64, 224, 400, 86155408, 3973677643776),
    (JOINT, BASE, 128, 224, 400, 86204560, 13747891795968),
]


def name(row: tuple) -> str:
    attention, sizes, frames, side, classes, *_ = row
    return f"{attention}-{frames}x{side}-d{sizes['width']}-l{sizes['layers']}-p{sizes['patch']}-k{classes}"


def counted(attention: str, sizes: dict, frames: int, side: int, classes: int) -> tuple[int, int]:
    with torch.device("meta"):
        model = build(spec(attention, sizes), classes=classes, channels=3, frames=frames, side=side)
    return parameters(model), multiply_adds(model, (1, frames, 3, side, side))


def by_formula(attention: str, sizes: dict, frames: int, side: int, classes: int) -> tuple[int, int]:
    """Return parameters and multiply-adds of divided or joint attention."""
    d, ratio, patch, t = sizes["width"], sizes["mlp_ratio"], sizes["patch"], frames
    n = (side // patch) ** 2
    qkv = 3 * d**2 + (3 * d if sizes["qkv_bias"] else 0)
    layer = qkv + d**2 + d + 2 * ratio * d**2 + (ratio + 1) * d + 4 * d
    work = (4 + 2 * ratio) * d**2 * (n * t + 1) + 2 * (n * t + 1) ** 2 * d
    if attention != "joint":
        layer += qkv + 2 * (d**2 + d) + 2 * d
        over_space = 4 * d**2 * t * (n + 1) + 2 * t * (n + 1) ** 2 * d
        over_time = 5 * d**2 * n * t + 2 * n * t**2 * d
        work = over_space + over_time + 2 * ratio * d**2 * (n * t + 1)
    around = 3 * patch**2 * d + d + d * (n + 2) + d * t + 2 * d + (d + 1) * classes
    return sizes["layers"] * layer + around, 3 * patch**2 * d * n * t + sizes["layers"] * work + d * classes


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_costs_are_those_of_the_authors_code(row):
    assert counted(*row[:5]) == row[5:]


@pytest.mark.parametrize("row", [row for row in ROWS if row[0] != SPACE] + SCALED, ids=name)
def test_the_formulas_give_the_same_and_so_for_other_clips(row):
    assert by_formula(*row[:5]) == row[5:]


def test_the_small_vit_of_early_timm_costs_what_the_formulas_say():
    found = {order: counted(order, EARLY_SMALL, 8, 224, 400) for order in (TIME_FIRST, JOINT, SPACE)}
    for order in (TIME_FIRST, JOINT):
        assert found[order] == by_formula(order, EARLY_SMALL, 8, 224, 400)
    assert [count for count, _ in found.values()] == [71916688, 48299152, 48293008]
    assert [round(work / 1e9, 3) for _, work in found.values()] == [116.055, 105.210, 79.105]


def test_the_three_orders_of_divided_attention_cost_the_same():
    assert len({counted(order, SMALL, 8, 224, 174) for order in DIVIDED}) == 1


def test_three_views_cost_what_the_main_article_reports():
    """0.59, 5.11 and 7.14 TFLOPs: it counts a multiply-add as one."""
    per_view = {(row[0], row[2], row[3]): row[6] for row in ROWS if row[1] is BASE and row[4] == 400}
    work = [3 * per_view[TIME_FIRST, *clip] / 1e12 for clip in ((8, 224), (16, 448), (96, 224))]
    assert [round(total, 2) for total in work] == [0.59, 5.11, 7.14]


def test_the_sizes_on_the_page_are_these():
    found = set()
    for cell in plan_counts.costs(Plan(ROOT, "paper"), "timesformer").values():
        with torch.device("meta"):
            clip = {"channels": cell.channels, "frames": cell.frames, "side": cell.side}
            found.add(parameters(build(cell.model, classes=cell.classes, **clip)))
    sizes = (BASE, LARGE, SMALL, EARLY_SMALL)
    assert found == {by_formula(TIME_FIRST, size, 8, 224, 174)[0] for size in sizes}
