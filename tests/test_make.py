"""A made split: what is written agrees with the generator, twice the same, whole or not at all."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from retrace.data import make
from retrace.data.make import make_split
from retrace.data.synthetic.digits import load_digits
from retrace.data.synthetic.temporal_shape import generate
from retrace.errors import UserError
from shapes import domain, split

FILES = {"clips.npy", "manifest.parquet", "audit.json", "contact-sheet.png", "preview.gif"}
DIGITS_BG = split(domain("digit", 14, 0.5).model_copy(update={"digits": "scikit-learn"}), frames=5, side=16)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("split") / "new"
    make_split(DIGITS_BG, folder, None)
    return folder


def test_two_calls_write_identical_bytes_whatever_the_chunks(made, tmp_path, monkeypatch):
    monkeypatch.setattr(make, "_CHUNK", 33)
    make_split(DIGITS_BG, tmp_path, None)
    assert {path.name for path in made.iterdir()} == FILES
    for name in FILES:
        assert (made / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_clips_and_manifest_are_the_generators(made):
    clips, labels = generate(DIGITS_BG, 0, 100, load_digits("scikit-learn", "test", None))
    assert np.array_equal(np.load(made / "clips.npy"), clips)
    manifest = pd.read_parquet(made / "manifest.parquet")
    assert manifest["id"].tolist()[:2] == ["test-000000", "test-000001"]
    assert manifest["index"].tolist() == list(range(100))
    assert manifest["label"].tolist() == labels.tolist()
    assert manifest["class"].tolist() == [DIGITS_BG.classes[label] for label in labels]


def test_the_audit_describes_the_file(made):
    audit = json.loads((made / "audit.json").read_text())
    clips, labels = np.load(made / "clips.npy"), pd.read_parquet(made / "manifest.parquet")["class"]
    assert audit["sha256"] == hashlib.sha256((made / "clips.npy").read_bytes()).hexdigest()
    assert audit["mean_grey"] == pytest.approx(clips.mean())
    assert audit["class_counts"] == labels.value_counts().to_dict()
    assert audit["digits"] == {"source": "scikit-learn", "images": 597}


def test_the_audit_counts_blank_frames(tmp_path):
    dots = split(domain("dot", 5))
    make_split(dots, tmp_path, None)
    blank = (np.load(tmp_path / "clips.npy") == 0).all(axis=(2, 3)).mean()
    assert blank > 0
    assert json.loads((tmp_path / "audit.json").read_text())["blank_frame_share"] == blank


def test_pictures_show_the_clips(made):
    clips, labels = np.load(made / "clips.npy"), pd.read_parquet(made / "manifest.parquet")["label"]
    circles = labels[labels == 0].index
    sheet = np.asarray(Image.open(made / "contact-sheet.png"))
    first = clips[circles[0], 0].repeat(6, axis=0).repeat(6, axis=1)
    assert any(np.array_equal(sheet[y : y + 96, 100:196], first) for y in range(40))
    with Image.open(made / "preview.gif") as animation:
        assert animation.n_frames == 5
        assert animation.info["duration"] == 320
        assert animation.info["loop"] == 0


def test_a_split_too_small_for_all_classes_can_be_made(tmp_path):
    make_split(split(domain()).model_copy(update={"clips": 1}), tmp_path, None)
    assert {path.name for path in tmp_path.iterdir()} == FILES


def test_nothing_half_written_is_left_behind(tmp_path, monkeypatch):
    def broken(wanted, start, stop, digits):
        if start:
            raise KeyboardInterrupt
        return generate(wanted, start, stop, digits)

    monkeypatch.setattr(make, "_CHUNK", 50)
    monkeypatch.setattr(make, "generate", broken)
    with pytest.raises(KeyboardInterrupt):
        make_split(DIGITS_BG, tmp_path, None)
    assert list(tmp_path.iterdir()) == []


def test_a_digit_domain_without_a_source_of_digits_is_refused(tmp_path):
    nameless = split(domain("digit", 14).model_copy(update={"digits": None}))
    with pytest.raises(UserError, match=r"generator\.digits"):
        make_split(nameless, tmp_path, None)
