"""From decoded frames to what a model sees: against PIL, against loops, and by what must not change."""

import itertools
import json
import math
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from scipy.stats import chisquare
from torchvision import transforms as pil_transforms

from pages import ROOT
from retrace.data import transforms
from retrace.plan import clip as plan

ORACLE = ROOT.parent / "shared" / "oracles" / "deep_analysis.json"
SCALES = (1, 0.875, 0.75, 0.66)
UNIFORM = plan.Uniform(kind="uniform", frames=8)
MULTI_SCALE = plan.MultiScale(kind="multi-scale", scales=SCALES)
RANDOM = plan.RandomCrop(kind="random")
WHOLE = plan.Whole(kind="whole")
ROUNDING = 2
"""Grey levels between torchvision and PIL on noise: both round twice, with other weights."""
CLASSES = ("left to right", "right to left", "nothing")
PAIRS = (("left to right", "right to left"),)

# Deep Analysis' code: (width, height) of crops of 340x256 frames for 224, then (x, y) of crops of 224x224.
SIZES = {(168, 168), (168, 192), (192, 168), (192, 192), (192, 224), (224, 192), (224, 224)}
SIZES |= {(224, 256), (256, 224), (256, 256)}
PLACES = [(0, 0), (116, 0), (0, 32), (116, 32), (58, 16), (0, 16), (116, 16), (58, 32), (58, 0)]
PLACES += [(29, 8), (87, 8), (29, 24), (87, 24)]
# ... and of three crops of 256, by width and height of the frame.
THREE = {
    (341, 256): [(0, 0), (84, 0), (42, 0)],
    (256, 341): [(0, 0), (0, 84), (0, 42)],
    (256, 256): [(0, 0), (0, 0), (0, 0)],
    (455, 256): [(0, 0), (196, 0), (98, 0)],
}


def short_side(pixels):
    return plan.ShortSide(kind="short-side", pixels=pixels)


def exact(height, width):
    return plan.Exact(kind="exact", height=height, width=width)


def jitter(shortest, longest, draw="real"):
    return plan.Jitter(kind="jitter", shortest=shortest, longest=longest, draw=draw)


def centre(offset="round"):
    return plan.Centre(kind="centre", offset=offset)


def three(offset):
    return plan.Three(kind="three", offset=offset)


def flip(rule, probability=1.0):
    return plan.Flip(probability=probability, rule=rule)


def pixels(side, changes):
    return {
        "side": side,
        "filter": "bilinear",
        "antialias": True,
        "colour": "rgb",
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
    } | changes


def training(crop, side, **changes):
    defaults = {"sampling": UNIFORM, "resize": None, "flip": None, "brightness": 0}
    return plan.TrainClip(crop=crop, **defaults | pixels(side, changes))


def asking(crops, side, resize, **changes):
    kind = plan.UniformTest(kind="uniform", frames=8, shifts="code")
    return plan.TestClip(crops=crops, sampling=kind, clips=1, resize=resize, **pixels(side, changes))


def frames(height, width, count=2, seed=0):
    """Noise, (T, H, W, C): the hardest to resize."""
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def tchw(x_THWC):
    return torch.from_numpy(x_THWC).permute(0, 3, 1, 2)


def thwc(x_TCHW):
    assert x_TCHW.dtype == torch.uint8
    return x_TCHW.permute(0, 2, 3, 1).numpy().astype(np.int16)


def draw(clip, x_THWC, rng, label=0, flips=(0,)):
    return transforms.train_transform(clip, tchw(x_THWC), rng, label, flips)


def draws(clip, x_THWC, count):
    rng = np.random.default_rng(0)
    return [thwc(draw(clip, x_THWC, rng)[0]) for _ in range(count)]


def with_pil(x_THWC, change):
    """The frames one by one through PIL, as the authors of all but two of the papers do."""
    return np.stack([np.asarray(change(Image.fromarray(frame))) for frame in x_THWC]).astype(np.int16)


def apart(a, b):
    return np.abs(a - b).max()


def equally_often(counts, cells):
    """Whether draws fell into `cells`, with repeats, equally often, as a seeded chi-square test sees it."""
    weights = Counter(cells)
    assert counts.keys() == weights.keys()
    expected = [weights[cell] * counts.total() / weights.total() for cell in weights]
    return chisquare([counts[cell] for cell in weights], expected).pvalue > 0.001


# Training crops


def test_multi_scale_sizes_and_places_are_those_of_the_authors():
    sizes = transforms.multi_scale_sizes(256, 340, SCALES, 224)
    assert len(sizes) == 10 and {(w, h) for h, w in sizes} == SIZES
    assert [(x, y) for y, x in transforms.multi_scale_places(256, 340, 224, 224)] == PLACES


@pytest.mark.skipif(not ORACLE.exists(), reason="the authors' figures lie next to the checkout")
def test_the_figures_above_are_the_measured_ones():
    oracle = json.loads(ORACLE.read_text())
    assert set(map(tuple, oracle["multiscale_crop"]["sizes_wh"])) == SIZES
    assert [tuple(place) for place in oracle["multiscale_crop"]["offsets_340x256_crop224"]] == PLACES
    for (width, height), places in THREE.items():
        assert places == [tuple(place) for place in oracle["three_crop"][f"{width}x{height}"]]


def test_a_length_within_two_pixels_of_the_side_is_the_side():
    for shorter in range(40, 400):
        lengths = {height for height, _ in transforms.multi_scale_sizes(shorter, 500, SCALES, 224)}
        for scale in SCALES:
            length = int(scale * shorter)
            snapped = 224 if length in (222, 223, 224, 225, 226) else length
            assert min(snapped, shorter) in lengths
        assert len(lengths) <= 4 and max(lengths) <= shorter


def test_multi_scale_crops_are_those_of_pil_and_all_equally_likely():
    x = frames(40, 56, count=1)
    candidates = list(multi_scale_boxes(56, 40, lengths=(40, 35, 32, 26)))  # 30 is nearly the side, 32
    assert len(candidates) == 130
    crops = [
        with_pil(x, lambda image, box=box: image.crop(box).resize((32, 32), Image.Resampling.BILINEAR))
        for box in candidates
    ]
    stacked, counts = np.stack(crops), Counter()
    for drawn in draws(training(MULTI_SCALE, 32), x, 1950):
        differences = np.abs(stacked - drawn).reshape(130, -1).max(axis=1)
        assert differences.min() <= ROUNDING
        counts[candidates[differences.argmin()]] += 1
    assert equally_often(counts, candidates)


def multi_scale_boxes(width, height, lengths):
    """All that can be drawn, as PIL's (left, top, right, bottom)."""
    for i, j in itertools.product(range(4), range(4)):
        if abs(i - j) <= 1:
            w, h = lengths[i], lengths[j]
            x, y = (width - w) // 4, (height - h) // 4
            corners = [(0, 0), (4, 0), (0, 4), (4, 4), (2, 2)]
            more = [(0, 2), (4, 2), (2, 4), (2, 0), (1, 1), (3, 1), (1, 3), (3, 3)]
            for a, b in corners + more:
                yield a * x, b * y, a * x + w, b * y + h


def test_a_fixed_resize_comes_before_the_multi_scale_crop():
    x = frames(48, 100)
    clip = training(plan.MultiScale(kind="multi-scale", scales=(1,)), 30, resize=exact(30, 40))
    resized = with_pil(x, lambda image: image.resize((40, 30), Image.Resampling.BILINEAR))
    places = [k * ((40 - 30) // 4) for k in range(5)]
    for drawn in draws(clip, x, 20):
        assert min(apart(resized[:, :, left : left + 30], drawn) for left in places) <= ROUNDING


@pytest.mark.parametrize("kind", ["integer", "real", "inverse"])
def test_the_jittered_short_side_is_distributed_as_declared(kind, monkeypatch):
    drawn = Counter()

    def spy(x, size, *_, **__):
        drawn[size[0]] += 1
        return x

    monkeypatch.setattr(transforms, "_to_size", spy)
    draws(training(jitter(64, 80, kind), 16), frames(16, 16, count=1), 6000)
    if kind == "integer":
        weight = dict.fromkeys(range(64, 81), 1.0)
    else:  # what is rounded to s lies within half of it, and within the range
        ends = {s: (max(s - 0.5, 64), min(s + 0.5, 80)) for s in range(64, 81)}
        density = {"real": lambda a, b: b - a, "inverse": lambda a, b: 1 / a - 1 / b}[kind]
        weight = {s: density(*ends[s]) for s in ends}
    expected = [6000 * w / sum(weight.values()) for w in weight.values()]
    assert drawn.keys() == weight.keys()
    assert chisquare([drawn[s] for s in weight], expected).pvalue > 0.001


def test_jitter_resizes_as_pil_does_and_crops_anywhere():
    x, counts = frames(16, 18), Counter()
    resized = with_pil(x, pil_transforms.Resize(20))  # 20 x 22
    places = list(itertools.product(range(5), range(7)))
    for drawn in draws(training(jitter(20, 20), 16), x, 1750):
        found = [(t, c) for t, c in places if apart(resized[:, t : t + 16, c : c + 16], drawn) <= ROUNDING]
        assert len(found) == 1
        counts[found[0]] += 1
    assert equally_often(counts, places)


def test_a_whole_frame_loses_its_aspect_and_is_not_smoothed():
    x = frames(90, 120)
    clip = training(WHOLE, 56, resize=exact(56, 56), antialias=False)
    (drawn,) = draws(clip, x, 1)
    sampled = torch.nn.functional.interpolate(tchw(x).double(), (56, 56), mode="bilinear")
    assert apart(sampled.permute(0, 2, 3, 1).numpy(), drawn) <= 1
    smooth = with_pil(x, lambda image: image.resize((56, 56), Image.Resampling.BILINEAR))
    assert apart(smooth, drawn) > 20


def test_bicubic_is_nearly_that_of_pil():
    x = frames(60, 80)
    clip = training(WHOLE, 40, resize=exact(40, 40), filter="bicubic")
    cubic = with_pil(x, lambda image: image.resize((40, 40), Image.Resampling.BICUBIC))
    assert apart(cubic, draws(clip, x, 1)[0]) <= ROUNDING + 1


@pytest.mark.parametrize("size", [(224, 224), (240, 320), (300, 400), (100, 90)])
def test_a_picture_resizes_as_with_pil_to_one_grey_level(size):
    coarse = Image.fromarray(frames(32, 40, count=1)[0]).resize((340, 256), Image.Resampling.BICUBIC)
    x = np.array(coarse)[None]
    clip = asking(centre(), min(size), exact(*size))
    resize = pil_transforms.Resize(size, pil_transforms.InterpolationMode.BILINEAR)
    expected = with_pil(x, pil_transforms.Compose([resize, pil_transforms.CenterCrop(min(size))]))
    difference = np.abs(thwc(transforms.test_crops(clip, tchw(x))[0]) - expected)
    assert difference.max() <= ROUNDING and (difference > 1).mean() < 1e-4


# Flips and brightness


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("forbid", {"always": [0, 1, 2], "page": [None] * 3, "unpaired": [None] * 3}),
        ("allow", {"always": [0, 1, 2], "page": [0, 1, 2], "unpaired": [0, 1, 2]}),
        ("relabel", {"always": [0, 1, 2], "page": [1, 0, 2], "unpaired": [None, None, 2]}),
    ],
)
@pytest.mark.parametrize("rule", ["always", "page", "unpaired"])
def test_a_flip_heeds_the_class(rule, page, expected):
    x, flips = frames(8, 8), plan.flips(CLASSES, page, PAIRS if page == "relabel" else ())
    clip = training(WHOLE, 8, resize=exact(8, 8), flip=flip(rule))
    for label, after in enumerate(expected[rule]):
        found, found_label = draw(clip, x, np.random.default_rng(0), label, flips)
        assert found_label == (label if after is None else after)
        assert (thwc(found) == (x if after is None else x[:, :, ::-1])).all()


def test_flipping_twice_is_the_same_clip_and_label():
    x, flips = frames(8, 8), plan.flips(CLASSES, "relabel", PAIRS)
    clip = training(WHOLE, 8, resize=exact(8, 8), flip=flip("page"))
    for label in range(3):
        once, other = draw(clip, x, np.random.default_rng(0), label, flips)
        twice, same = transforms.train_transform(clip, once, np.random.default_rng(0), other, flips)
        assert same == label and (thwc(twice) == x).all()


def test_relabelling_is_an_involution():
    rng = np.random.default_rng(0)
    for count in range(2, 40):
        names = [str(i) for i in rng.permutation(count)]
        paired = rng.permutation(names)[: count // 4 * 2].reshape(-1, 2)
        flips = plan.flips(names, "relabel", [(str(a), str(b)) for a, b in paired])
        assert all(flips[flips[label]] == label for label in range(count))
        assert sum(flips[label] != label for label in range(count)) == count // 4 * 2


def test_a_class_whose_mirror_is_not_in_the_subset_is_not_flipped():
    assert plan.flips(("right to left", "nothing"), "relabel", PAIRS) == (None, 1)


def test_half_of_the_clips_are_flipped():
    x = frames(4, 4, count=1)
    clip = training(WHOLE, 4, resize=exact(4, 4), flip=flip("always", 0.5))
    flipped = sum(bool((drawn == x[:, :, ::-1]).all()) for drawn in draws(clip, x, 2000))
    assert abs(flipped - 1000) < 4 * math.sqrt(500)


def test_brightness_moves_all_pixels_of_a_clip_by_one_amount():
    x, moved = np.full((3, 4, 4, 3), 128, dtype=np.uint8), []
    clip = training(WHOLE, 4, resize=exact(4, 4), brightness=0.1)
    for drawn in draws(clip, x, 2000):
        assert (drawn == drawn[0, 0, 0, 0]).all()
        moved.append(drawn[0, 0, 0, 0] - 128)
    assert set(moved) == set(range(-25, 26))  # 25.5 rounds to 26 with no chance at all
    assert abs(np.mean(moved)) < 4 * 14.7 / math.sqrt(2000)
    for grey, reach in ((0, range(26)), (255, range(230, 256))):
        assert {int(d.max()) for d in draws(clip, np.full_like(x, grey), 500)} <= set(reach)


# All training views

EVERY = {
    "multi-scale": training(MULTI_SCALE, 32, flip=flip("always", 0.5)),
    "resize, multi-scale": training(MULTI_SCALE, 32, resize=exact(36, 48)),
    "jitter": training(jitter(32, 48, "inverse"), 32, antialias=False),
    "random": training(RANDOM, 32, resize=short_side(40), filter="bicubic", brightness=0.1),
    "whole": training(WHOLE, 32, resize=exact(32, 32), flip=flip("page", 0.5)),
}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("shape", [(40, 56), (56, 40), (33, 33), (120, 37)])
def test_equal_frames_stay_equal_at_the_side_asked_for(name, shape):
    still = np.repeat(frames(*shape, count=1), 5, axis=0)
    for drawn in draws(EVERY[name], still, 10):
        assert drawn.shape == (5, 32, 32, 3)
        assert (drawn == drawn[:1]).all()


@pytest.mark.parametrize("name", EVERY)
def test_a_view_depends_on_its_seed_alone_and_leaves_the_frames_alone(name):
    x = frames(40, 56)
    before, found = x.copy(), []
    for seed in (3, 4, 5, 6, 7, 8):
        torch.manual_seed(seed)  # of no effect
        first = draw(EVERY[name], x, np.random.default_rng(seed))[0]
        assert first.equal(draw(EVERY[name], x, np.random.default_rng(seed))[0])
        found.append(first.numpy().tobytes())
    assert len(set(found)) > 1 and (x == before).all()


def test_the_order_of_the_channels_in_memory_changes_nothing():
    for clip in EVERY.values():
        x = tchw(frames(40, 56))
        one, _ = transforms.train_transform(clip, x, np.random.default_rng(1), 0, (0,))
        other, _ = transforms.train_transform(clip, x.contiguous(), np.random.default_rng(1), 0, (0,))
        assert apart(thwc(one), thwc(other)) <= 1


# Test crops


@pytest.mark.parametrize("size", THREE)
def test_three_crops_in_quarters_are_those_of_the_authors(size):
    width, height = size
    found = transforms.crop_places(three("quarters"), height, width, 256)
    assert [(x, y) for y, x in found] == THREE[size]


def test_three_crops_with_exact_ends_follow_the_definition():
    for long, side in itertools.product(range(20, 60), range(10, 21)):
        middle, across = math.ceil((long - side) / 2), math.ceil((20 - side) / 2)
        places = [0, middle, long - side]
        assert transforms.crop_places(three("ceil"), 20, long, side) == [(across, p) for p in places]
        if long > 20:
            assert transforms.crop_places(three("ceil"), long, 20, side) == [(p, across) for p in places]
        assert transforms.crop_places(centre("ceil"), 20, long, side) == [(across, middle)]


def test_eleven_crops_are_evenly_spaced_along_the_long_side():
    row = plan.Row(kind="row", count=11)
    steps = [math.floor(85 * i / 10) for i in range(11)]
    assert transforms.crop_places(row, 256, 341, 256) == [(0, step) for step in steps]
    assert transforms.crop_places(row, 341, 256, 256) == [(step, 0) for step in steps]
    assert steps[-1] == 341 - 256


@pytest.mark.parametrize("shape", [(24, 32), (33, 24), (25, 34), (47, 61), (90, 51)])
def test_a_centre_crop_is_that_of_pil(shape):
    x = frames(*shape)
    for short, side in ((32, 28), (28, 28), (33, 20)):
        both = pil_transforms.Compose([pil_transforms.Resize(short), pil_transforms.CenterCrop(side)])
        (found,) = transforms.test_crops(asking(centre(), side, short_side(short)), tchw(x))
        assert apart(with_pil(x, both), thwc(found)) <= ROUNDING


@pytest.mark.parametrize(
    ("crops", "count"),
    [
        (centre("ceil"), 1),
        (three("quarters"), 3),
        (three("ceil"), 3),
        (plan.Row(kind="row", count=11), 11),
    ],
)
@pytest.mark.parametrize("shape", [(24, 40), (40, 24), (24, 24)])
def test_crops_are_cut_where_their_places_say(crops, count, shape):
    x = frames(*shape)
    found = transforms.test_crops(asking(crops, 20, short_side(24)), tchw(x))
    assert found.shape == (count, 2, 3, 20, 20)
    places = transforms.crop_places(crops, *shape, 20)
    for crop, (top, left) in zip(found, places, strict=True):
        assert (thwc(crop) == x[:, top : top + 20, left : left + 20]).all()


def test_a_whole_frame_is_one_view():
    x = frames(24, 40)
    found = transforms.test_crops(asking(WHOLE, 16, exact(16, 16)), tchw(x))
    resized = with_pil(x, lambda image: image.resize((16, 16), Image.Resampling.BILINEAR))
    assert found.shape[0] == 1 and apart(thwc(found[0]), resized) <= ROUNDING


# Normalisation


@pytest.mark.parametrize("colour", ["rgb", "bgr"])
def test_normalised_values_are_those_of_the_formula(colour):
    x = frames(5, 7, count=6)
    clip = asking(centre(), 4, short_side(5), colour=colour)
    found = transforms.normalise(clip, tchw(x).unflatten(0, (2, 3)))
    assert found.shape == (2, 3, 3, 5, 7) and found.dtype == torch.float32
    seen = x if colour == "rgb" else x[..., ::-1]
    expected = (seen.astype(float) / 255 - clip.mean) / clip.std
    assert np.allclose(found.flatten(0, 1).permute(0, 2, 3, 1), expected, atol=1e-6)


def test_rstg_normalises_as_its_authors_do():
    x = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    clip = training(RANDOM, 16, resize=short_side(16), mean=(0.45,) * 3, std=(0.225,) * 3)
    found = transforms.normalise(clip, tchw(x)).permute(0, 2, 3, 1).numpy()
    assert np.allclose(found, (x.astype(float) - 114.75) / 57.375, atol=1e-6)


# What is no clip


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: training(jitter(256, 320), 224, resize=short_side(256)), "'resize' must be null"),
        (lambda: training(jitter(200, 320), 224), "side 224 <= shortest"),
        (lambda: training(jitter(320, 256), 224), "shortest <= longest"),
        (lambda: training(RANDOM, 224), "needs 'resize'"),
        (lambda: training(RANDOM, 224, resize=short_side(200)), "does not fit"),
        (lambda: training(WHOLE, 224), "must be exact, 224 by 224"),
        (lambda: training(WHOLE, 224, resize=exact(224, 256)), "must be exact, 224 by 224"),
        (lambda: training(MULTI_SCALE, 224, resise=None), "did you mean 'resize'"),
        (lambda: asking(centre(), 256, short_side(224)), "does not fit"),
        (lambda: asking(three("ceil"), 256, exact(240, 320)), "a side of 240"),
        (lambda: asking(WHOLE, 224, short_side(224)), "must be exact, 224 by 224"),
    ],
)
def test_crops_that_cannot_fit_are_clear_errors(make, message):
    with pytest.raises(ValidationError, match=message):
        make()
