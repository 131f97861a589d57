"""A block of one's own: the example of docs/add-a-block.md, taken from there and run; and its mistakes."""

import re
import shutil
from pathlib import Path
from textwrap import indent

import pytest
import torch
from pydantic import ValidationError

import retrace.models.blocks
from attention_blocks import awake, clips, unit
from papertext import ROOT
from retrace.cost.count import parameters, work
from retrace.errors import UserError
from retrace.models.registry import build
from retrace.plan.cell import CostCell
from retrace.plan.identity import run_name
from retrace.plan.plan import Plan

EXAMPLE = re.findall(r"```(?:python|yaml)\n(.*?)```", (ROOT / "docs/add-a-block.md").read_text(), re.DOTALL)
MODULE, GTA_ROW, DEEP_ANALYSIS_ROW, LISTED = EXAMPLE
OWN = {"kind": "own", "block": "retrace.models.blocks.frame_difference:FrameDifference", "options": {}}


@pytest.fixture(autouse=True)
def module(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the module of the example where the text says it goes."""
    folder = tmp_path_factory.mktemp("blocks")
    (folder / "frame_difference.py").write_text(MODULE)
    monkeypatch.setattr(retrace.models.blocks, "__path__", [*retrace.models.blocks.__path__, str(folder)])


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages with the rows of the example, and nothing else changed."""
    root = tmp_path_factory.mktemp("root")
    for folder in ("papers", "datasets", "segmenters", "scales"):
        shutil.copytree(ROOT / folder, root / folder)
    add_at_the_end(root / "papers/gta.yaml", "  table-1:", indent(GTA_ROW, " " * 6))
    add_at_the_end(root / "papers/deep_analysis.yaml", "  table-3:", indent(DEEP_ANALYSIS_ROW, " " * 6))
    page = root / "scales/demo.yaml"
    lists = page.read_text().replace("    only:\n", f"    only:\n{indent(LISTED, ' ' * 6)}")
    page.write_text(lists)
    return root


def add_at_the_end(page: Path, key: str, row: str) -> None:
    """Add `row` to the table under `key`, whose rows stand last in it."""
    before, table, after = page.read_text().partition(f"{key}\n")
    rows, following, rest = re.split(r"^(  \S|\S)", after, maxsplit=1, flags=re.MULTILINE)
    page.write_text(before + table + rows.rstrip("\n") + "\n" + row + following + rest)


def test_the_example_is_short() -> None:
    assert len(MODULE.splitlines()) < 40


@torch.no_grad()
def test_the_example_is_its_formula_and_starts_as_the_identity() -> None:
    own = OWN | {"options": {"reduction": 4}}
    x = clips(2, 3, 16, 4, 5)
    assert torch.equal(unit({"time": own}, channels=16)(x), x)
    (block,) = awake(unit({"time": own}, channels=16))
    v, still = block.value(x), block(x[:, :1].expand(-1, 3, -1, -1, -1))
    change = torch.stack([torch.zeros_like(v[:, 0]), v[:, 1] - v[:, 0], v[:, 2] - v[:, 1]], 1)
    torch.testing.assert_close(block(x), x + block.out(change))
    torch.testing.assert_close(still, still[:, :1].expand_as(still))


@pytest.mark.parametrize(
    ("paper", "table", "row"),
    [("gta", "table-1", "r2d-50-difference"), ("deep_analysis", "table-3", "resnet50-difference")],
)
def test_rows_alone_put_it_into_the_tables(pages: Path, paper: str, table: str, row: str) -> None:
    cells = [cell for cell in Plan(pages, "demo").cells(paper, table) if dict(cell.place.axes)["row"] == row]
    costs = [cell.definition for cell in cells if isinstance(cell.definition, CostCell)]
    assert len(costs) == 2
    with torch.device("meta"):
        net = build(costs[0].model, classes=87, channels=3, frames=8, side=224)
    blocks = [module for module in net.modules() if type(module).__name__ == "FrameDifference"]
    positions = costs[0].model.positions
    assert len(blocks) == len(positions)
    assert parameters(net) > sum(map(parameters, blocks)) > 0
    assert work(net, (1, 8, 3, 224, 224)).all > 32.7e9
    runs = [run for cell in cells for run in cell.runs]
    assert runs
    for run in runs:
        assert "framedifference" in run_name(run)
        one = run.task
        net = build(run.model, classes=len(one.classes), channels=3, frames=one.frames, side=one.side)
        logits = net(torch.rand(2, one.frames, 3, one.side, one.side))
        assert logits.shape == (2, len(one.classes))
        logits.sum().backward()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"block": "retrace.models.blocks.frame_diference:FrameDifference"}, "cannot be imported"),
        (
            {"block": "retrace.models.blocks.frame_difference:FrameDiference"},
            "did you mean 'FrameDifference'",
        ),
        ({"options": {"narrower": 4}}, "channels, frames and its options: .*narrower"),
        ({"block": "retrace.models.insert:Site", "options": {"position": 1}}, "multiple values"),
        ({"block": "builtins:range", "options": {}}, "expected a torch.nn.Module, got range"),
    ],
)
def test_what_cannot_be_a_block_is_named(changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        unit({"time": OWN | changes})


def test_a_block_without_its_class_is_a_mistake() -> None:
    with pytest.raises(ValidationError, match="should match pattern"):
        unit({"time": OWN | {"block": "frame_difference"}})
