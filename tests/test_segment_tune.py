"""Fine-tuning: it learns, keeps the best epoch, tells how good it is, and survives being killed."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from retrace.errors import UserError
from retrace.plan.identity import digest
from retrace.segment import tune
from retrace.segment.frames import divided, read_frames
from retrace.segment.metrics import scores
from retrace.segment.model import detect
from retrace.segment.outputs import read_trained
from retrace.segment.tune import FineTuning, fine_tune
from retrace.train.exits import EXIT_RESUME
from segments import segmenter, write_frames

SAME = ("weights.safetensors", "segmenter.json", "overlays.png", "curve.png")


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    return read_frames(write_frames(tmp_path_factory.mktemp("frames") / "frames"))


@pytest.fixture(scope="module")
def done(frames, tmp_path_factory) -> Path:
    """The folder of a fine-tuning that nothing disturbed."""
    folder = tmp_path_factory.mktemp("done") / "run"
    fine_tune(segmenter(), frames, folder, published=0.93)
    return folder


def results(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in SAME}


def summary(folder: Path) -> dict:
    return json.loads((folder / "segmenter.json").read_text())


def test_it_learns_to_find_bars(frames, tmp_path):
    quick = {"name": "adam", "lr": 0.006, "weight_decay": 0}
    fine_tune(segmenter(epochs=30, patience=30, flip=0.0, optimizer=quick), frames, tmp_path)
    told = summary(tmp_path)
    assert told["untrained"]["box_iou"] < 0.4 and told["untrained"]["mask_iou"] < 0.2
    assert told["best"]["box_iou"] > 0.55 and told["best"]["mask_iou"] > 0.4


def test_what_it_leaves_behind(frames, done):
    told = summary(done)
    assert told["segmenter"] == digest(segmenter())
    assert (told["epochs"], told["steps"], told["stopped"]) == (2, 6, "epochs")
    assert told["published"] == {"box_iou": 0.93}
    curves = told["by_epoch"]
    assert told["best_epoch"] == 1 + max(range(2), key=lambda epoch: curves["box_iou"][epoch])
    assert told["best"] == {name: values[told["best_epoch"] - 1] for name, values in curves.items()}
    for name in ("curve.png", "overlays.png"):
        with Image.open(done / name) as picture:
            assert picture.width > 300 and len(picture.convert("RGB").getcolors(1 << 20)) > 20
    assert json.loads((done / "env.json").read_text())["device"] == "cpu"
    assert not (done / "checkpoint").exists() and not (done / "failure.json").exists()


def test_the_weights_are_those_of_the_best_epoch(frames, done):
    _, val = divided(frames, segmenter().frames)
    model = read_trained(done, segmenter())
    found = [
        one for start in (0, 2) for one in detect(model, [f.image_3HW / 255 for f in val[start : start + 2]])
    ]
    assert scores(found, val, 2) == summary(done)["best"]


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(frames, done, tmp_path):
    fine_tune(segmenter(), frames, tmp_path / "again", published=0.93)
    assert results(tmp_path / "again") == results(done)
    fine_tune(segmenter(seed=2), frames, tmp_path / "other", published=0.93)
    one, other = (load_file(folder / "weights.safetensors") for folder in (done, tmp_path / "other"))
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_killed_at_every_step_it_ends_with_the_same_bytes(frames, done, tmp_path, monkeypatch, number):
    step, taken = FineTuning.step, []

    def killed(self, batch):
        loss = step(self, batch)
        taken.append(loss)
        os.kill(os.getpid(), number)
        return loss

    monkeypatch.setattr(FineTuning, "step", killed)
    for _ in range(6):
        with pytest.raises(SystemExit) as stopped:
            fine_tune(segmenter(), frames, tmp_path, published=0.93)
        assert stopped.value.code == EXIT_RESUME
        assert not (tmp_path / "weights.safetensors").exists()
    monkeypatch.undo()
    fine_tune(segmenter(), frames, tmp_path, published=0.93)
    assert len(taken) == 6
    assert results(tmp_path) == results(done)


def test_killed_while_it_looks_at_validation_frames_it_ends_with_the_same_bytes(
    frames, done, tmp_path, monkeypatch
):
    look, looks = tune.detect, []

    def killed(model, images):
        looks.append(len(images))
        if len(looks) in (2, 4, 7):
            os.kill(os.getpid(), signal.SIGTERM)
        return look(model, images)

    monkeypatch.setattr(tune, "detect", killed)
    for _ in range(3):
        with pytest.raises(SystemExit):
            fine_tune(segmenter(), frames, tmp_path, published=0.93)
    fine_tune(segmenter(), frames, tmp_path, published=0.93)
    assert results(tmp_path) == results(done)


def test_a_loss_that_is_not_finite_stops_it_with_a_reason(frames, tmp_path):
    with pytest.raises(UserError, match=r"the loss is .* the learning rate 1e\+30 may be too high"):
        fine_tune(segmenter(optimizer={"name": "adam", "lr": 1e30, "weight_decay": 0}), frames, tmp_path)
    assert "learning rate" in json.loads((tmp_path / "failure.json").read_text())["reason"]


def test_weights_of_another_segmenter_are_refused(done):
    with pytest.raises(UserError, match="holds the weights of"):
        read_trained(done, segmenter(seed=2))


def test_patience_ends_it_early(frames, tmp_path, monkeypatch):
    monkeypatch.setattr(tune, "scores", lambda *_: {"box_iou": 0.5, "diver_box_iou": 0.1, "mask_iou": 0.1})
    fine_tune(segmenter(epochs=9, patience=2), frames, tmp_path)
    told = summary(tmp_path)
    assert (told["epochs"], told["best_epoch"], told["stopped"]) == (3, 1, "patience")
