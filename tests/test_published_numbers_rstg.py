"""The page of RSTG says what the supplement prints, number for number."""

import re

from papertext import TIMES, copied, page, paper_text, printed_cells, prose
from retrace.plan.items import Quoted

TEXT = "000_"
PAGE = page("rstg")
PRINTED = printed_cells(PAGE)

LAYERS = {
    "grid4": "",
    "grid3": "",
    "grid2": "",
    "grid1": "",
    "last-stage": "Temporal Processing Stage",
    "up-sample": "",
    "projection": "",
    "res5": "I3D res5",
    "head": "mean pool, fc",
}
"""What stands before a size on its line of the supplement's table, where it is not the page's key."""


def _sizes() -> dict[str, tuple[int, ...]]:
    """Return the printed sizes of Table 1 by row, as numbers."""
    sizes = {row: size for (key, row, _), size in PRINTED.items() if key == "table-1"}
    return {row: tuple(int(n) for n in size.split(TIMES)) for row, size in sizes.items()}


def test_every_size_of_table_1_is_as_the_supplement_prints_it() -> None:
    block = paper_text(TEXT).split("model layer output size")[1].split("This insertion")[0]
    lines = re.findall(rf"^(.*?)((?:\d+{TIMES} ?){{2,3}}\d+)$", block, re.MULTILINE)
    sizes = [tuple(int(n) for n in size.split(TIMES)) for _, size in lines]
    assert list(_sizes().values()) == sizes
    before = [name.strip() for name, _ in lines]
    expected = [LAYERS.get(row, row) for row in _sizes()]
    assert [name or wanted for name, wanted in zip(before, expected, strict=True)] == expected


def test_every_accuracy_of_table_2_is_as_the_supplement_prints_it() -> None:
    rows = re.findall(r"^RSTG-to-vec - (\w+) (\d+\.\d) (\d+\.\d)$", paper_text(TEXT), re.MULTILINE)
    printed = {("table-2", row, "top1"): float(top1) for row, top1, _ in rows}
    printed |= {("table-2", row, "top5"): float(top5) for row, _, top5 in rows}
    assert printed == {place: accuracy for place, accuracy in PRINTED.items() if place[0] == "table-2"}


def test_the_numbers_of_the_running_text_are_as_the_supplement_prints_them() -> None:
    text = " ".join(paper_text(TEXT).split())
    assert re.findall(r"LSTM with (\d+) hidden", text) == [str(PRINTED["text-2", "mean-lstm", "lstm"])]
    (millions,) = re.findall(r"around (\d+)M", text)
    assert {PRINTED["text-2", row, "parameters"] for row in ("i3d", "rstg")} == {int(millions)}


def test_nothing_is_shown_as_printed_that_the_supplement_does_not_print() -> None:
    """What comes from elsewhere is marked: what follows from printed numbers, and the main paper's table."""
    text = " ".join(paper_text(TEXT).split())
    for (key, row, column), number in PRINTED.items():
        if not isinstance(number, str):
            assert str(number) in text, (key, row, column)
    for key, table in PAGE.tables.items():
        quoted = {v.source for row in table.rows for v in row.published if isinstance(v, Quoted)}
        allowed = {"main-table-1": {"main_paper"}, "text-1": {"main_paper", "derived"}}
        assert quoted <= allowed.get(key, {"paper", "derived"}), key


def test_the_main_papers_accuracies_rise_as_its_claims_say() -> None:
    """They are recalled; these are the orders that they have been found to keep."""
    accuracy = {row.key: row.published for row in PAGE.tables["main-table-1"].rows}
    three, five = (
        {key: v.value for key, values in accuracy.items() if isinstance(v := values[column], Quoted)}
        for column in (0, 1)
    )
    stages = ["homogenous", "one-temporal-stage", "all-temporal-stages"]
    rising = ["space-only", "mean-lstm", "time-only", "conv-lstm", *stages]
    assert sorted(three, key=three.__getitem__) == rising
    rising = ["conv-lstm", "homogenous", "one-temporal-stage", "i3d", "non-local", *stages[2:], "positional"]
    assert sorted(five, key=five.__getitem__) == rising


def test_the_recalled_accuracies_of_each_place_agree_with_what_the_supplement_says_of_them() -> None:
    """Section B: res2 is the worst, res4 the best single place of a map, two graphs are best."""
    rows = {row.key: row.published for row in PAGE.tables["text-1"].rows}
    for column in (0, 1):
        accuracy = {key: v.value for key, found in rows.items() if isinstance(v := found[column], Quoted)}
        places = [accuracy[f"map-{place}"] for place in ("res2", "res3", "res4", "res3-res4")]
        assert sorted(places) == places
        assert min(accuracy, key=accuracy.__getitem__) == "i3d"


def test_the_page_declares_every_table_and_figure_that_has_a_caption() -> None:
    captions = set(re.findall(r"^ ?((?:Table|Figure) \d+):", paper_text(TEXT), re.MULTILINE))
    numbers = {item.number for item in (*PAGE.tables.values(), *PAGE.figures.values())}
    assert {number for number in numbers if not number.startswith(("Text", "Main paper"))} == captions


def test_the_page_is_in_our_own_words() -> None:
    text = paper_text(TEXT)
    assert [run for ours in prose(PAGE) for run in copied(ours, text)] == []


# What holds among the printed numbers themselves, with no text at hand


def test_the_backbone_of_table_1_is_a_resnet_50_that_halves_its_maps() -> None:
    sizes = _sizes()
    side = 224
    for row, channels in (("input", 3), ("conv1", 64), ("res2", 256), ("res3", 512), ("res4", 1024)):
        assert sizes[row][1:] == (side, side, channels), row
        side //= 2
    assert sizes["pool1"][1:3] == sizes["res2"][1:3] == sizes["pool2"][1:3]
    assert sizes["pool2"][0] * 2 == sizes["input"][0]
    assert sizes["res5"][3] == 2 * sizes["res4"][3]
    assert sizes["res5"][:3] == sizes["res4"][:3]


def test_the_grids_of_table_1_add_up_to_its_nodes() -> None:
    sizes = _sizes()
    grids = [size for row, size in sizes.items() if row.startswith("grid")]
    frames, nodes, channels = sizes["last-stage"]
    assert sum(height * width for _, height, width, _ in grids) == nodes
    assert {(size[0], size[3]) for size in grids} == {(frames, channels)}
    assert sizes["up-sample"] == (*sizes["res4"][:3], channels)


def test_the_one_size_that_cannot_be_added_to_res4_is_marked() -> None:
    sizes = _sizes()
    assert sizes["projection"] != sizes["res4"]
    (row,) = (row for row in PAGE.tables["table-1"].rows if row.key == "projection")
    (marked,) = row.published
    assert isinstance(marked, Quoted)
    assert str(sizes["res4"][3]) in marked.why


def test_the_graph_read_as_a_vector_is_the_sparse_one_of_table_2() -> None:
    (vector,) = (row for row in PAGE.tables["text-1"].rows if row.key == "vec")
    sparse = tuple(PRINTED["table-2", "sparse", column] for column in ("top1", "top5"))
    assert tuple(quoted.value for quoted in vector.published) == sparse
    assert {quoted.source for quoted in vector.published} == {"derived"}
