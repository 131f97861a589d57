"""Released weights beside a run: imported, scored as the run is, printed as somebody else's."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from plain_video_cnns import plain
from torch import nn

from retrace.cli import main
from retrace.data import feed
from retrace.errors import UserError
from retrace.evaluate.score import score
from retrace.files import write_text
from retrace.plan.identity import digest
from retrace.plan.layout import imported_folder, run_folder, view_folder
from retrace.plan.plan import Plan
from retrace.plan.spec import Run, VideoView
from retrace.report import index, tables
from retrace.report.why import explain
from retrace.train.weights import load_parent, read_weights
from small_plan import domain_scores, first, plant, small_plan
from store import prepare, write_page, write_videos
from test_loader import TEST
from test_video_runs import run_on, view_of
from video_cnns import kind, used

SPEC = "spec.json"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    return root, prepare(write_page(root), write_videos(tmp_path_factory.mktemp("user"))).collection


@pytest.fixture
def run(prepared, tmp_path, monkeypatch) -> Run:
    """A run of TAM, in a working folder that has its videos and its specs, and nothing trained."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results/data").symlink_to(prepared[0] / "results/data")
    monkeypatch.chdir(tmp_path)
    run = run_on(prepared[1]).model_copy(update={"model": kind("resnet18", "tam")})
    write_text(run_folder(run) / SPEC, run.model_dump_json())
    view = view_of(prepared[1])
    write_text(view_folder(run, view, imported=True) / "view.json", view.model_dump_json())
    return run


def released(path: str = "model_best.pth.tar", seed: int = 0) -> nn.Module:
    """Save a network of the release, and return it."""
    torch.manual_seed(seed)
    net = plain("resnet18", "tam", classes=3, frames=4)
    used(net)
    weights = {f"module.{name}": tensor for name, tensor in net.net.state_dict().items()}
    torch.save({"epoch": 196, "arch": "tam-resnet-18", "state_dict": weights}, path)
    return net.eval()


def import_ibm(run: Run, file: str = "model_best.pth.tar") -> None:
    main(["import-weights", "--from", "ibm", file, "--spec", str(run_folder(run) / SPEC)])


def test_a_released_network_is_asked_as_the_run_is(run, prepared, capsys):
    net, view = released(), view_of(prepared[1])
    import_ibm(run)
    said = capsys.readouterr().out
    assert "model_best.pth.tar (IBM/action-recognition-pytorch)" in said and "arch: tam-resnet-18" in said
    out = view_folder(run, view, imported=True)
    main(["score", "--spec", str(out / "view.json")])
    table = pq.read_table(out / "scores.parquet").to_pandas().set_index("id")
    shown = feed.testing(run.val, TEST, "forward", torch.device("cpu"), 0)
    with torch.inference_mode():
        for number, (x_BVTCHW, _) in enumerate(shown.batches([np.array([i]) for i in range(3)], 0)):
            expected = torch.stack([net(x_BVTCHW[:, v])[0] for v in range(6)]).mean(0)
            found = table.loc[shown.ids[number], ["logit_0", "logit_1", "logit_2"]].to_numpy(float)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * expected.abs().max())


def test_what_was_imported_is_written_down(run):
    released()
    import_ibm(run)
    told = json.loads((imported_folder(run) / "import.json").read_text())
    assert (told["release"], told["file"], told["run"]) == ("ibm", "model_best.pth.tar", digest(run))
    assert told["said"] == {"epoch": 196, "arch": "tam-resnet-18"} and len(told["sha256"]) == 64


def test_imported_weights_are_never_taken_for_trained_ones(run, prepared):
    released()
    import_ibm(run)
    folder, theirs = run_folder(run), imported_folder(run) / "weights.safetensors"
    assert read_weights(theirs)[1].run != digest(run)
    shutil.copy(theirs, folder / "weights.safetensors")
    with pytest.raises(UserError, match="imported for"):
        score(run, folder, view_of(prepared[1]), Path("out"))
    with pytest.raises(UserError, match="imported for"):
        load_parent(nn.Module(), digest(run), folder / "weights.safetensors", run.task.classes, list)


def test_another_file_takes_the_scores_of_the_first_away(run, prepared):
    released()
    import_ibm(run)
    scores = view_folder(run, view_of(prepared[1]), imported=True) / "scores.parquet"
    scores.write_bytes(b"of the first")
    released("other.pt", seed=1)
    import_ibm(run, "other.pt")
    assert not scores.exists()


def test_a_file_that_does_not_fit_leaves_everything_as_it_was(run):
    released()
    import_ibm(run)
    before = (imported_folder(run) / "weights.safetensors").read_bytes()
    torch.save({"state_dict": {"module.conv1.weight": torch.ones(1)}}, "wrong.pt")
    with pytest.raises(SystemExit, match="do not fit the run's model"):
        import_ibm(run, "wrong.pt")
    assert (imported_folder(run) / "weights.safetensors").read_bytes() == before


# In tables


def plan_with_theirs(root: Path, hits: float | None) -> tuple[Plan, Run]:
    """Return a plan with scores, and one run of the 3D CNN beside which others' weights lie, with scores."""
    plan = small_plan(root)
    plant(plan, lambda run, domain: first(0.5))
    run = next(run for name, run in plan.runs.items() if name.startswith("cnn3d-n4"))
    told = {"source": "some/release", "file": "best.pt", "sha256": "abc"}
    write_text(root / imported_folder(run) / "import.json", json.dumps(told))
    if hits is not None:
        view = next(view for view in plan.views[run_name_of(run)].values())
        plant_theirs(plan, run, view, hits)
    return plan, run


def run_name_of(run: Run) -> str:
    return run_folder(run).name


def plant_theirs(plan: Plan, run: Run, view: VideoView, hits: float) -> None:
    import pandas as pd

    folder = plan.root / view_folder(run, view, imported=True)
    folder.mkdir(parents=True)
    scores = [domain_scores(domain, first(hits)) for domain in view.domains]
    pd.concat(scores).to_parquet(folder / "scores.parquet", index=False)


def rendered(plan: Plan, suffix: str) -> str:
    tables.render(plan, "mini", "table-1")
    return (plan.root / f"results/paper/tables/mini/table-1{suffix}").read_text()


def test_tables_print_their_number_beside_ours_and_the_printed_one(tmp_path):
    plan, _ = plan_with_theirs(tmp_path, hits=0.75)
    line = next(line for line in rendered(plan, ".md").splitlines() if line.startswith("| 3D CNN"))
    assert "50.0 [" in line and "theirs 75.0 [" in line and "above +25.0" in line
    assert "the released weights of some/release, not trained here" in rendered(plan, ".md")
    head, *rows = rendered(plan, ".csv").splitlines()
    assert head.endswith("imported,imported_ci_low,imported_ci_high,imported_verdict,imported_from")
    assert rows[0].startswith("cnn3d,home,") and rows[0].endswith(",above,some/release")
    assert rows[3].startswith("convlstm,home,") and rows[3].endswith(",,,,,")
    index.render(plan)
    assert "theirs 75.0 [" in (tmp_path / "results/paper/index.html").read_text()


def test_weights_that_are_not_asked_yet_say_so(tmp_path):
    plan, _ = plan_with_theirs(tmp_path, hits=None)
    assert "some/release: no scores yet" in rendered(plan, ".md")


def test_without_imported_weights_tables_know_nothing_of_them(tmp_path):
    plan = small_plan(tmp_path)
    plant(plan, lambda run, domain: first(0.5))
    assert "imported" not in rendered(plan, ".csv") and "heirs" not in rendered(plan, ".md")


def test_where_their_number_comes_from(tmp_path):
    plan, run = plan_with_theirs(tmp_path, hits=0.75)
    text = explain(plan, "mini/table-1", ["3D CNN", "Home"])
    assert "theirs     75.0 [" in text and "above +25.0; not trained here" in text
    assert "best.pt of some/release, SHA-256 abc" in text
    assert f"{imported_folder(run)}/views/both-" in text
