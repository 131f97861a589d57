"""The loader: the same stream of clips however many workers make it, and no silent substitute."""

import gc
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from retrace.data import loader as loading
from retrace.data import sampling, transforms
from retrace.data.decode import decode
from retrace.data.frame_order import frame_order
from retrace.data.loader import Batch, Loader, Train, Videos, of_rank
from retrace.errors import UserError
from retrace.plan import clip as views
from retrace.plan.clip import TrainClip, flips
from retrace.train.order import epoch_batches
from store import CLASSES, prepare, write_page, write_videos

OPEN_FILES = Path("/proc/self/fd")
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
PIXELS = {"side": 24, "filter": "bilinear", "antialias": True, "colour": "rgb", **IMAGENET}
TRAIN = TrainClip.model_validate(
    {
        **PIXELS,
        "sampling": {"kind": "uniform", "frames": 4},
        "resize": None,
        "crop": {"kind": "multi-scale", "scales": (1, 0.875, 0.75, 0.66)},
        "flip": {"probability": 0.5, "rule": "page"},
        "brightness": 0,
    }
)
TEST = views.TestClip.model_validate(
    {
        **PIXELS,
        "sampling": {"kind": "uniform", "frames": 4, "shifts": "code"},
        "clips": 2,
        "resize": {"kind": "short-side", "pixels": 28},
        "crops": {"kind": "three", "offset": "quarters"},
    }
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    user = write_videos(tmp_path_factory.mktemp("user"))
    return prepare(write_page(tmp_path_factory.mktemp("root")), user)


@pytest.fixture(scope="module")
def videos(prepared) -> Videos:
    return Videos(prepared.folder, "train", prepared.frames)


def training(videos: Videos, seed: int = 7) -> Train:
    return Train(videos, TRAIN, flips(CLASSES, "allow", ()), seed)


def batches(epoch: int, seed: int = 7, batch: int = 4) -> list[np.ndarray]:
    return epoch_batches(9, batch, drop_last=False, seed=seed, epoch=epoch)


def stream(loader: Loader, epochs: int = 2, seed: int = 7) -> list[Batch]:
    return [batch for epoch in range(epochs) for batch in loader.epoch(batches(epoch, seed), epoch)]


def same(ours: list[Batch], theirs: list[Batch]) -> bool:
    return len(ours) == len(theirs) and all(
        (a.indices_B == b.indices_B).all() and torch.equal(a.x, b.x) and torch.equal(a.labels_B, b.labels_B)
        for a, b in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_the_stream_is_the_same_for_any_number_of_workers(videos, workers):
    assert same(stream(Loader(training(videos), workers)), stream(Loader(training(videos), 0)))


def test_the_stream_goes_on_after_a_resume_as_it_would_have(videos):
    whole = [*Loader(training(videos), 0).epoch(batches(5), 5)]
    assert same([*Loader(training(videos), 1).epoch(batches(5)[2:], 5)], whole[2:])


def test_a_small_set_is_decoded_once_and_gives_the_same_clips(prepared, videos, monkeypatch):
    decoded = []
    monkeypatch.setattr(loading, "decode", lambda path, which: decoded.append(path) or decode(path, which))
    kept = Videos(prepared.folder, "train", prepared.frames, keep=True)
    ours, theirs = stream(Loader(training(kept), 0), epochs=3), stream(Loader(training(videos), 0), epochs=3)
    assert same(ours, theirs)
    assert len(decoded) == 9 + 3 * 9
    monkeypatch.setattr(loading, "KEPT", 1)
    large = Videos(prepared.folder, "train", prepared.frames, keep=True)
    assert same(stream(Loader(training(large), 0), epochs=3), theirs)
    assert len(decoded) == 9 + 2 * 3 * 9


def test_a_loader_left_in_the_middle_of_an_epoch_starts_the_next_one_afresh(videos):
    loader = Loader(training(videos), 2)
    next(loader.epoch(batches(0), 0))
    assert same([*loader.epoch(batches(1), 1)], [*Loader(training(videos), 0).epoch(batches(1), 1)])


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_the_ranks_together_see_each_global_batch(videos, ranks):
    whole = [*Loader(training(videos), 0).epoch(batches(0), 0)]
    parts = [
        [*Loader(training(videos), 0).epoch(of_rank(batches(0), rank, ranks), 0)] for rank in range(ranks)
    ]
    assert [len(batch.x) for batch in whole] == [4, 4, 1]  # the last one leaves ranks with nothing
    for step, batch in enumerate(whole):
        assert torch.equal(torch.cat([part[step].x for part in parts]), batch.x)
        assert torch.equal(torch.cat([part[step].labels_B for part in parts]), batch.labels_B)


def test_epochs_and_seeds_differ_and_nothing_else_matters(videos):
    everything = [np.arange(9)]
    first, again, later = (next(Loader(training(videos), 0).epoch(everything, e)).x for e in (0, 0, 1))
    other = next(Loader(training(videos, seed=8), 0).epoch(everything, 0)).x
    alone = torch.cat([b.x for b in Loader(training(videos), 0).epoch([np.array([i]) for i in range(9)], 0)])
    assert torch.equal(first, again) and torch.equal(first, alone)
    assert not torch.equal(first, later) and not torch.equal(first, other)


def test_a_training_clip_is_what_decoding_sampling_and_cropping_give(videos):
    got = next(Loader(training(videos), 0).epoch([np.array([5])], 3))
    rng = np.random.default_rng([7, 3, 5])
    chosen = sampling.train_indices(TRAIN.sampling, int(videos.n_frames_N[5]), 25.0, rng)
    clip = torch.from_numpy(decode(videos.path(5), chosen)).permute(0, 3, 1, 2)
    x, label = transforms.train_transform(TRAIN, clip, rng, int(videos.labels_N[5]), (0, 1, 2))
    assert torch.equal(got.x[0], x) and got.labels_B.tolist() == [label]
    assert got.x.dtype == torch.uint8 and got.x.shape == (1, 4, 3, 24, 24) and got.x.is_contiguous()


@pytest.mark.parametrize("order", ["forward", "reversed", "shuffled", "single"])
def test_a_test_shows_every_crop_of_every_clip_in_the_order_asked_for(videos, order):
    got = next(Loader(loading.Test(videos, TEST, order), 0).epoch([np.array([2, 6])]))
    assert got.x.shape == (2, 6, 4, 3, 24, 24)
    for place, index in enumerate((2, 6)):
        clips = sampling.test_indices(TEST.sampling, int(videos.n_frames_N[index]), 25.0, 2)
        shown = frame_order(order, 4, videos.ids[index])
        for number, chosen in enumerate(clips):
            clip = torch.from_numpy(decode(videos.path(index), chosen[shown])).permute(0, 3, 1, 2)
            crops = transforms.test_crops(TEST, clip)
            for crop in range(3):
                assert torch.equal(got.x[place, 2 * crop + number], crops[crop])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("harm", ["gone", "cut", "other"])
def test_a_broken_file_is_named_and_never_replaced(prepared, tmp_path, workers, harm):
    frames = tmp_path / "frames"
    shutil.copytree(prepared.frames, frames)
    videos = Videos(prepared.folder, "train", frames)
    path = videos.path(4)
    match harm:
        case "gone":
            path.unlink()
        case "cut":
            path.write_bytes(path.read_bytes()[:-300])
        case "other":
            path.write_text("not a video")
    seen = []
    with pytest.raises(UserError) as raised:
        for batch in Loader(training(videos), workers).epoch(
            [np.array([0, 1]), np.array([4]), np.array([5])]
        ):
            seen.append(batch.indices_B.tolist())
    assert str(path) in str(raised.value) and "Traceback" not in str(raised.value)
    assert seen == [[0, 1]]


def test_a_long_epoch_leaves_no_file_open_and_the_waiting_is_counted(videos):
    loader = Loader(training(videos), 0)
    gc.collect()
    files = len([*OPEN_FILES.iterdir()])
    for _ in loader.epoch([np.array([i % 9]) for i in range(150)]):
        pass
    assert len([*OPEN_FILES.iterdir()]) == files
    assert 0 < loader.waited_s <= loader.seconds
    assert loader.waiting_share() > 0.9  # a consumer that does nothing only waits


def test_a_split_without_videos_is_a_clear_error(prepared):
    with pytest.raises(UserError, match=r"videos\.parquet has no video of split 'test'"):
        Videos(prepared.folder, "test", prepared.frames)
    with pytest.raises(UserError, match="cannot be read"):
        Videos(prepared.folder / "nowhere", "train", prepared.frames)
