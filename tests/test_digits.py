"""Digit images: the right file, the right layout, no image in both source and target."""

import gzip
import struct
import urllib.error

import numpy as np
import pytest
from sklearn.datasets import load_digits as bundled

from retrace.data.synthetic.digits import load_digits, load_labels
from retrace.errors import UserError

TRAIN, TEST = "train-images-idx3-ubyte", "t10k-images-idx3-ubyte"


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)


@pytest.fixture
def offline(monkeypatch):
    def refuse(*_, **__):
        raise urllib.error.URLError("no network here")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


def idx(images):
    return struct.pack(">4i", 2051, *images.shape) + images.tobytes()


@pytest.mark.parametrize(("split", "name"), [("train", TRAIN), ("val", TRAIN), ("test", TEST)])
def test_source_splits_read_train_images_and_the_target_reads_test_images(tmp_path, images, split, name):
    (tmp_path / name).write_bytes(idx(images))
    assert np.array_equal(load_digits("mnist", split, tmp_path), images)


@pytest.mark.parametrize("folder", ["", "MNIST/raw"])
def test_packed_files_are_read_where_they_lie(tmp_path, images, folder):
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / folder / f"{TEST}.gz").write_bytes(gzip.compress(idx(images)))
    assert np.array_equal(load_digits("mnist", "test", tmp_path), images)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_missing_file_is_named(tmp_path, offline, images, split):
    there, missing = (TRAIN, TEST) if split == "test" else (TEST, TRAIN)
    (tmp_path / there).write_bytes(idx(images))
    with pytest.raises(UserError, match=missing):
        load_digits("mnist", split, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [there]
    with pytest.raises(UserError, match=missing):
        load_digits("mnist", split, None)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (TEST, b""),
        (TEST, b"not an idx file"),
        (TEST, idx(np.zeros((2, 28, 28), np.uint8))[:-1]),
        (TEST, idx(np.zeros((2, 27, 28), np.uint8))),
        (f"{TEST}.gz", b"not packed"),
        (f"{TEST}.gz", gzip.compress(b"x" * 1000, mtime=0)[:-9]),
    ],
)
def test_a_broken_file_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=TEST):
        load_digits("mnist", "test", tmp_path)


def test_scikit_learn_digits_of_source_and_target_are_disjoint():
    source, target = (load_digits("scikit-learn", split, None) for split in ("train", "test"))
    assert len(source) == 1200
    assert len(source) + len(target) == len(bundled().images)
    assert not {image.tobytes() for image in source} & {image.tobytes() for image in target}
    assert np.array_equal(load_digits("scikit-learn", "val", None), source)


def test_scikit_learn_digits_look_like_mnist():
    digits = load_digits("scikit-learn", "test", None)
    assert digits.shape == (597, 28, 28)
    assert digits.dtype == np.uint8
    assert digits.max() == 255
    inside = digits[:, 4:24, 4:24]
    assert inside.sum() == digits.sum()
    coarse = inside.reshape(597, 4, 5, 4, 5).mean(axis=(2, 4))
    theirs = bundled().images[1200:].reshape(597, 4, 2, 4, 2).mean(axis=(2, 4)) * 255 / 16
    assert np.corrcoef(coarse.ravel(), theirs.ravel())[0, 1] > 0.99


def test_labels_belong_to_their_images(tmp_path):
    labels = np.array([3, 0, 9], np.uint8)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, 3) + labels.tobytes())
    assert np.array_equal(load_labels("mnist", "test", tmp_path), labels)
    assert np.array_equal(load_labels("scikit-learn", "train", None), bundled().target[:1200])
    assert np.array_equal(load_labels("scikit-learn", "test", None), bundled().target[1200:])


@pytest.mark.parametrize(
    "content", [b"", struct.pack(">2i", 2049, 2) + b"\x03\x0a", idx(np.zeros((2, 28, 28), np.uint8))]
)
def test_a_broken_file_of_labels_is_named(tmp_path, content):
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(content)
    with pytest.raises(UserError, match="train-labels-idx1-ubyte"):
        load_labels("mnist", "val", tmp_path)
