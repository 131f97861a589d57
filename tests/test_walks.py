"""Figure 2 of RSTG: where the digits of a video are, and the arrows that say so."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.quiver import Quiver

from pages import ROOT
from retrace.data.make import make_split
from retrace.data.synthetic.sync_draws import class_names
from retrace.data.walks import write_walks
from retrace.errors import UserError
from retrace.plan.expand import cells_of
from retrace.plan.layout import split_folder
from retrace.plan.plan import Plan
from retrace.plan.spec import Split, SyncMnist
from retrace.plan.specs import specs
from retrace.report.paths import ALONE, PAIRED, draw, points
from retrace.report.walks import Walks

VIDEOS, FRAMES = 12, 4


@pytest.fixture(scope="module")
def split():
    generator = SyncMnist(
        kind="sync_mnist",
        digits="scikit-learn",
        kinds=10,
        count=3,
        canvas=100,
        step=10,
        ink=10,
        unpaired=3,
        seed=1,
    )
    return Split(
        dataset="sync",
        version=1,
        split="test",
        clips=VIDEOS,
        frames=FRAMES,
        side=64,
        channels=1,
        classes=class_names(10),
        generator=generator,
    )


@pytest.fixture(scope="module")
def walks(split, tmp_path_factory):
    path = tmp_path_factory.mktemp("walks") / "walks.npz"
    write_walks(split, VIDEOS, path, None)
    return Walks.read(path, split)


def test_the_videos_are_the_first_of_the_split(split, walks, tmp_path):
    make_split(split, tmp_path, None)
    assert np.array_equal(np.load(tmp_path / "clips.npy"), walks.frames_NTHW)


def test_the_ink_of_a_frame_lies_around_the_middles_of_its_digits(walks):
    """All digits of a frame together have their centre of mass near the mean of the middles."""
    weight_NTHW = walks.frames_NTHW / walks.frames_NTHW.sum(axis=(2, 3), keepdims=True)
    place = (np.arange(64) + 0.5) * walks.canvas / 64
    row_NT, column_NT = (weight_NTHW.sum(axis=3) @ place), (weight_NTHW.sum(axis=2) @ place)
    middle_NT2 = walks.middles_NTD2.mean(axis=2)
    apart_NT = np.hypot(row_NT - middle_NT2[..., 0], column_NT - middle_NT2[..., 1])
    assert np.median(apart_NT) < 4
    assert apart_NT.max() < 14  # where digits cover each other


def test_just_the_two_that_move_alike_are_paired(walks):
    steps_NTD2 = np.diff(walks.middles_NTD2, axis=1)
    alike_N = (steps_NTD2[:, :, 0] == steps_NTD2[:, :, 1]).all(axis=(1, 2))
    assert np.array_equal(walks.paired_ND, alike_N[:, None] & [True, True, False])
    assert np.array_equal(alike_N, np.array(walks.classes) != "none")
    assert 0 < alike_N.sum() < VIDEOS


def test_arrows_lead_along_the_way_so_far_green_for_the_pair_and_red_for_others(walks):
    drawing = draw("a title", ["a caption", "a note"], walks)
    tiles = np.array(drawing.axes).reshape(VIDEOS, FRAMES)
    for video, row in enumerate(tiles):
        for frame, ax in enumerate(row):
            arrows = [a for a in ax.collections if isinstance(a, Quiver)]
            assert len(arrows) == (3 if frame else 0)
            colours = [tuple(a.get_facecolor()[0][:3]) for a in arrows]
            paired = int(walks.paired_ND[video].sum())
            assert colours == [to_rgb(ALONE)] * (len(arrows) - paired) + [to_rgb(PAIRED)] * min(
                len(arrows), paired
            )
            for a in arrows:
                ends_S2 = np.column_stack([a.Y + a.V, a.X + a.U])
                assert len(ends_S2) == frame
                ways = walks.middles_NTD2[video, 1 : frame + 1]
                assert any(np.array_equal(ends_S2, ways[:, digit]) for digit in range(3))


def test_the_points_are_every_middle_of_every_frame(walks):
    table = points(walks)
    assert len(table) == VIDEOS * FRAMES * 3
    one = table[(table["video"] == 5) & (table["digit"] == 2) & (table["frame"] == 3)].iloc[0]
    assert (one["row"], one["column"]) == tuple(walks.middles_NTD2[5, 3, 2])
    assert one["class"] == walks.classes[5]
    assert not table[table["class"] == "none"]["paired"].any()


def test_a_damaged_file_is_named(split, tmp_path):
    (tmp_path / "walks.npz").write_bytes(b"no zip")
    with pytest.raises(UserError, match=r"walks\.npz is damaged"):
        Walks.read(tmp_path / "walks.npz", split)


# As a cell of a figure


@pytest.fixture(scope="module", params=["paper", "demo"])
def plan(request):
    return Plan(ROOT, request.param)


def test_the_figure_shows_the_test_split_of_five_digits_and_trains_nothing(plan):
    (cell,) = plan.cells("rstg", "figure-2")
    assert (cell.walks.dataset, cell.walks.split, cell.runs) == ("sync-mnist-5", "test", ())
    paths = {path.as_posix() for path, _ in specs(plan)}
    assert f"{split_folder(cell.walks).as_posix()}/split.json" in paths


def test_what_is_not_printed_of_the_dataset_stands_with_the_figure(plan):
    (cell,) = plan.cells("rstg", "figure-2")
    keys = {".".join(map(str, assumption.key)) for assumption in plan.assumptions(cell)}
    assert {"generator.canvas", "generator.step", "generator.seed", "frames", "side"} <= keys


def test_what_the_scale_makes_of_the_datasets_is_told(plan):
    told = {change.where: change.here for change in plan.changes() if change.paper == "rstg"}
    if plan.scale == "paper":
        assert told == {}
    else:
        assert told["datasets.sync-mnist-5.generator.digits"] == "scikit-learn"
        assert told["datasets.sync-mnist-3.generator.kinds"] == 3
        assert not any(where.startswith("datasets.temporal-shape") for where in told)


def test_paths_are_drawn_of_walking_digits_alone():
    cell = {"measure": "paths", "data": "temporal-shape-2dot", "split": "test", "videos": 1}
    plan = Plan(ROOT, "paper")
    shelf = plan._shelves["rstg"]
    figure = shelf.page.figures["figure-2"].model_copy(update={"cell": cell})
    page = shelf.page.model_copy(update={"figures": {"figure-2": figure}})
    with pytest.raises(UserError, match="unknown dataset of walking digits 'temporal-shape-2dot'"):
        cells_of(shelf._replace(page=page), "figure-2")
