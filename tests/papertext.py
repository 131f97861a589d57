"""What tests read of a paper: our page of it, and the text that the page was typed from.

The texts lie next to the checkout and are never part of it: a test that needs one skips without it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from retrace.plan.extension import extended
from retrace.plan.items import Column, Published, Quoted, Table
from retrace.plan.load import read
from retrace.plan.mistakes import checked
from retrace.plan.page import Paper

ROOT = Path(__file__).resolve().parents[1]
TEXTS = ROOT.parent / "shared" / "papers"

Cells = list[list[str]]
"""The rows of a printed table, each a list of cells without markup."""

_NUMBER = re.compile(r"(?<![\w.])[+-]?\d+(?:\.\d+)?")
_DIGITS = re.compile(r"\d+(?:\.\d+)*")
_MARKUP = re.compile(r"</?[a-z]+>|\*\*|\$")
_RULE = re.compile(r"[|\s:-]+")
TIMES = "\N{MULTIPLICATION SIGN}"
_SIGNS = {r"\times": TIMES, r"\Delta": "Δ"}


def page(paper: str) -> Paper:
    """Return the page of `paper` alone, with no scale applied."""
    path = ROOT / "papers" / f"{paper}.yaml"
    page, _ = extended(read(path, ROOT))
    return checked(Paper.model_validate, page.data, page)


def paper_text(start: str) -> str:
    """Return the text whose file name starts with `start`; skip the test where it is absent."""
    found = sorted(TEXTS.glob(f"{start}*.txt"))
    if not found:
        pytest.skip("the texts of the papers are not here")
    return found[0].read_text(encoding="utf-8")


def oracle(paper: str, key: str) -> Any:
    """Return one part of the figures measured with the authors' code; skip the test where they are absent."""
    file = TEXTS.parent / "oracles" / f"{paper}.json"
    if not file.exists():
        pytest.skip("the figures measured with the authors' code are not here")
    return json.loads(file.read_text(encoding="utf-8"))[key]


def running(text: str) -> str:
    """Return `text` without markup and line breaks, as one line, with ``x`` for every multiplication sign."""
    plain_text = _MARKUP.sub("", text).replace(r"\times", "x").replace(TIMES, "x")
    return " ".join(plain_text.split())


def tables(text: str) -> list[Cells]:
    """Return every run of consecutive lines that are cells between tabs or between bars."""
    found: list[Cells] = [[]]
    for line in text.splitlines():
        cells = _cells(line)
        if cells is None:
            found.append([])
        elif not _RULE.fullmatch(line):
            found[-1].append(cells)
    return [table for table in found if table]


def table_with(text: str, *words: str) -> Cells:
    """Return the one table of `text` that has a cell equal to each of `words`."""
    found = [t for t in tables(text) if set(words) <= {cell for row in t for cell in row}]
    assert len(found) == 1, f"{len(found)} tables have the cells {words}"
    return found[0]


def numbers(printed: str) -> list[float]:
    """Return the numbers in `printed`, in order: ``3-5s@12fps`` gives 3, 5 and 12; ``I3D`` gives none."""
    return [float(number) for number in _NUMBER.findall(printed)]


def as_printed(value: Published) -> float | int | str | None:
    """Return what the page says is printed, or None: a value known from elsewhere is not printed."""
    if isinstance(value, Quoted):
        return value.value if value.source == "paper" else None
    return value


def spelt(value: Published, column: Column) -> str:
    """Return `value` as a table prints it: with the decimals of its column, and nothing for None."""
    value = as_printed(value)
    if value is None or isinstance(value, str) or column.decimals is None:
        return "" if value is None else str(value)
    return f"{value:.{column.decimals}f}"


def spelt_rows(table: Table) -> Cells:
    """Return the rows of `table` as they would be printed, without the row labels."""
    return [
        [spelt(value, column) for value, column in zip(row.published, table.columns, strict=True)]
        for row in table.rows
    ]


def printed_cells(paper: Paper) -> dict[tuple[str, str, str], float | int | str]:
    """Return every printed value of every table by (table, row, column)."""
    return {
        (key, row.key, column.key): value
        for key, table in paper.tables.items()
        for row in table.rows
        for column, published in zip(table.columns, row.published, strict=True)
        if (value := as_printed(published)) is not None
    }


def assert_said(paper: Paper, words: Mapping[str, Mapping[str, str]], text: str) -> None:
    """Assert that `words` of `text` back every printed cell of the tables that rest on running text.

    `words` has for each such table, by ``row column``, what the paper says; the digits of the cell, those
    in names too, must stand in it in the same order. A sign need not: a paper may print a change as a loss.
    """
    line = running(text)
    cells = {(t, f"{r} {c}"): v for (t, r, c), v in printed_cells(paper).items() if t.startswith("text-")}
    said = {(table, cell): said for table, part in words.items() for cell, said in part.items()}
    assert said.keys() == cells.keys()
    for place, fragment in said.items():
        there = iter(_DIGITS.findall(fragment.replace("one million", "1000 thousand")))
        assert fragment in line, f"{place}: '{fragment}' is not in the text"
        wanted = _DIGITS.findall(str(cells[place]))
        assert all(digits in there for digits in wanted), f"{place}: '{fragment}' lacks {cells[place]}"


def prose(paper: Paper) -> Iterator[str]:
    """Yield every title, note, claim and reason of a page: what must be in our own words."""
    for item in (*paper.tables.values(), *paper.figures.values()):
        yield from filter(None, (item.title, item.note, item.not_run))
    for table in paper.tables.values():
        for row in table.rows:
            yield from filter(None, (row.label, row.note, row.not_run))
            yield from (value.why for value in row.published if isinstance(value, Quoted))
    for claim in paper.claims.values():
        yield from filter(None, (claim.says, claim.why, claim.not_run))


def copied(ours: str, text: str, words: int = 7) -> list[str]:
    """Return every run of so many `words` that `ours` shares with `text`."""
    mine, theirs = (re.findall(r"\w+", part.lower()) for part in (ours, text))
    known = {tuple(theirs[i : i + words]) for i in range(len(theirs) - words + 1)}
    runs = (tuple(mine[i : i + words]) for i in range(len(mine) - words + 1))
    return [" ".join(run) for run in runs if run in known]


def plain(cell: str) -> str:
    """Return `cell` without reference numbers and TeX: ``TSM_{Flow} [3]`` is ``TSM Flow``."""
    cell = re.sub(r"\[\d+\]", "", cell).replace("_{", " ")
    cell = re.sub(r"\\[A-Za-z]+", lambda word: _SIGNS.get(word[0], ""), cell)
    cell = re.sub(r"\{(\w*)\}_?|\}", r"\1", cell)  # what \text{res}_3 and TSM_{Flow} have left of TeX
    return " ".join(re.sub(rf"\s*{TIMES}\s*", TIMES, cell).split())


def mistakes(table: Table, printed: Cells, names: Mapping[str, str] | None = None) -> list[str]:
    """Return every place where `table` differs from the `printed` rows, the first of which is the header.

    The first cell of each printed row is its label. `names` translates the paper's labels, of rows and
    columns, to the page's. Compares labels, values, and the decimals of columns that state them.
    """
    header, *rows = printed
    labels = [(names or {}).get(label, label) for label in (*header[1:], *(row[0] for row in rows))]
    found = _unlike("labels", [item.label for item in (*table.columns, *table.rows)], labels)
    if found:
        return found
    for row, (label, *cells) in zip(table.rows, rows, strict=True):
        for column, published, cell in zip(table.columns, row.published, cells, strict=True):
            place = f"{label}, {column.label}"
            said = cell if column.unit == "text" else _said(cell)
            found += _unlike(place, as_printed(published), said)
            if column.decimals is not None and isinstance(said, float):
                found += _unlike(
                    f"decimals of {place}", column.decimals, len(cell.partition(".")[2].rstrip(" GM%"))
                )
    return found


def _said(cell: str) -> float | str | None:
    """Return what a printed cell says: a number without its unit, a word, or None for a dash or nothing."""
    if match := re.fullmatch(r"([+-]?\d+(?:\.\d+)?) ?[%GM]?", cell):
        return float(match[1])
    return None if cell in ("", "-") else cell


def _unlike(place: str, ours: object, theirs: object) -> list[str]:
    return [] if ours == theirs else [f"{place}: the page says {ours!r}, the paper {theirs!r}"]


def _cells(line: str) -> list[str] | None:
    if "\t" in line:
        cells = line.split("\t")
    elif line.lstrip().startswith("|"):
        cells = line.strip().strip("|").split("|")
    else:
        return None
    return [" ".join(_MARKUP.sub("", cell).split()) for cell in cells]
