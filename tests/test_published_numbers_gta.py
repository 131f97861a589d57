"""The page of GTA says what the paper prints, number for number."""

import re

import pytest

from papertext import (
    TIMES,
    Cells,
    copied,
    mistakes,
    page,
    paper_text,
    plain,
    printed_cells,
    prose,
    tables,
)

TEXT = "003_"
RUNNING = ("section 4.1", "section 4.3", "appendix B")
OURS = ("table-4-costs", "table-8-costs", "table-10-costs", "figure-4-costs")
"""Tables of costs that the paper does not print, beside those whose models they count."""

PAGE = page("gta")
PRINTED = printed_cells(PAGE)

NAMES = {
    "#Params": "Parameters",
    "Δ": "Change",
    "w/o RegionGTA": "none",
    "Cross-channel Multi-head": "Cross-channel multi-head",
    "GTAEn": "GTA En",
    **{f"+{short}": f"+ {short.replace('+', ' + ')}" for short in ("SA", "TA", "SA+TA", "SA+TAPE", "SA+GTA")},
}


def _below_its_backbone(rows: Cells) -> Cells:
    """Table 1 names the backbone once and lists what is added below it."""
    backbone, named = "", rows[:1]
    for label, *cells in rows[1:]:
        backbone = backbone if label.startswith("+") else label
        named.append([f"{backbone} {label}" if label.startswith("+") else label, *cells])
    return named


def _cost_and_views_apart(rows: Cells) -> Cells:
    """Table 2 prints cost and views in one cell, with a times sign between; the page has two columns."""
    apart = [["Method", "FLOPs per view", "Views", *rows[0][2:]]]
    for label, both, *cells in rows[1:]:
        flops, views = both.split(TIMES)
        apart.append([label, flops, "-" if views == "N/A" else views, *cells])
    return apart


def _one_header(rows: Cells) -> Cells:
    """Table 3 has the datasets in one line and top-1 and top-5 below them."""
    header = rows[0][:4] + [f"{rows[0][4 + i // 2 * 2]} {rows[1][4 + i].lower()}" for i in range(4)]
    return [header, *rows[2:]]


def _ticks_as_label(rows: Cells) -> Cells:
    parts = rows[0][:3]
    ticked = [[" + ".join(p for p, tick in zip(parts, row, strict=False) if tick), *row[3:]] for row in rows]
    return [["Parts", *rows[0][3:]], *ticked[1:]]


def _blocks_as_label(rows: Cells) -> Cells:
    stages = rows[0][:3]
    labels = [", ".join(f"{s} {n}" for s, n in zip(stages, row, strict=False) if n) or "none" for row in rows]
    return [
        ["Blocks", *rows[0][3:]],
        *([label, *row[3:]] for label, row in zip(labels[1:], rows[1:], strict=True)),
    ]


def _with_decimal(rows: Cells) -> Cells:
    """Table 10 prints 50 where every other cell has one decimal; the page says so in its note."""
    assert sum(cell == "50" for cell in rows[1]) == 1
    return [rows[0], [cell.replace("50", "50.0") if cell == "50" else cell for cell in rows[1]]]


RESHAPED = {
    "table-1": _below_its_backbone,
    "table-2": _cost_and_views_apart,
    "table-3": _one_header,
    "table-4": _ticks_as_label,
    "table-8": _blocks_as_label,
    "table-10": _with_decimal,
}


@pytest.mark.parametrize("index", range(11), ids=lambda index: f"table-{index + 1}")
def test_every_cell_of_a_table_is_as_the_paper_prints_it(index: int) -> None:
    printed = [[[plain(cell) for cell in row] for row in table] for table in tables(paper_text(TEXT))]
    assert len(printed) == 11
    key = f"table-{index + 1}"
    rows = RESHAPED.get(key, lambda rows: rows)(printed[index])
    assert mistakes(PAGE.tables[key], rows, NAMES) == []


def test_the_page_declares_every_table_and_figure_that_has_a_caption() -> None:
    text = paper_text(TEXT)
    for kind, items in (("Table", PAGE.tables), ("Figure", PAGE.figures)):
        captions = {caption[:-1] for caption in re.findall(rf"\b{kind} \d+:", text)}
        numbers = {item.number for key, item in items.items() if key not in (*OURS, "order")}
        assert numbers - {"Text, " + p for p in RUNNING} == captions


@pytest.mark.parametrize("key", OURS)
def test_nothing_of_our_own_tables_is_said_to_be_printed(key: str) -> None:
    table, paper_s = PAGE.tables[key], key.removesuffix("-costs")
    assert not any(place[0] == key for place in PRINTED)
    assert table.number == f"Costs of {paper_s.replace('-', ' ').title()}"


@pytest.mark.parametrize("key", ["table-4", "table-8"])
def test_the_costs_of_a_table_have_its_rows(key: str) -> None:
    rows, ours = (tuple((row.key, row.label) for row in PAGE.tables[k].rows) for k in (key, f"{key}-costs"))
    assert rows == ours


def test_the_costs_of_table_10_have_its_columns() -> None:
    columns, rows = PAGE.tables["table-10"].columns, PAGE.tables["table-10-costs"].rows
    assert [(row.key, row.label) for row in rows] == [(column.key, column.label) for column in columns]


@pytest.mark.parametrize("index", [1, 2, 6], ids=lambda index: f"table-{index + 1}")
def test_rows_with_a_reference_are_cited(index: int) -> None:
    labels = [row[0] for row in tables(paper_text(TEXT))[index] if row[0] not in ("", "Method")]
    cited = ["[" in label for label in labels]
    assert [row.kind == "cited" for row in PAGE.tables[f"table-{index + 1}"].rows] == cited


SENTENCES = {
    ("text-1", "dnl-over-nl"): r"DNL offers a ([\d.]+)% / ([\d.]+)% gain",
    ("text-1", "gta-over-dnl"): r"outperforms DNL by ([\d.]+)% / ([\d.]+)%",
    ("text-2", "dnl-for-nl"): r"requiring (\d+)%-(\d+)% less",
    ("text-3", "both-levels"): r"more than (\d)% improvement",
    ("text-3", "ccmh-region"): r"\(([\d.]+)% gain v\.s\. [\d.]+% gain\)",
    ("text-3", "ccmh-pixel"): r"\([\d.]+% gain v\.s\. ([\d.]+)% gain\)",
    ("text-3", "region-with-ccmh"): r"\(([\d.]+)% gain v\.s\. [\d.]+% gain w/o CCMH\)",
    ("text-3", "region-without-ccmh"): r"\([\d.]+% gain v\.s\. ([\d.]+)% gain w/o CCMH\)",
    ("text-3", "sa"): r"improves the backbone network \(([\d.]+)% gain\)",
    ("text-3", "ta"): r"significant improvements \(([\d.]+)% gain\)",
    ("text-3", "tape"): r"improves the performance by ([\d.]+)%",
    ("text-4", "gta-over-tape"): r"outperforms TAPE by \*\*([\d.]+)%",
    ("text-4", "ccmh-over-mh"): r"accuracy drops by ([\d.]+)%",
}


def test_every_number_of_the_running_text_is_as_the_paper_prints_it() -> None:
    text = paper_text(TEXT)
    declared = {(k, r.key) for k, t in PAGE.tables.items() if k.startswith("text-") for r in t.rows}
    assert declared == SENTENCES.keys()
    for (key, row), pattern in SENTENCES.items():
        (found,) = re.findall(pattern, text)
        numbers = tuple(float(n) for n in ([found] if isinstance(found, str) else found))
        assert numbers == tuple(v for place, v in PRINTED.items() if place[:2] == (key, row)), (key, row)


def test_the_page_is_in_our_own_words() -> None:
    text = paper_text(TEXT)
    assert [run for ours in prose(PAGE) for run in copied(ours, text)] == []


# What holds among the printed numbers themselves, with no text at hand


@pytest.mark.parametrize("key", ["table-4", "table-6"])
def test_a_printed_change_is_the_difference_to_the_first_row(key: str) -> None:
    table = PAGE.tables[key]
    first, *others = (row.key for row in table.rows)
    for row in others:
        difference = PRINTED[key, row, "top1"] - PRINTED[key, first, "top1"]
        assert PRINTED[key, row, "change"] == pytest.approx(difference, abs=1e-9), row


ONE = [
    # the same trained model, printed in several tables
    {
        ("table-1", "r2d-50-gta", "ssv1"),
        ("table-3", "gta-8", "ssv1-top1"),
        ("table-4", "pixel-region-ccmh", "top1"),
        ("table-5", "gta", "decoupled"),
        ("table-6", "sa-gta", "top1"),
        ("table-8", "full", "top1"),
        ("table-10", "top1", "c-8"),
        ("table-11", "ccmh", "top1"),
    },
    {("table-1", "r2d-50", "ssv1"), ("table-6", "r2d-50", "top1"), ("table-8", "none", "top1")},
    {("table-1", "r2d-50-nl", "ssv1"), ("table-5", "nl", "original")},
    {("table-1", "r2d-50-dnl", "ssv1"), ("table-5", "nl", "decoupled"), ("table-6", "sa-ta", "top1")},
    {("table-4", "pixel-ccmh", "top1"), ("table-9", "sa-pixel-gta", "ccmh"), ("table-10", "top1", "none")},
    {("table-4", "pixel", "top1"), ("table-9", "sa-pixel-gta", "plain")},
    {("table-6", "sa-tape", "top1"), ("table-9", "sa-tape", "plain")},
    {("table-1", "r2d-50-gta", "ssv2"), ("table-3", "gta-8", "ssv2-top1")},
    *(
        {("table-1", one, column), ("table-6", other, column)}
        for one, other in (("r2d-50", "r2d-50"), ("r2d-50-dnl", "sa-ta"), ("r2d-50-gta", "sa-gta"))
        for column in ("flops", "parameters")
    ),
]


@pytest.mark.parametrize("places", ONE, ids=lambda places: " ".join(sorted(place[0] for place in places)))
def test_one_model_has_one_number_in_every_table(places: set) -> None:
    assert len({PRINTED[place] for place in places}) == 1


DIFFERENCES = {
    ("text-1", "dnl-over-nl", "ssv1"): ("table-1 r2d-50-dnl ssv1", "table-1 r2d-50-nl ssv1"),
    ("text-1", "dnl-over-nl", "ssv2"): ("table-1 r2d-50-dnl ssv2", "table-1 r2d-50-nl ssv2"),
    ("text-1", "gta-over-dnl", "ssv1"): ("table-1 r2d-50-gta ssv1", "table-1 r2d-50-dnl ssv1"),
    ("text-1", "gta-over-dnl", "ssv2"): ("table-1 r2d-50-gta ssv2", "table-1 r2d-50-dnl ssv2"),
    ("text-3", "both-levels", "gain"): ("table-4 pixel-region-ccmh top1", "table-4 pixel-ccmh top1"),
    ("text-3", "ccmh-pixel", "gain"): ("table-4 pixel-ccmh top1", "table-4 pixel top1"),
    ("text-3", "region-with-ccmh", "gain"): ("table-4 pixel-region-ccmh top1", "table-4 pixel-ccmh top1"),
    ("text-3", "region-without-ccmh", "gain"): ("table-4 pixel-region top1", "table-4 pixel top1"),
    ("text-3", "sa", "gain"): ("table-6 sa top1", "table-6 r2d-50 top1"),
    ("text-3", "ta", "gain"): ("table-6 ta top1", "table-6 r2d-50 top1"),
    ("text-3", "tape", "gain"): ("table-6 sa-tape top1", "table-6 sa-ta top1"),
    ("text-4", "gta-over-tape", "gain"): ("table-6 sa-gta top1", "table-6 sa-tape top1"),
    ("text-4", "ccmh-over-mh", "gain"): ("table-11 ccmh top1", "table-11 mh top1"),
}


@pytest.mark.parametrize("gain", DIFFERENCES, ids="-".join)
def test_a_gain_of_the_text_is_the_difference_of_two_printed_numbers(gain: tuple) -> None:
    more, less = (PRINTED[tuple(place.split())] for place in DIFFERENCES[gain])
    assert PRINTED[gain] == pytest.approx(more - less, abs=1e-9)


@pytest.mark.parametrize(("backbone", "column"), [("r2d-50", 0), ("slowfast-r50", 1)])
def test_the_saving_of_the_text_is_above_that_of_table_1(backbone: str, column: int) -> None:
    """The page keeps the text's bounds as printed, with the saving computed here as the reason."""
    dnl, nl = (PRINTED["table-1", f"{backbone}-{block}", "flops"] for block in ("dnl", "nl"))
    stated = _published("text-2", "dnl-for-nl")[column]
    saving = 100 * (1 - dnl / nl)
    assert saving < stated.value
    assert f"gives {saving:.1f} " in stated.why


def test_heads_gain_more_for_regions_in_table_4_than_the_text_says() -> None:
    gain = PRINTED["table-4", "region-ccmh", "top1"] - PRINTED["table-4", "region", "top1"]
    (stated,) = _published("text-3", "ccmh-region")
    assert round(gain) != stated.value
    assert f"gives {gain:.1f} " in stated.why


def _published(key: str, row: str) -> tuple:
    return next(r.published for r in PAGE.tables[key].rows if r.key == row)


def test_top5_is_above_top1() -> None:
    pairs = {place: (*place[:2], place[2][:-1] + "5") for place in PRINTED if place[2].endswith("top1")}
    both = [(PRINTED[one], PRINTED[five]) for one, five in pairs.items() if five in PRINTED]
    assert both and all(0 < one < five < 100 for one, five in both)
