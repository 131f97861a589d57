"""SyncMNIST against the rules of the released generator: labels, digits, walks and, by Pillow, pixels."""

import gzip
import hashlib
import json

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

import shapes
from retrace.data.make import make_split
from retrace.data.synthetic.sync_draws import class_names, draw, label_of, no_pair
from retrace.data.synthetic.sync_mnist import generate, walks
from retrace.data.synthetic.sync_render import Stamps
from retrace.errors import UserError
from retrace.plan.spec import Split, SyncMnist

HIGH, STEP = 71, 10
CLASSES, NO_PAIR = class_names(10), 45


STANDARD = {
    "digits": "scikit-learn",
    "kinds": 10,
    "canvas": 100,
    "step": STEP,
    "ink": 10,
    "unpaired": 92,
    "seed": 4,
}


def dataset(count=5, clips=100, *, split="test", frames=10, side=64, channels=1, classes=CLASSES, **rules):
    generator = SyncMnist(kind="sync_mnist", count=count, **(STANDARD | rules))
    return Split(
        dataset="sync",
        version=1,
        split=split,
        clips=clips,
        frames=frames,
        side=side,
        channels=channels,
        classes=classes,
        generator=generator,
    )


def uneven_labels(images=1000):
    """Labels with the digits in unequal shares, as MNIST has them."""
    shares = np.arange(6, 16) / np.arange(6, 16).sum()
    return np.random.default_rng(5).choice(10, images, p=shares).astype(np.uint8)


@pytest.fixture(scope="module")
def stamps():
    """Random images in random ink, some of which do not reach white."""
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (60, 28, 28), dtype=np.uint8) * (rng.random((60, 28, 28)) < 0.3)
    images[::3] = np.minimum(images[::3], 254 - 4 * np.arange(20)[:, None, None]).astype(np.uint8)
    return images, Stamps(images, np.arange(60) % 10, ink=10)


@pytest.fixture(scope="module", params=[3, 5])
def many(request):
    """Many videos' draws, of 3 and of 5 digits, and the labels of the images they are from."""
    labels = uneven_labels()
    return draw(dataset(request.param).generator, "train", 0, 40_000, labels), labels


def chi_square(counts, expected):
    """Return how many standard deviations chi-square lies above its mean; what cannot be, must not be."""
    assert not counts[expected == 0].any()
    counts, expected = counts[expected > 0], expected[expected > 0]
    degrees = len(counts) - 1
    return (((counts - expected) ** 2 / expected).sum() - degrees) / np.sqrt(2 * degrees)


def test_labels_are_the_authors_table():
    table = {(1, 0): 0, (2, 0): 1, (2, 1): 2, (3, 0): 3, (9, 8): 44}
    assert {pair: int(label_of(*map(np.array, pair))) for pair in table} == table
    pairs = np.array([(i, j) for i in range(10) for j in range(10) if i != j])
    labels = label_of(*pairs.T)
    assert np.array_equal(labels, label_of(*pairs[:, ::-1].T))
    assert np.bincount(labels).tolist() == [2] * 45
    assert [CLASSES[label] for label in labels] == [f"{min(pair)}-{max(pair)}" for pair in pairs]
    assert (len(CLASSES), CLASSES[NO_PAIR], no_pair(10)) == (46, "none", NO_PAIR)


def test_with_fewer_kinds_of_digits_the_same_pairs_have_the_same_labels():
    labels = uneven_labels()
    generator = dataset(3, kinds=4).generator
    draws = draw(generator, "train", 0, 20_000, labels)
    digits = labels[draws.image_ND].astype(int)
    assert np.array_equal(draws.image_ND[:, 0], np.resize(np.flatnonzero(labels < 4), 20_000))
    assert set(np.unique(digits)) == {0, 1, 2, 3}
    assert (np.diff(np.sort(digits, axis=1), axis=1) > 0).all()
    paired = draws.label_N != no_pair(4)
    assert np.array_equal(draws.label_N[paired], label_of(*digits[paired, :2].T))
    assert class_names(4) == (*CLASSES[: no_pair(4)], "none")
    images = np.bincount(draws.image_ND[:, 1], minlength=len(labels))
    p = np.bincount(labels, minlength=4)[:4] / (labels < 4).sum()
    expected = 20_000 * ((1 - p) / 3 / p / (labels < 4).sum())[np.minimum(labels, 3)] * (labels < 4)
    assert chi_square(images, expected) < 5


def test_a_video_needs_as_many_kinds_as_digits():
    with pytest.raises(ValidationError, match="3 different digits needs as many kinds"):
        dataset(3, kinds=2)


def test_a_video_begins_with_its_own_image_and_has_different_digits(many):
    draws, labels = many
    assert np.array_equal(draws.image_ND[:, 0], np.arange(40_000) % len(labels))
    digits = np.sort(labels[draws.image_ND], axis=1)
    assert (np.diff(digits.astype(int), axis=1) > 0).all()


def test_the_other_digits_and_their_images_are_drawn_evenly(many):
    draws, labels = many
    shares = np.bincount(labels, minlength=10) / len(labels)
    for place in range(1, draws.image_ND.shape[1]):
        digits = np.bincount(labels[draws.image_ND[:, place]], minlength=10)
        assert chi_square(digits, 40_000 * (1 - shares) / 9) < 5
        expected = 40_000 * ((1 - shares) / 9 / (shares * len(labels)))[labels]
        assert chi_square(np.bincount(draws.image_ND[:, place], minlength=len(labels)), expected) < 5


def test_classes_have_the_shares_that_follow_from_those_of_the_digits(many):
    draws, labels = many
    p = np.bincount(labels, minlength=10) / len(labels)
    expected = np.array([(p[i] + p[j]) / 9 for i in range(10) for j in range(i)]) * 91 / 92
    counts = np.bincount(draws.label_N, minlength=46)
    assert chi_square(counts, 40_000 * np.append(expected, 1 / 92)) < 5
    assert counts[NO_PAIR] / 40_000 == pytest.approx(1 / 92, abs=3 * np.sqrt(1 / 92 / 40_000))
    pair = labels[draws.image_ND[:, :2]].astype(int)
    named = np.array([(i, j) for i in range(10) for j in range(i)])[draws.label_N[draws.label_N < NO_PAIR]]
    assert np.array_equal(np.sort(pair[draws.label_N < NO_PAIR], axis=1)[:, ::-1], named)


def test_exactly_the_named_pair_moves_alike(many):
    draws, _ = many
    steps_NTD2 = np.diff(draws.corner_NTD2, axis=1)
    alike = (steps_NTD2[:, :, 0] == steps_NTD2[:, :, 1]).all(axis=(1, 2))
    assert np.array_equal(alike, draws.label_N != NO_PAIR)
    assert not (steps_NTD2[:, :, 1] == steps_NTD2[:, :, 2]).all(axis=(1, 2)).any()
    assert (draws.corner_NTD2.min(), draws.corner_NTD2.max()) == (0, HIGH)
    assert (steps_NTD2.min(), steps_NTD2.max()) == (-STEP, STEP - 1)


def walk_of(low_S, high_S, frames=10):
    """Return P(position, step) before each of some steps on each of S intervals, the start being uniform.

    Shape (frames, S, HIGH + 1, 2 * STEP), worked out over all positions.
    """
    a = np.arange(HIGH + 1)
    inside = (a >= low_S[:, None]) & (a <= high_S[:, None])
    now = inside / (HIGH + 1) ** 2
    steps = np.arange(-STEP, STEP)
    lo = np.maximum(low_S[:, None] - a, -STEP)[..., None]
    hi = np.minimum(high_S[:, None] - a, STEP)[..., None]
    move = ((steps >= lo) & (steps < hi)) / np.maximum(hi - lo, 1)
    move[..., STEP] += (lo >= hi)[..., 0]
    joint = []
    for _ in range(frames):
        joint.append(now[..., None] * move)
        after = np.zeros_like(now)
        for index, step in enumerate(steps):
            part = joint[-1][..., index]
            target = slice(max(step, 0), HIGH + 1 + min(step, 0))
            after[:, target] += part[:, max(-step, 0) : HIGH + 1 - max(step, 0)]
        now = after
    return np.stack(joint)


def pair_walk():
    """A pair with offset d walks as one digit does on the interval that both allow."""
    offsets = np.arange(-HIGH, HIGH + 1)
    return walk_of(np.maximum(0, -offsets), np.minimum(HIGH, HIGH - offsets))


def lone_walk():
    return walk_of(np.array([0]), np.array([HIGH])) * (HIGH + 1)


def moments(joint):
    """Return mean absolute step, standard deviation and mean of the steps between shown frames."""
    steps, p = np.arange(-STEP, STEP), joint[1:].sum(axis=(0, 1, 2)) / 9
    mean = (p * steps).sum()
    return (p * abs(steps)).sum(), np.sqrt((p * steps**2).sum() - mean**2), mean


@pytest.mark.parametrize(
    ("walk", "measured"), [(pair_walk, (4.660, 5.486, -0.257)), (lone_walk, (4.848, 5.640, -0.351))]
)
def test_the_rules_give_the_statistics_of_the_authors_test_set(walk, measured):
    assert walk().sum() == pytest.approx(10)
    assert moments(walk()) == pytest.approx(measured, abs=0.03)


def test_steps_and_places_have_the_distribution_that_the_rules_give(many):
    draws, _ = many
    steps_NTD2 = np.diff(draws.corner_NTD2[draws.label_N < NO_PAIR], axis=1)
    for digit, joint in ((0, pair_walk()), (2, lone_walk())):
        for t in (0, 8):
            counts = np.bincount(steps_NTD2[:, t, digit].ravel() + STEP, minlength=2 * STEP)
            assert chi_square(counts, joint[t + 1].sum(axis=(0, 1)) * counts.sum()) < 5
    lone = lone_walk().sum(axis=(1, 3))
    for t in (0, 8):
        counts = np.bincount(draws.corner_NTD2[:, t, 2].ravel(), minlength=HIGH + 1)
        assert chi_square(counts, lone[t + 1] * counts.sum()) < 5


def test_five_digits_drift_towards_the_origin_as_in_the_authors_test_set():
    corner_NTD2 = draw(dataset().generator, "train", 0, 40_000, uneven_labels()).corner_NTD2
    assert corner_NTD2[:, [0, 9]].mean(axis=(0, 2, 3)) == pytest.approx([34.9, 32.1], abs=0.15)
    assert corner_NTD2[:, [0, 9]].std(axis=(0, 2, 3)) == pytest.approx([20.4, 19.7], abs=0.1)


def by_pillow(draws, images, canvas, side, ink=10):
    """One frame at a time, as SciPy 1.2 stretched and resized it."""
    frames = []
    for chosen, corners_D2 in ((n, at) for n, walk in enumerate(draws.corner_NTD2) for at in walk):
        sheet = np.zeros((canvas, canvas), int)
        for image, (row, column) in zip(images[draws.image_ND[chosen]], corners_D2, strict=True):
            window = sheet[row : row + 28, column : column + 28]
            window[image >= ink] = image[image >= ink]
        grey = (sheet * (255 / max(sheet.max(), 1)) + 0.5).astype(np.uint8)
        frames.append(np.asarray(Image.fromarray(grey).resize((side, side), Image.Resampling.BILINEAR)))
    return np.stack(frames).reshape(*draws.corner_NTD2.shape[:2], side, side)


@pytest.mark.parametrize(
    ("count", "canvas", "side", "frames"),
    [(5, 100, 64, 10), (3, 100, 64, 7), (2, 60, 32, 3), (10, 90, 90, 1)],
)
def test_frames_are_what_pillow_makes_of_each_one_alone(stamps, count, canvas, side, frames):
    images, cut = stamps
    split = dataset(count, canvas=canvas, side=side, frames=frames)
    clips, _ = generate(split, 0, 45, cut)
    apart = np.abs(by_pillow(walks(split, 0, 45, cut), images, canvas, side).astype(int) - clips)
    assert clips.dtype == np.uint8
    assert apart.max() <= 2
    assert (apart > 1).mean() < 1e-4  # ties are rounded differently, once along each axis
    assert (apart == 0).mean() > 0.99


@shapes.needs_mnist
def test_pixels_have_the_statistics_of_the_authors_test_set():
    images = shapes.mnist_test_digits()
    labels = gzip.decompress((shapes._MNIST_TEST.parent / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:]
    cut = Stamps(images, np.frombuffer(labels, np.uint8), ink=10)
    counts, highest = np.zeros(256, int), 255
    for start in range(0, 10_000, 1000):
        clips, _ = generate(dataset(frames=3), start, start + 1000, cut)
        counts += np.bincount(clips.ravel(), minlength=256)
        highest = min(highest, int(clips.max(axis=(2, 3)).min()))
    grey, shares = np.arange(256), counts / counts.sum()
    mean = (shares * grey).sum()
    assert mean == pytest.approx(12.629, abs=0.05)
    assert np.sqrt((shares * grey**2).sum() - mean**2) == pytest.approx(45.646, abs=0.1)
    assert 1 - shares[0] == pytest.approx(0.1132, abs=0.0005)
    assert highest == pytest.approx(228, abs=10)


@pytest.mark.parametrize("count", [3, 5])
def test_a_clip_does_not_depend_on_how_many_are_made_or_in_what_order(stamps, count):
    _, cut = stamps
    split = dataset(count)
    whole, labels = generate(split, 0, 70, cut)
    for start, stop in ((33, 70), (0, 1), (5, 38)):
        clips, some = generate(split, start, stop, cut)
        assert np.array_equal(clips, whole[start:stop])
        assert np.array_equal(some, labels[start:stop])
    shorter, _ = generate(dataset(count, frames=4, clips=10), 0, 70, cut)
    assert np.array_equal(shorter, whole[:, :4])


def test_splits_and_seeds_have_clips_of_their_own(stamps):
    _, cut = stamps
    kinds = [dataset(), dataset(split="train"), dataset(split="val"), dataset(seed=5)]
    made = [generate(kind, 0, 20, cut)[0].tobytes() for kind in kinds]
    assert len(set(made)) == len(made)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"frames": 11}, "frames is 11; expected at most 10"),
        ({"side": 101}, "side is 101; expected at most 100"),
        ({"channels": 3}, "channels is 3; expected 1"),
        ({"classes": CLASSES[::-1]}, "classes are"),
        ({"canvas": 29}, r"generator\.canvas: 5 digits of 28 pixels need a canvas of at least 63 pixels"),
    ],
)
def test_what_cannot_be_made_is_refused(stamps, wrong, message):
    with pytest.raises(UserError, match=message):
        generate(dataset(**({"side": 16} | wrong)), 0, 2, stamps[1])


def test_a_digit_without_an_image_is_named():
    cut = Stamps(np.full((9, 28, 28), 255, np.uint8), np.arange(9), ink=10)
    with pytest.raises(UserError, match="no image of the digit 9"):
        generate(dataset(), 0, 2, cut)


def test_a_split_is_made_with_its_audit_and_pictures_that_stay_small(tmp_path):
    made = dataset(3, clips=600, frames=5, side=32)
    make_split(made, tmp_path, None)
    clips = np.load(tmp_path / "clips.npy")
    audit = json.loads((tmp_path / "audit.json").read_text())
    assert clips.shape == (600, 5, 32, 32)
    assert audit["sha256"] == hashlib.sha256((tmp_path / "clips.npy").read_bytes()).hexdigest()
    assert audit["digits"] == {"source": "scikit-learn", "images": 597}
    assert sum(audit["class_counts"].values()) == 600
    with Image.open(tmp_path / "contact-sheet.png") as sheet:
        assert sheet.height < 3000
    with Image.open(tmp_path / "preview.gif") as animation:
        assert animation.width < 1000
    make_split(made.model_copy(update={"clips": 70}), tmp_path / "less", None)
    assert np.array_equal(np.load(tmp_path / "less" / "clips.npy"), clips[:70])
