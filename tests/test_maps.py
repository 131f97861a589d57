"""Maps: which videos are shown, what is kept of them, and what a figure makes of it."""
# ruff: noqa: F811

from pathlib import Path

import numpy as np
import pytest
import torch

from retrace.data import feed
from retrace.errors import UserError
from retrace.evaluate import rollout
from retrace.evaluate.maps import draw_maps, first_of_each_class
from retrace.evaluate.pictures import Pictures
from retrace.models import registry
from retrace.plan.identity import maps_name
from retrace.plan.maps import Maps
from retrace.plan.model import TimeSformerVit
from retrace.plan.spec import Run
from retrace.report.maps import heated
from retrace.train.loop import train
from retrace.train.weights import read_weights
from test_loader import TEST
from test_video_runs import collection, place, run_on, view_of  # noqa: F401 (fixtures)

SIZES = {
    "width": 8,
    "layers": 2,
    "heads": 2,
    "patch": 12,
    "mlp_ratio": 2,
    "qkv_bias": True,
    "drop_path": 0.0,
    "init_std": 0.02,
    "time_std": 0.0,
}


def asked(collection, videos: int = 2) -> Maps:
    view = view_of(collection)
    return Maps.model_validate({"map": {"kind": "rollout"}, "videos": videos, "domain": "own", "view": view})


def trained(collection) -> Run:
    model = TimeSformerVit(family="timesformer-vit", attention="time-first", **SIZES)
    run = run_on(collection, epochs=1).model_copy(update={"model": model})
    train(run, Path("run"))
    return run


def test_the_file_holds_the_middle_clip_of_each_video_as_the_model_sees_it(collection):
    run, maps, out = trained(collection[1]), asked(collection[1]), Path("run/maps/some")
    draw_maps(run, Path("run"), maps, out)
    kept = Pictures.read(out / "maps.npz")
    model = registry.build(run.model, classes=3, channels=3, frames=4, side=24).eval()
    model.load_state_dict(read_weights(Path("run/weights.safetensors"))[0])
    shown = feed.testing(run.val, TEST, "forward", torch.device("cpu"), 0)
    assert kept.labels_N.tolist() == [0, 1] and kept.frames_NTHWC.shape == (2, 4, 24, 24, 3)
    for index, name in enumerate(kept.ids):
        number = shown.ids.index(name)
        ((x_BVTCHW, labels_B),) = shown.batches([np.array([number])], 0)
        x_BTCHW = x_BVTCHW[:, 3]  # of 2 clips x 3 crops
        mean, std = (torch.tensor(getattr(TEST, key))[:, None, None] for key in ("mean", "std"))
        frames = torch.from_numpy(kept.frames_NTHWC[index]).permute(0, 3, 1, 2)
        torch.testing.assert_close((frames / 255 - mean) / std, x_BTCHW[0])
        expected = rollout.heat(model, x_BTCHW)[0].numpy()
        np.testing.assert_allclose(kept.maps_NTRC["attention rollout"][index], expected, rtol=1e-5)
        assert labels_B.item() == kept.labels_N[index]
        with torch.no_grad():
            assert model(x_BTCHW).argmax().item() == kept.answers_N[index]


def test_made_again_it_is_the_same_file(collection):
    run, maps = trained(collection[1]), asked(collection[1])
    for out in ("a", "b"):
        draw_maps(run, Path("run"), maps, Path(out))
    assert Path("a/maps.npz").read_bytes() == Path("b/maps.npz").read_bytes()


def test_the_first_video_by_id_of_each_class_is_shown(collection):
    split = view_of(collection[1]).domains["own"]  # three classes
    ids, labels_N = ["d", "c", "b", "a", "e"], np.array([2, 0, 2, 0, 1])
    assert first_of_each_class(labels_N, ids, 3, split).tolist() == [3, 4, 2]
    assert first_of_each_class(labels_N, ids, 2, split).tolist() == [3, 4]
    only_two = np.array([2, 0, 2, 0, 0])
    assert first_of_each_class(only_two, ids, 2, split).tolist() == [3, 2]
    with pytest.raises(UserError, match="2 classes have a video, maps ask for 3"):
        first_of_each_class(only_two, ids, 3, split)


def test_a_rollout_of_another_family_is_refused(collection):
    run = run_on(collection[1], epochs=1)
    train(run, Path("run"))
    with pytest.raises(UserError, match="family timesformer-vit, not a Cnn3d"):
        draw_maps(run, Path("run"), asked(collection[1]), Path("out"))


def test_other_questions_have_other_names(collection):
    names = {maps_name(asked(collection[1], videos)) for videos in (1, 2)}
    assert len(names) == 2 and all(name.startswith("rollout-") for name in names)


def test_a_damaged_file_is_told(tmp_path):
    (tmp_path / "maps.npz").write_bytes(b"PK\x03\x04 no more")
    with pytest.raises(UserError, match="is not a file of maps"):
        Pictures.read(tmp_path / "maps.npz")


def test_heat_is_bright_where_the_map_is_large_and_nowhere_else():
    frames = np.full((2, 8, 8, 3), 128, np.uint8)
    maps = np.zeros((2, 2, 2))
    maps[1, 0, 1] = 0.5  # the later frame, top right
    heat = heated(frames, maps).astype(int).sum(-1)
    assert (heat[0] == heat[0, 0, 0]).all()
    assert heat[1, 0, 7] == heat[1].max() and heat[1, 0, 7] > 2 * heat[0, 0, 0]
    assert heat[1, 7, 0] == heat[0, 0, 0]


def test_equal_weights_of_whole_frames_tint_them_alike():
    frames = np.zeros((3, 4, 6, 3), np.uint8)
    heat = heated(frames, np.full((3, 1, 1), 0.2))
    assert heat.shape == frames.shape and (heat == heat[0, 0, 0]).all()
