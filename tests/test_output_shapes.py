"""The sizes of what layers put out, by hooks on the meta device."""

import shutil

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from pages import ROOT
from retrace.cost.paper import write
from retrace.cost.shapes import CLIP, output_shapes
from retrace.errors import UserError
from retrace.plan import counted
from retrace.plan.cell import ShapeCell
from retrace.plan.identity import digest
from retrace.plan.plan import Plan
from retrace.report.outcome import outcome
from retrace.report.records import table_records
from retrace.report.results import Results


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 5, 3, stride=2)
        self.rest = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(5 * 3 * 3, 2))
        self.both = nn.LSTM(2, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.both(self.rest(self.first(x)))[0]


def test_each_layer_puts_out_what_it_puts_out_in_earnest():
    shape, layers = (2, 3, 7, 7), [CLIP, "first", "rest.1", "rest"]
    network, seen = Net(), {CLIP: list(shape)}
    found = output_shapes(network, shape, layers)
    x = torch.rand(shape)
    seen["first"] = list(network.first(x).shape)
    seen["rest.1"] = list(network.rest[:2](network.first(x)).shape)
    seen["rest"] = list(network.rest(network.first(x)).shape)
    assert found == seen
    assert not network.first._forward_hooks


def test_a_layer_that_is_none_is_named_with_the_nearest():
    with pytest.raises(UserError, match="no layer 'frist'; did you mean 'first'"):
        output_shapes(Net(), (1, 3, 7, 7), ["frist"])


def test_a_layer_without_a_tensor_is_refused():
    with pytest.raises(UserError, match="'both' puts out tuple"):
        output_shapes(Net(), (1, 3, 7, 7), ["both"])


# As cells of a table


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    root = tmp_path_factory.mktemp("pages")
    for folder in ("papers", "scales"):
        (root / folder).mkdir()
    for folder in ("datasets", "segmenters"):
        shutil.copytree(ROOT / folder, root / folder)
    for file in ("papers/rstg.yaml", "scales/paper.yaml", "config.yaml"):
        shutil.copy(ROOT / file, root / file)
    plan = Plan(root, "paper")
    write(plan, "rstg")
    return plan


def test_table_1_of_rstg_has_a_verdict_in_every_row(plan):
    rows = table_records(plan, Results(plan.root), "rstg", "table-1")
    ours = {record.row.key: (record.outcome.value, record.verdict.word) for (record,) in rows}
    differ = {"up-sample": "16\u00d714\u00d714\u00d71024", "projection": "16\u00d730\u00d71024"}
    assert {key: value for key, (value, word) in ours.items() if word == "differs"} == differ
    assert {key for key, (_, word) in ours.items() if word == "unprinted"} == {"stages"}
    assert {word for key, (_, word) in ours.items() if key not in {*differ, "stages"}} == {"match"}


def test_one_model_is_counted_once_for_all_its_layers(plan):
    cells = [cell.definition for cell in plan.cells("rstg", "table-1")]
    (key,) = {digest(cell.network()) for cell in cells}
    assert counted.layers(plan, "rstg") == {key: sorted({cell.layer for cell in cells})}
    assert key in counted.costs(plan, "rstg")


@pytest.mark.parametrize(
    "wrong",
    [
        {"grid": 5, "axes": "BTNC"},
        {"grid": 2},
        {"grid": 2, "axes": "BTNC", "model": {"family": "small-i3d", "width": 1, "non_local": False}},
    ],
)
def test_a_grid_that_the_graph_lacks_is_refused(plan, wrong):
    cell = next(cell.definition for cell in plan.cells("rstg", "table-1"))
    with pytest.raises(ValidationError, match="no nodes in a grid of"):
        ShapeCell.model_validate(cell.model_dump() | wrong)


def test_dimensions_that_the_axes_do_not_name_are_a_failure_in_words(plan):
    cell = next(cell for cell in plan.cells("rstg", "table-1") if "head" in str(cell.place))
    wrong = cell._replace(definition=cell.definition.model_copy(update={"axes": "TNC"}))
    found = outcome(wrong, Results(plan.root))
    assert (found.state, found.reason) == (
        "failed",
        "layer 'classify' has 2 dimensions, axes 'TNC' name others",
    )
