"""The plan: what work the pages add up to, and what it is called."""

import hashlib
import itertools
import json
import random
import shutil

import pytest

from pages import MODELS, ROOT, SEEDS, SIZES, SOURCES, copy_pages, edit, position, runs
from retrace.errors import UserError
from retrace.plan import config, counted, fingerprint, specs
from retrace.plan.cell import CostCell
from retrace.plan.expand import Cell
from retrace.plan.identity import canonical, digest
from retrace.plan.layout import run_folder, split_folder, view_folder
from retrace.plan.page import Side
from retrace.plan.plan import Plan, target
from retrace.plan.spec import Split

HARDWARE = {"device", "gpu", "gpus", "threads", "workers", "nodes", "micro_batch", "path", "folder"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The first paper alone, for reading."""
    return copy_pages(tmp_path_factory.mktemp("pages") / "root")


@pytest.fixture(scope="module")
def full(root):
    return Plan(root, "paper")


# The work


def test_the_temporal_shape_grid_is_400_runs(full):
    grid = runs(full, "figure-2", "figure-3", "figure-4")
    assert len(grid) == 400
    assert {position(run) for run in grid.values()} == set(itertools.product(SOURCES, MODELS, SIZES, SEEDS))
    assert grid.keys() <= full.runs.keys()


def test_figures_share_runs(full):
    two, three, four = (runs(full, f"figure-{n}").keys() for n in (2, 3, 4))
    assert (len(two), len(three), len(four)) == (200, 200, 300)
    assert len(two & four) == len(three & four) == 150
    assert not two & three
    assert len(two | four) == 350


def test_a_run_has_all_its_views_once(full):
    for name, run in runs(full, "figure-2", "figure-3", "figure-4").items():
        source = run.train.dataset.removeprefix("temporal-shape-")
        assert [view.name for view in full.views[name].values()] == [f"from-{source}"]


def test_splits_are_all_that_runs_train_on_and_views_ask(full):
    splits = [s for s in full.splits.values() if s.dataset.startswith("temporal-shape")]
    found = {(s.dataset, s.split, s.clips) for s in splits}
    sources = {(source, split, n) for source in SOURCES for split, n in (("train", 4000), ("val", 1000))}
    targets = {(f"temporal-shape-{domain}", "test", 500) for domain in ("2dot", "5dot", "mnist", "mnist-bg")}
    assert found == sources | targets


def test_counted_cells_need_no_run(full):
    cells = full.cells("rac", "table-8")
    assert len(cells) == 40
    assert all(isinstance(cell.definition, CostCell) and not cell.runs for cell in cells)
    assert len(counted.costs(full, "rac")) == 40 + 6  # and the models of Table 9


# Identity


def shuffled(value, rng):
    if isinstance(value, dict):
        keys = rng.sample(list(value), len(value))
        return {key: shuffled(value[key], rng) for key in keys}
    return [shuffled(item, rng) for item in value] if isinstance(value, list) else value


def test_identity_does_not_depend_on_the_order_of_keys(full):
    assert canonical({"b": [1, 2.5], "a": None}) == '{"a":null,"b":[1,2.5]}'
    assert digest({"b": [1, 2.5], "a": "é"}) == hashlib.sha256(b'{"a":"\\u00e9","b":[1,2.5]}').hexdigest()[:8]
    rng = random.Random(0)
    for run in itertools.islice(full.runs.values(), 20):
        plain = run.model_dump(mode="json")
        assert json.loads(canonical(plain)) == plain
        assert digest(shuffled(plain, rng)) == digest(run)


def test_what_is_no_number_has_no_identity():
    with pytest.raises(ValueError):
        canonical({"lr": float("nan")})


def test_a_run_s_name_covers_its_seed_its_data_and_its_parent(full):
    run = next(run for run in full.runs.values() if isinstance(run.train, Split))
    generator = run.train.generator.model_copy(update={"seed": run.train.generator.seed + 1})
    others = [
        run.model_copy(update=change)
        for change in (
            {"seed": run.seed + 1},
            {"parent": "1a2b3c4d"},
            {"parent": "1a2b3c4e"},
            {"recipe": run.recipe + 1},
            {"train": run.train.model_copy(update={"generator": generator})},
            {"val": run.val.model_copy(update={"clips": run.val.clips + 1})},
        )
    ]
    assert len({digest(other) for other in (run, *others)}) == 7


def test_hardware_and_configuration_are_no_part_of_a_run(root, tmp_path):
    shutil.copytree(root, tmp_path / "root")
    edit(tmp_path / "root", config.FILE, "mnist: data/mnist", "mnist: /elsewhere")
    settings = [config.load(folder) for folder in (root, tmp_path / "root")]
    plans = [Plan(folder, "tiny") for folder in (root, tmp_path / "root")]
    assert settings[0] != settings[1]
    assert plans[0].runs == plans[1].runs
    assert fingerprint.of_page(plans[0]) == fingerprint.of_page(plans[1])
    keys = set(json.dumps([run.model_dump() for run in plans[0].runs.values()]).split('"'))
    assert keys.isdisjoint(HARDWARE | config.Config.model_fields.keys() - {"mnist"})


def test_a_scale_that_changes_nothing_shares_every_run(full, root):
    (root / "scales/same.yaml").write_text("title: Same\nsays: Nothing.\ncomparable: true\n")
    assert Plan(root, "same").runs == full.runs


# Claims


def test_a_side_selects_what_it_names_and_all_of_what_it_leaves_out(full):
    side = Side(of="figure-4", panel=("2Dot-MNIST", "2Dot-MNIST-bg"), series="convlstm")
    chosen = full.side_cells("rac", "any", side)
    assert chosen == tuple(
        cell
        for cell in full.cells("rac", "figure-4")
        if dict(cell.place.axes)["series"] == "convlstm"
        and dict(cell.place.axes)["panel"] in ("2Dot-MNIST", "2Dot-MNIST-bg")
    )
    assert len(chosen) == 2 * len(SIZES)


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        (Side(of="figure-44"), "of: there is no table or figure 'figure-44'; did you mean 'figure-4'?"),
        (Side(of="figure-1"), "of: figure-1 has no cells"),
        (
            Side(of="figure-4", series="convltsm"),
            "series: figure-4 has no series 'convltsm'; did you mean 'convlstm'?",
        ),
        (
            Side(of="figure-4", x=("2", "3")),
            "x: figure-4 has no x '3'; did you mean '32'?",
        ),
        (Side(of="figure-4", row="2"), "row: figure-4 has no row '2'; its axes: panel, series, x"),
        (Side(of="table-8", x="2"), "x: table-8 has no x '2'; its axes: row, column"),
        (Side(of="figure-4", panel=()), "panel: selects no cell of figure-4"),
    ],
    ids=str,
)
def test_a_side_that_selects_nothing_is_a_mistake(full, side, expected):
    with pytest.raises(UserError) as caught:
        full.side_cells("rac", "no-such-claim", side)
    assert str(caught.value).endswith(f": claims.no-such-claim.{expected}")


# All papers


@pytest.fixture(scope="module")
def everything():
    return Plan(ROOT, "paper")


def test_every_claim_selects_cells(everything):
    everything.check()
    for paper, content in everything.papers.items():
        for key, claim in content.claims.items():
            sides = [side for c in claim.comparisons for side in (*c.more, *c.less)]
            assert all(everything.side_cells(paper, key, side) for side in sides)
            assert bool(sides) != bool(claim.not_run)


def seeds_of(cell: Cell) -> set[int]:
    return {run.seed for run in cell.runs}


def trained_on_temporal_shape(plan: Plan) -> set[tuple]:
    return {position(run) for run in plan.runs.values() if run.train.dataset in SOURCES}


def test_the_demo_is_a_part_of_the_whole(everything):
    demo = Plan(ROOT, "demo")
    assert (demo.papers, demo.datasets) == (everything.papers, everything.datasets)
    cells = list(zip(demo.all_cells(), everything.all_cells(), strict=True))
    assert all(here.place == there.place and here.published == there.published for here, there in cells)
    assert all(there.runs for here, there in cells if here.runs)
    assert all(seeds_of(here) <= seeds_of(there) for here, there in cells if here.runs)
    assert trained_on_temporal_shape(demo) < trained_on_temporal_shape(everything)
    assert all(counted.costs(demo, paper) == counted.costs(everything, paper) for paper in demo.papers)


def test_every_table_and_figure_has_a_target_of_its_own(everything):
    names = [target(paper, key) for paper in everything.papers for key in everything.items(paper)]
    assert len(set(names)) == len(names)
    assert {"rac_table_8", "rac_figure_2"} <= set(names)


# Specs


def test_specs_are_read_back_as_they_were_and_land_in_the_same_folder(root):
    plan = Plan(root, "tiny")
    specs.write(plan)
    for name, run in plan.runs.items():
        found = specs.read_run(root / run_folder(run) / "spec.json")
        assert found == run
        assert run_folder(found) == run_folder(run)
        for view in plan.views[name].values():
            found = specs.read_view(root / view_folder(run, view) / "view.json")
            assert found == view
            assert view_folder(run, found) == view_folder(run, view)
    for split in plan.splits.values():
        found = specs.read_split(root / split_folder(split) / "split.json")
        assert found == split
        assert split_folder(found) == split_folder(split)


def test_specs_that_are_there_are_left_alone(root):
    plan = Plan(root, "tiny")
    specs.write(plan)
    path = root / run_folder(next(iter(plan.runs.values()))) / "spec.json"
    before = path.stat()
    specs.write(plan)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_spec_in_a_foreign_folder_is_refused(root, tmp_path):
    plan = Plan(root, "tiny")
    specs.write(plan)
    name, run = next(iter(plan.runs.items()))
    shutil.copy(root / run_folder(run) / "spec.json", tmp_path / "spec.json")
    with pytest.raises(UserError, match=f"this spec belongs into a folder named {name}"):
        specs.read_run(tmp_path / "spec.json")
    with pytest.raises(UserError, match=r"view.json: cannot be read: No such file"):
        specs.read_view(tmp_path / "view.json")


# Names that people type


def test_unknown_names_get_the_nearest(full):
    with pytest.raises(UserError, match=r"^unknown paper 'rca'; did you mean 'rac'\?$"):
        full.item("rca", "table-8")
    with pytest.raises(UserError, match=r"^rac has no table or figure 'tabel-8'; did you mean 'table-8'\?$"):
        full.cells("rac", "tabel-8")


@pytest.mark.parametrize(
    ("page", "old", "new", "said"),
    [
        ("rac", "data: temporal-shape-2dot", "data: mini-ssv2", "has videos, and protocol 'temporal_shape'"),
        (
            "deep_analysis",
            "data: mini-ssv2",
            "data: temporal-shape-2dot",
            "has generated clips, and protocol",
        ),
        ("deep_analysis", "data: mini-ssv2", "data: diving48-v1", "has no split 'val' to train with"),
        ("deep_analysis", "parent: mini_8", "parent: mini_9", "unknown protocol 'mini_9'; did you mean"),
        ("deep_analysis", "parent: mini_8", "parent: mini_16", "goes round: mini_16 from mini_16"),
    ],
)
def test_data_that_does_not_fit_its_protocol_is_named(tmp_path, page, old, new, said):
    for folder in ("papers", "datasets", "segmenters", "scales"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    edit(tmp_path, f"papers/{page}.yaml", old, new)
    with pytest.raises(UserError, match=said) as raised:
        Plan(tmp_path, "paper").check()
    assert str(raised.value).startswith(f"papers/{page}.yaml:")
