"""Temporal Shape against the authors' generator (checksums measured with their code) and its statistics."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from authors_draws import authors_draws
from retrace.data.synthetic.draws import CLASSES, draw
from retrace.data.synthetic.render import compose, compress, paint
from retrace.data.synthetic.temporal_shape import generate
from retrace.data.synthetic.trajectories import bounce, trajectories, velocities
from retrace.errors import UserError
from shapes import NEW_SEEDS, domain, mnist_test_digits, needs_mnist, random_digits, split


def authors_frames(generator, clips, digits=None):
    """Return draws, frames before JPEG and after it, both (clips * 20, 64, 64)."""
    draws = authors_draws(generator, clips, 0 if digits is None else len(digits))
    scene = compose(draws, trajectories(draws, generator), generator, digits)
    frames = paint(scene)
    return draws, frames, compress(scene, frames, generator.jpeg_quality)


def sha256(array):
    return hashlib.sha256(array.tobytes()).hexdigest()


def bounced(draws, generator):
    """Which clips meet a wall, also in the step after their last frame."""
    steps_NT2 = velocities(draws, generator)
    steps_NT2 = np.concatenate([steps_NT2, np.zeros_like(steps_NT2[:, :1])], axis=1)
    free = draws.start[:, None] + np.cumsum(steps_NT2, axis=1) - steps_NT2
    return (np.abs(bounce(draws.start, steps_NT2, 64 - generator.size) - free) > 1e-6).any(axis=(1, 2))


def per_class(values, label):
    return [float(values[label == index].mean()) for index in range(5)]


def test_the_authors_draws_give_the_authors_2dot_frames_byte_for_byte():
    draws, frames, decoded = authors_frames(domain("dot", 2), 200)
    assert draws.label[:20].tolist() == [4, 3, 1, 4, 4, 2, 0, 1, 1, 0, 0, 4, 2, 4, 4, 3, 3, 1, 2, 4]
    assert sha256(frames) == "357ff07d4f2b52c50c20b8a6dc3818da200f62fe2d517f3e7563e9738cffcbad"
    assert sha256(decoded) == "03d7b074fbfe7c8cc164e7e9870e88a11a21a61d386b94f0ff7f5420b1d2d258"


@needs_mnist
def test_the_authors_draws_give_the_authors_mnist_frames_byte_for_byte():
    draws, frames, decoded = authors_frames(domain("digit", 14), 200, mnist_test_digits())
    assert draws.label[:20].tolist() == [4, 3, 2, 4, 2, 0, 4, 3, 4, 2, 4, 3, 3, 3, 2, 3, 4, 0, 3, 4]
    assert sha256(frames) == "189b0e1744c6d20faab9d8b70da25218502777e6432c66efa5690f8248bc9932"
    assert sha256(decoded) == "6ad33ff3e1eae6381f6921905a71b15ecf8b306a6213a41f6368356b1798baa6"


@pytest.mark.parametrize(
    ("size", "counts", "blank", "mean", "white", "bounces"),
    [
        (2, [1035, 1011, 966, 1003, 985], 593, 0.557, 0.002184, [0, 0.0584, 0.6791, 0.0329, 0.2162]),
        (5, [1005, 995, 985, 1038, 977], 895, 1.5425, 0.006049, [0, 0.0472, 0.6873, 0.0279, 0.217]),
    ],
)
def test_the_authors_draws_give_the_authors_figures_for_5000_dot_clips(
    size, counts, blank, mean, white, bounces
):
    generator = domain("dot", size)
    draws = authors_draws(generator, 5000)
    positions_NT2 = trajectories(draws, generator)
    parts = np.split(np.arange(5000), 50)
    scenes = (compose(draws.take(rows), positions_NT2[rows], generator, None) for rows in parts)
    figures = [(f.mean(), (f == 255).mean(), (~f.any(axis=(1, 2))).sum()) for f in map(paint, scenes)]
    ours_mean, ours_white, ours_blank = np.array(figures).T
    assert np.bincount(draws.label).tolist() == counts
    assert ours_blank.sum() == blank
    assert ours_mean.mean() == pytest.approx(mean, abs=5e-5)
    assert ours_white.mean() == pytest.approx(white, abs=5e-7)
    assert per_class(bounced(draws, generator), draws.label) == pytest.approx(bounces, abs=5e-5)


@needs_mnist
def test_the_authors_draws_give_the_authors_figures_for_150_mnist_bg_clips():
    generator = domain("digit", 14, background=0.5, noise_seeds=NEW_SEEDS)
    draws, frames, _ = authors_frames(generator, 150, mnist_test_digits())
    assert np.bincount(draws.label).tolist() == [42, 27, 26, 21, 34]
    assert frames.mean() == pytest.approx(10.1527, abs=5e-5)
    assert (frames == 255).mean() == pytest.approx(0.000932, abs=5e-7)
    assert per_class(bounced(draws, generator), draws.label) == pytest.approx(
        [0, 0.1852, 0.7308, 0.0476, 0.5588], abs=5e-5
    )


@pytest.mark.parametrize(
    "generator",
    [
        domain("dot", 2),
        domain("dot", 5, quality=10),  # here black itself does not come back as black
        domain("digit", 14),
        domain("digit", 14, background=0.5),
        domain("digit", 9, background=1.0, noise_seeds=NEW_SEEDS, quality=90),
    ],
    ids=["2Dot", "5Dot-q10", "MNIST", "MNIST-bg", "small-digit-bg"],
)
def test_frames_are_what_pillow_makes_of_each_one_alone(generator):
    _, frames, decoded = authors_frames(
        generator, 6, random_digits() if generator.symbol == "digit" else None
    )
    for frame, ours in zip(frames, decoded, strict=True):
        file = io.BytesIO()
        Image.fromarray(frame).save(file, "JPEG", quality=generator.jpeg_quality)
        assert np.array_equal(np.asarray(Image.open(file)), ours)


@pytest.mark.parametrize(
    ("generator", "digits"),
    [(domain("dot", 2), None), (domain("digit", 14, background=0.5, noise_seeds=NEW_SEEDS), random_digits())],
    ids=["2Dot", "MNIST-bg"],
)
def test_a_clip_does_not_depend_on_how_many_are_made_or_in_what_order(generator, digits):
    whole, labels = generate(split(generator), 0, 70, digits)
    for start, stop in ((69, 70), (3, 10), (60, 68), (0, 1)):
        clips, some = generate(split(generator), start, stop, digits)
        assert np.array_equal(clips, whole[start:stop])
        assert np.array_equal(some, labels[start:stop])


def test_splits_and_seeds_share_no_draws():
    starts = [
        draw(domain(seed=seed), name, 0, 1000, 0).start
        for seed in (0, 1)
        for name in ("train", "val", "test")
    ]
    for i, one in enumerate(starts):
        for other in starts[:i]:
            assert (one == other).all(axis=1).mean() < 0.02


def test_the_random_stream_is_pinned():
    draws = draw(domain("digit", 14, background=0.5, seed=7), "train", 1000, 1004, 60_000)
    assert draws.label.tolist() == [3, 0, 4, 4]
    assert draws.digit.tolist() == [27595, 16898, 31739, 28475]


@pytest.mark.parametrize(
    ("symbol", "size", "bounces"),
    [
        ("dot", 2, [0, 0.0584, 0.6791, 0.0329, 0.2162]),
        ("dot", 5, [0, 0.0472, 0.6873, 0.0279, 0.217]),
        ("digit", 14, [0, 0.2376, 0.7376, 0.0588, 0.5127]),
    ],
)
def test_classes_are_uniform_and_bounces_as_frequent_as_the_authors(symbol, size, bounces):
    clips = 20_000
    generator = domain(symbol, size)
    draws = draw(generator, "train", 0, clips, 100)
    assert np.bincount(draws.label) / clips == pytest.approx([0.2] * 5, abs=4 * np.sqrt(0.16 / clips))
    ours = np.array(per_class(bounced(draws, generator), draws.label))
    theirs = np.array(bounces)
    clips_per_class = 1000 if symbol == "dot" else 400
    error = np.sqrt(theirs * (1 - theirs) * (1 / clips_per_class + 5 / clips))
    assert (np.abs(ours - theirs) <= 4 * error).all()


@pytest.mark.parametrize(("size", "blank", "mean"), [(2, 0.00593, 0.557), (5, 0.00895, 1.5425)])
def test_blank_frames_and_grey_level_of_dots_are_as_the_authors(size, blank, mean):
    generator = domain("dot", size)
    draws = draw(generator, "test", 0, 3000, 0)
    corners = np.trunc(trajectories(draws, generator)) - size // 2
    hidden_NT = (corners < 0).any(axis=2)
    share = hidden_NT.mean(axis=1)
    error = share.std() * np.sqrt(1 / 3000 + 1 / 5000)
    assert share.mean() == pytest.approx(blank, abs=4 * error)
    frames = paint(compose(draws, trajectories(draws, generator), generator, None))
    assert np.array_equal(~frames.any(axis=(1, 2)), hidden_NT.ravel())
    assert frames.mean() == pytest.approx(mean, abs=4 * error * mean)


@needs_mnist
@pytest.mark.parametrize(("background", "mean"), [(0.0, 1.68), (0.5, 10.15)])
def test_grey_level_of_digits_is_as_the_authors(background, mean):
    clips = 400
    generator = domain("digit", 14, background=background)
    draws = draw(generator, "test", 0, clips, 10_000)
    scene = compose(draws, trajectories(draws, generator), generator, mnist_test_digits())
    grey_N = paint(scene).reshape(clips, -1).mean(axis=1)
    assert grey_N.mean() == pytest.approx(mean, abs=4 * grey_N.std() * np.sqrt(1 / clips + 1 / 150))


@pytest.mark.parametrize(("frames", "side"), [(10, 32), (5, 16), (1, 1), (20, 8), (4, 64)])
def test_small_clips_are_strided_frames_and_block_means(frames, side):
    generator, digits = domain("digit", 14, background=0.5), random_digits()
    native, _ = generate(split(generator), 0, 4, digits)
    small, _ = generate(split(generator, frames, side), 0, 4, digits)
    block = 64 // side
    means = native[:, :: 20 // frames].reshape(4, frames, side, block, side, block).mean(axis=(3, 5))
    assert np.array_equal(small, np.floor(means + 0.5).astype(np.uint8))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (split(domain(), frames=6), "frames is 6"),
        (split(domain(), frames=40), "frames is 40"),
        (split(domain(), side=48), "side is 48"),
        (split(domain(size=12)), "at most 11"),
        (split(domain("digit", 16)), "at most 15"),
        (split(domain(), classes=CLASSES[::-1]), "in this order"),
    ],
)
def test_what_cannot_be_delivered_is_refused(wanted, message):
    digits = random_digits() if wanted.generator.symbol == "digit" else None
    with pytest.raises(UserError, match=message):
        generate(wanted, 0, 1, digits)


@pytest.mark.parametrize(("symbol", "digits"), [("dot", random_digits(1)), ("digit", None)])
def test_digits_are_for_digit_domains_only(symbol, digits):
    with pytest.raises(UserError, match="only there"):
        generate(split(domain(symbol)), 0, 1, digits)


@pytest.mark.parametrize(("symbol", "size"), [("dot", 1), ("dot", 11), ("digit", 1), ("digit", 15)])
def test_the_smallest_and_the_largest_symbol_can_be_drawn(symbol, size):
    clips, _ = generate(split(domain(symbol, size)), 0, 40, random_digits() if symbol == "digit" else None)
    assert clips.any(axis=(1, 2, 3)).all()
