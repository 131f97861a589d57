"""Weights matched by validation accuracy: by a curve made by hand, kept through stops, asked by views."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from pydantic import ValidationError

from retrace.errors import UserError
from retrace.evaluate.score import score
from retrace.plan.identity import digest
from retrace.plan.layout import weights_file
from retrace.plan.spec import Matched, VideoProtocol, VideoView
from retrace.train.loop import Training, train
from retrace.train.matching import MONITOR, nearest_epochs
from retrace.train.weights import read_weights
from store import prepare, write_page, write_videos
from test_video_runs import run_on, view_of
from toy import interrupt, results

WANTED = (0.3, 0.45, 0.9)
CURVE = (0.1, 0.4, 0.25, 0.35, 0.5, 0.45)
"""Validated accuracies: 0.3 is nearest at epochs 3 and 4, 0.45 at 6, 0.9 at 5."""
MATCHED = {0.3: 3, 0.45: 6, 0.9: 5}


def history(*values: float) -> list[dict]:
    return [{"epoch": epoch, MONITOR: value} for epoch, value in enumerate(values, start=1)]


def matched_run(collection, **changes):
    return run_on(collection[1], epochs=len(CURVE), patience=len(CURVE), matched=WANTED, **changes)


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    return root, prepare(write_page(root), write_videos(tmp_path_factory.mktemp("user"))).collection


@pytest.fixture(autouse=True)
def place(collection, tmp_path, monkeypatch):
    """A folder of its own for every test, in which the prepared videos are."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results/data").symlink_to(collection[0] / "results/data")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def curve(monkeypatch):
    """Make every run validate along CURVE; keep what the model was after each epoch."""
    seen: dict[int, dict[str, torch.Tensor]] = {}

    def val_top1(self: Training) -> float:
        seen[self.progress.epochs + 1] = {k: v.clone() for k, v in self.model.state_dict().items()}
        return CURVE[self.progress.epochs]

    monkeypatch.setattr(Training, "val_top1", val_top1)
    return seen


def files(folder: Path) -> dict[str, bytes]:
    names = [weights_file(accuracy) for accuracy in WANTED]
    return results(folder) | {name: (folder / name).read_bytes() for name in names}


def test_each_accuracy_is_matched_by_the_nearest_epoch_and_of_two_by_the_first():
    assert nearest_epochs(history(*CURVE), WANTED) == MATCHED
    assert nearest_epochs(history(0.2), WANTED) == dict.fromkeys(WANTED, 1)
    assert nearest_epochs(history(0.325, 0.275), [0.3]) == {0.3: 1}  # in binary, the second is nearer
    assert nearest_epochs(history(0.1), ()) == {}


def test_the_weights_of_the_nearest_epochs_lie_beside_those_of_the_end(collection, curve):
    run, folder = matched_run(collection, select="best_val"), Path("run")
    train(run, folder)
    for accuracy, epoch in {**MATCHED, None: 5}.items():
        weights, origin = read_weights(folder / weights_file(accuracy))
        assert (origin.run, origin.epoch) == (digest(run), epoch)
        assert weights.keys() == curve[epoch].keys()
        assert all(torch.equal(tensor, curve[epoch][name]) for name, tensor in weights.items())


def test_the_report_of_the_training_says_what_matched_and_how_well(collection, curve):
    train(matched_run(collection), Path("run"))
    told = json.loads(Path("run/train.json").read_text())["matched"]
    assert [(one["accuracy"], one["epoch"], one[MONITOR]) for one in told] == [
        (0.3, 3, 0.25),
        (0.45, 6, 0.45),
        (0.9, 5, 0.5),
    ]


def test_stopped_after_each_step_it_keeps_the_same_weights(collection, curve):
    run = matched_run(collection)
    train(run, Path("whole"))
    for _ in range(3 * len(CURVE)):
        interrupt(run, Path("stopped"), steps=1)
    train(run, Path("stopped"))
    assert files(Path("stopped")) == files(Path("whole"))


def test_no_more_weights_are_carried_along_than_are_nearest_to_something(collection, curve, monkeypatch):
    carried = []
    close = Training.close_epoch

    def closed(self: Training) -> None:
        close(self)
        carried.append(sorted(self.progress.matched_weights))

    monkeypatch.setattr(Training, "close_epoch", closed)
    train(matched_run(collection), Path("run"))
    assert carried == [[1], [2], [2, 3], [2, 3], [2, 3, 5], [3, 5, 6]]


def test_a_run_that_matches_nothing_leaves_what_it_always_left(collection):
    train(run_on(collection[1]), Path("run"))
    assert not list(Path("run").glob("matched-*"))
    assert "matched" not in Path("run/train.json").read_text()


def test_a_view_asks_the_weights_of_its_accuracy(collection, curve):
    run = matched_run(collection)
    train(run, Path("run"))
    at = Matched(accuracy=0.3, within=0.1)
    scores = {}
    for name, asked in (("end", None), ("matched", at)):
        view = VideoView.model_validate(view_of(collection[1]).model_dump() | {"name": name, "at": asked})
        score(run, Path("run"), view, Path(name))
        scores[name] = pq.read_table(f"{name}/scores.parquet").to_pandas()
    shorter = run_on(collection[1], epochs=MATCHED[0.3], patience=len(CURVE))
    train(shorter, Path("shorter"))
    score(shorter, Path("shorter"), view_of(collection[1]), Path("third"))
    third = pq.read_table("third/scores.parquet").to_pandas()
    assert scores["matched"].equals(third)
    assert not scores["end"].equals(third)


def test_weights_that_are_not_there_are_missed_by_name(collection):
    run = run_on(collection[1])
    train(run, Path("run"))
    at = Matched(accuracy=0.3, within=0.1)
    view = view_of(collection[1]).model_copy(update={"at": at})
    with pytest.raises(UserError, match=r"matched-0\.3\.safetensors is missing"):
        score(run, Path("run"), view, Path("run/views/x"))


def test_runs_and_views_without_it_say_nothing_of_it(collection):
    """Their hashes are on record."""
    assert "matched" not in run_on(collection[1]).model_dump(mode="json")["protocol"]
    assert "at" not in view_of(collection[1]).model_dump(mode="json")
    protocol = matched_run(collection).protocol
    again = VideoProtocol.model_validate(protocol.model_dump(mode="json"))
    assert again == protocol and again.matched == WANTED


@pytest.mark.parametrize(
    ("matched", "message"), [((), "at least 1"), ((0.3, 0.3), "stands there twice"), ((30,), "less than or")]
)
def test_accuracies_that_make_no_sense_are_refused(collection, matched, message):
    with pytest.raises(ValidationError, match=message):
        run_on(collection[1], matched=matched)
