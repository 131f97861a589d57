"""What a change on a page changes of the work, and what numbers rest on."""

import itertools

import pytest
import yaml

from pages import RAC, SEEDS, SIZES, SOURCES, copy_pages, edit, position, runs
from retrace.plan import fingerprint
from retrace.plan.identity import run_name
from retrace.plan.plan import Plan
from retrace.plan.video import VideoSplit

DOT = "datasets/temporal-shape-2dot.yaml"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The first paper alone, for reading."""
    return copy_pages(tmp_path_factory.mktemp("pages") / "root")


@pytest.fixture(scope="module")
def full(root):
    return Plan(root, "paper")


@pytest.fixture(scope="module")
def tiny(root):
    return Plan(root, "tiny")


@pytest.fixture
def edited(tmp_path):
    """Return a function that makes the plan at full size after replacing a text in a file."""

    def plan(old: str, new: str, file: str = RAC, scale: str = "paper") -> Plan:
        edit(copy_pages(tmp_path / "root"), file, old, new)
        return Plan(tmp_path / "root", scale)

    return plan


def fingerprints(plan):
    items = [(paper, key) for paper in plan.papers for key in plan.items(paper)]
    return {item: fingerprint.of_item(plan, *item) for item in items}


def altered(before, after):
    """Return the tables and figures whose fingerprint differs."""
    before, after = fingerprints(before), fingerprints(after)
    assert before.keys() == after.keys()
    return {key for _, key in before if before["rac", key] != after["rac", key]}


def test_a_scale_changes_the_models_of_one_family_and_no_other(edited):
    new = "    model: {layers: 2}\n    families: {timesformer: {layers: 1}}\n    datasets:"
    plan = edited("    datasets:", new, "scales/tiny.yaml", "tiny")
    assert {(run.model.family, run.model.layers) for run in plan.runs.values()} == {
        ("cnn3d", 2),
        ("timesformer", 1),
    }


# What a change on a page changes


def test_a_published_number_changes_its_table_and_no_run(full, edited):
    plan = edited("[3573, 4429, 71557, 2229]", "[3573, 4430, 71557, 2229]")
    assert altered(full, plan) == {"table-8"}
    assert plan.runs == full.runs
    assert (plan.views, plan.splits) == (full.views, full.splits)
    assert fingerprint.of_claims(plan) == fingerprint.of_claims(full)
    assert fingerprint.of_ledger(plan) == fingerprint.of_ledger(full)
    assert fingerprint.of_page(plan) != fingerprint.of_page(full)


def test_a_reason_changes_what_shows_it_and_no_run(full, edited):
    plan = edited("why: not printed; 3D CNN and ConvLSTM}", "why: the paper is silent}")
    assert altered(full, plan) == {"figure-2", "figure-3", "figure-4"}
    assert plan.runs == full.runs
    assert fingerprint.of_ledger(plan) != fingerprint.of_ledger(full)


def test_a_claim_changes_no_table(full, edited):
    plan = edited("says: On Diving48 the", "says: With Diving48 the")
    assert altered(full, plan) == set()
    assert fingerprint.of_claims(plan) != fingerprint.of_claims(full)
    assert fingerprint.of_page(plan) != fingerprint.of_page(full)


def test_what_a_scale_says_stands_under_every_table(tiny, edited):
    plan = edited("says: For tests.", "says: For the tests.", "scales/tiny.yaml", "tiny")
    assert altered(tiny, plan) == set(tiny.items("rac"))
    assert plan.runs == tiny.runs


def test_a_learning_rate_changes_the_runs_of_its_protocol(full, edited):
    own = "extends: temporal_shape\n    train:\n"
    plan = edited(own, own + "      optimizer: {lr: 0.01}\n")
    gone = [full.runs[name] for name in full.runs.keys() - plan.runs.keys()]
    come = [plan.runs[name] for name in plan.runs.keys() - full.runs.keys()]
    expected = set(itertools.product(SOURCES, ("timesformer8", "timesformer1"), SIZES, SEEDS))
    assert {position(run) for run in gone} == {position(run) for run in come} == expected
    assert {run.protocol.optimizer.lr for run in come} == {0.01}


def test_a_learning_rate_that_two_protocols_share_changes_the_runs_of_both(full, edited):
    plan = edited("lr: {value: 0.001, source: code, why: not printed for Temporal Shape}", "lr: 0.002")
    changed = runs(full, "figure-2", "figure-3", "figure-4")
    assert full.runs.keys() - plan.runs.keys() == changed.keys()
    assert len(plan.runs) == len(full.runs)


def test_a_dataset_s_seed_changes_the_runs_on_it_and_the_views_that_ask_it(full, edited):
    plan = edited("seed: {value: 20230103", "seed: {value: 20230104", DOT)
    kept = full.runs.keys() & plan.runs.keys()
    assert {position(full.runs[name])[0] for name in full.runs.keys() - kept} == {SOURCES[0]}
    others = kept - {run_name(run) for run in full.runs.values() if isinstance(run.train, VideoSplit)}
    assert {position(full.runs[name])[0] for name in others} == {SOURCES[1]}
    assert len(others) == 200
    assert all(full.views[name].keys().isdisjoint(plan.views[name]) for name in others)


def test_words_about_a_dataset_change_no_run(full, edited):
    plan = edited("title: Temporal Shape, 2Dot", "title: Two dots", DOT)
    assert plan.runs == full.runs
    assert plan.views == full.views
    assert fingerprint.of_page(plan) != fingerprint.of_page(full)


# What numbers rest on


def sourced(node, key=()):
    """Return what the page marks as not printed, by key: the plain YAML, walked without the plan."""
    if not isinstance(node, dict):
        return {}
    if node.keys() == {"value", "source", "why"}:
        return {key: (node["value"], node["source"], node["why"])}
    return {k: v for name, inner in node.items() for k, v in sourced(inner, (*key, name)).items()}


def page(root, file):
    return yaml.safe_load((root / file).read_text(encoding="utf-8"))


def test_a_trained_cell_rests_on_its_protocol_with_all_it_extends_and_on_its_datasets(full, root):
    axes = (("panel", "MNIST"), ("series", "timesformer-8"), ("x", "2"))
    cell = next(c for c in full.cells("rac", "figure-2") if c.place.axes == axes)
    protocols = page(root, RAC)["protocols"]
    expected = sourced(protocols["temporal_shape"]) | sourced(protocols["temporal_shape_attention"])
    assert expected["train", "epochs"][0] == 300
    found = full.assumptions(cell)
    own = [a for a in found if a.file == RAC]
    assert {a.key[2:]: (a.value, a.source, a.why) for a in own} == expected
    assert len(own) == len(expected)
    assert {a.file for a in found} == {RAC, *(f"datasets/temporal-shape-{d}.yaml" for d in ("2dot", "mnist"))}
    for domain in (
        "2dot",
        "mnist",
    ):  # trained on one, asked on the other; the view's other domains are not its
        file = f"datasets/temporal-shape-{domain}.yaml"
        own = {a.key: (a.value, a.source, a.why) for a in found if a.file == file}
        assert own == sourced(page(root, file))


def test_lines_of_assumptions_are_those_of_their_keys(full, root):
    for assumption in full.assumptions(full.cells("rac", "figure-2")[0]):
        line = (root / assumption.file).read_text(encoding="utf-8").splitlines()[assumption.line - 1]
        assert line.strip().startswith(f"{assumption.key[-1]}:")


def test_counted_and_idle_cells_rest_on_no_protocol(full):
    cells = [*full.cells("rac", "table-8"), *full.cells("rac", "table-9")]
    assert all(full.assumptions(cell) == () for cell in cells)


def test_protocols_extend_one_another_in_a_chain(full, edited):
    plan = edited(
        "\nviews:\n",
        """
  temporal_shape_longer:
    extends: temporal_shape_attention
    seeds: [1, 2]
    train:
      optimizer: {name: adam, momentum: null}
      epochs: {value: 999, source: assumed, why: to see}
views:
""",
    )
    protocols = plan.papers["rac"].protocols
    base, attention, longer = (protocols[f"temporal_shape{end}"] for end in ("", "_attention", "_longer"))
    same = attention.train.model_dump(exclude={"epochs", "patience"})
    assert same == base.train.model_dump(exclude={"epochs", "patience"})
    assert (attention.train.epochs, attention.train.patience, attention.seeds) == (300, 100, SEEDS)
    assert (longer.train.epochs, longer.train.patience, longer.seeds) == (999, 100, (1, 2))
    assert longer.train.optimizer.model_dump() == {"name": "adam", "lr": 0.001, "weight_decay": 0.00001}
    assert plan.runs == full.runs


def test_a_chain_s_assumptions_are_those_that_stand(edited):
    plan = edited(
        "\nviews:\n",
        """
  temporal_shape_longer:
    extends: temporal_shape_attention
    train:
      optimizer: {momentum: 0.5}
      epochs: {value: 999, source: assumed, why: to see}
views:
""",
    )
    edit(plan.root, RAC, "{protocol: temporal_shape_attention", "{protocol: temporal_shape_longer")
    plan = Plan(plan.root, "paper")
    cell = next(c for c in plan.cells("rac", "figure-2") if dict(c.place.axes)["series"] == "timesformer-8")
    found = {a.key[2:]: a for a in plan.assumptions(cell) if a.file == RAC}
    assert (found["train", "epochs"].value, found["train", "epochs"].source) == (999, "assumed")
    assert found["train", "patience"].value == 100
    assert found["train", "batch"].key[1] == "temporal_shape"
    assert ("train", "optimizer", "momentum") not in found


def test_changes_are_all_that_a_scale_changes(full, tiny):
    expected = {}
    for name, epochs, patience in (("temporal_shape", 100, 10), ("temporal_shape_attention", 300, 100)):
        protocol = f"protocols.{name}.train"
        expected |= {f"{protocol}.epochs": (epochs, 20), f"{protocol}.patience": (patience, 20)}
        expected[f"{protocol}.batch"] = (64, 8)
    for domain in ("2dot", "5dot", "mnist", "mnist-bg"):
        dataset = f"datasets.temporal-shape-{domain}"
        expected |= {f"{dataset}.frames": (20, 10), f"{dataset}.side": (64, 16)}
        for split, pair in (("train", (4000, 64)), ("val", (1000, 20)), ("test", (500, 20))):
            expected[f"{dataset}.splits.{split}"] = pair
        if domain.startswith("mnist"):
            expected[f"{dataset}.generator.digits"] = ("mnist", "scikit-learn")
    assert {change.where: (change.full, change.here) for change in tiny.changes()} == expected
    assert {change.paper for change in tiny.changes()} == {"rac"}
    assert full.changes() == []
