"""The page of Recur, Attend or Convolve? says what the supplement prints, number for number."""

import re
from itertools import product

import pytest

from papertext import Cells, as_printed, mistakes, page, paper_text, plain, printed_cells, tables
from retrace.plan.items import Quoted

TEXT = "002_"
PAGE = page("rac")
PRINTED = printed_cells(PAGE)
RATIOS = tuple(f"table-{n}" for n in range(1, 5))
EXAMPLES = tuple(f"table-{n}" for n in range(5, 8))

NAMES = {
    "Timeformer": "TimeSformer",
    "TimeSf": "TimeSformer",
    "Ep.": "Epoch",
    "Attn. do.": "Attn. dropout",
    "Ff. do.": "Ff. dropout",
    "Batch size": "Batch",
    "Additional ll.": "Additional linear layer",
}


def _one_header(rows: Cells) -> Cells:
    """Tables 5 to 7 have the dataset in one line and top-1 and top-5 below it."""
    above = [rows[0][i - (i + 1) % 2] for i in range(1, 7)]
    return [["Model", *(f"{a} {b.lower()}" for a, b in zip(above, rows[1][1:], strict=True))], *rows[2:]]


def _with_ten_units(rows: Cells) -> Cells:
    """The page also has a row for ten hidden units, which the supplement leaves out."""
    at = next(i for i, row in enumerate(rows) if row[0] == "12")
    return [*rows[1:at], ["10", "", "", "", ""], *rows[at:]]


def _shorter(rows: Cells) -> Cells:
    """The page writes a variant of Table 9 as ``widths; filter sizes`` or ``depth, D, D_h``.

    Beside them it counts parameters, of which the captions of Tables 1 to 4 tell.
    """
    header = ["Experiment", "3D CNN: hidden; filter sizes", "ConvLSTM: hidden; filter sizes", "TimeSformer"]
    header += [f"{model}: parameters" for model in ("3D CNN", "ConvLSTM", "TimeSformer")]
    captions = dict(re.findall(r"experiment \((\w)\): (\d+)M parameters", paper_text(TEXT)))
    reshaped = [header]
    for experiment, *variants in rows[1:]:
        counts = ["" if variant == "-" else captions.get(experiment, "") for variant in variants]
        reshaped.append([experiment, *map(_variant, variants), *counts])
    return reshaped


def _variant(cell: str) -> str:
    lists = [", ".join(inside.replace(",", " ").split()) for inside in re.findall(r"\[(.*?)\]", cell)]
    return "; ".join(lists) or cell.replace("Depth=", "depth ").replace(" =", "")


def _numbered(rows: Cells) -> Cells:
    """The variants of Table 10 have no names; the page numbers them."""
    return [["Variant", *rows[0]], *([str(i), *row] for i, row in enumerate(rows[1:], 1))]


RESHAPED = {
    **dict.fromkeys(EXAMPLES, _one_header),
    "table-8": _with_ten_units,
    "table-9": _shorter,
    "table-10": _numbered,
}


@pytest.mark.parametrize("index", range(10), ids=lambda index: f"table-{index + 1}")
def test_every_cell_of_a_table_is_as_the_supplement_prints_it(index: int) -> None:
    printed = tables(paper_text(TEXT))
    assert len(printed) == 10
    key = f"table-{index + 1}"
    rows = [[plain(cell) for cell in row] for row in printed[index]]
    assert mistakes(PAGE.tables[key], RESHAPED.get(key, lambda rows: rows)(rows), NAMES) == []


def test_the_page_declares_every_table_and_figure_that_has_a_caption() -> None:
    captions = set(re.findall(r"^((?:Table|Figure) \d+)\.", paper_text(TEXT), re.MULTILINE))
    numbers = {item.number for item in (*PAGE.tables.values(), *PAGE.figures.values())}
    assert {number for number in numbers if not number.startswith("Text")} == captions


def test_the_segmentation_is_as_the_text_tells_of_it() -> None:
    text = " ".join(paper_text(TEXT).split())
    train, val, iou = PAGE.tables["text-1"].rows[0].published
    assert f"a random split of {train} frames as training set and {val} frames to validate" in text
    assert f"The best model achieved {iou}% validation bounding box IoU" in text


def test_the_titles_of_tables_1_to_4_have_the_accuracy_of_their_captions() -> None:
    captions = re.findall(r"experiment \((\w)\): (\d+)M parameters, (\d+)% validation", paper_text(TEXT))
    titles = [PAGE.tables[key].title for key in RATIOS]
    pattern = r"experiment (\w): (\d+)M parameters, (\d+) % validation"
    assert [re.search(pattern, title).groups() for title in titles] == captions


# What holds among the printed numbers themselves, with no text at hand


@pytest.mark.parametrize("key", RATIOS)
def test_t_over_s1_is_the_quotient_of_the_two_printed_ratios(key: str) -> None:
    """T/S1 = (T/V) / (S1/V); each of the three is rounded to three decimals."""
    half = 0.0005
    for row in PAGE.tables[key].rows:
        s1_v, _, t_v, t_s1 = row.published
        assert (t_v - half) / (s1_v + half) - half <= t_s1 <= (t_v + half) / (s1_v - half) + half, row.key


@pytest.mark.parametrize("key", EXAMPLES)
def test_predictions_on_five_clips_are_fifths_and_top5_has_all_of_top1(key: str) -> None:
    for row in PAGE.tables[key].rows:
        assert all(round(5 * share, 9).is_integer() for share in row.published)
        assert all(one <= five for one, five in zip(row.published[::2], row.published[1::2], strict=True))


def _lstm(n: int) -> int:
    """Three ConvLSTM cells, each four gates from an input and a recurrent 3x3 convolution, a batch norm."""
    cells = sum(4 * n * (9 * (inputs + n) + 2) + 2 * n for inputs in (1, n, n))
    return cells + (64 * n * 5 + 5)


def _cnn(n: int) -> int:
    """Three 3x3x3 convolutions with batch norm, and a linear layer on N x 2 x 8 x 8."""
    return sum(27 * inputs * n + n + 2 * n for inputs in (1, n, n)) + (128 * n * 5 + 5)


def _attention(width: int) -> int:
    """Patches of 256, a class token, three layers of two attentions and a gated MLP, a head with norm."""
    attention = 2 * width + 3 * width**2 + (width**2 + width)
    gated = 2 * width + (8 * width**2 + 8 * width) + (4 * width**2 + width)
    return (256 * width + width) + width + 3 * (2 * attention + gated) + 2 * width + (5 * width + 5)


COUNTS = {
    "cnn3d": _cnn,
    "convlstm": _lstm,
    "timesformer-8": lambda n: _attention(8 * n),
    "timesformer-1": _attention,
}


def test_every_parameter_count_of_table_8_follows_from_the_layers_but_one() -> None:
    places = [place for place in PRINTED if place[0] == "table-8"]
    wrong = {place for place in places if PRINTED[place] != COUNTS[place[2]](int(place[1]))}
    assert len(places) == 36
    assert wrong == {("table-8", "2", "timesformer-8")}


def test_the_misprint_of_table_8_is_a_count_of_no_width_and_its_reason_has_the_right_one() -> None:
    (row,) = (row for row in PAGE.tables["table-8"].rows if row.key == "2")
    misprint = row.published[2]
    assert isinstance(misprint, Quoted)
    assert misprint.value not in {_attention(width) for width in range(1, 400)}
    assert str(_attention(16)) in misprint.why


def test_widths_are_eight_heads_in_tables_9_and_10() -> None:
    for row in PAGE.tables["table-10"].rows:
        assert PRINTED["table-10", row.key, "width"] == 8 * PRINTED["table-10", row.key, "head-width"]
    for row in PAGE.tables["table-9"].rows:
        if match := re.fullmatch(r"depth \d+, D (\d+), D_h (\d+)", row.published[2]):
            assert int(match[1]) == 8 * int(match[2])


def test_every_layer_of_table_9_has_a_filter_size_but_for_one_list_that_a_note_names() -> None:
    short = set()
    for row, column in product(PAGE.tables["table-9"].rows, (0, 1)):
        printed = as_printed(row.published[column])
        widths, filters = (part.split(",") for part in printed.split("; "))
        if len(widths) != len(filters):
            short.add((row.key, len(widths), len(filters)))
    assert short == {("d", 11, 10)}
    assert "Row d" in PAGE.tables["table-9"].note
