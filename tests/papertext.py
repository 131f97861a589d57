"""What tests read of a paper: our page of it, and the text that the page was typed from.

The texts lie next to the checkout and are never part of it: a test that needs one skips without it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrace.plan.load import read, validate
from retrace.plan.page import Column, Paper, Published, Quoted, Table
from retrace.plan.protocols import extended

ROOT = Path(__file__).resolve().parents[1]
TEXTS = ROOT.parent / "shared" / "papers"

Cells = list[list[str]]
"""The rows of a printed table, each a list of cells without markup."""

_NUMBER = re.compile(r"(?<![\w.])[+-]?\d+(?:\.\d+)?")
_MARKUP = re.compile(r"</?[a-z]+>|\*\*|\$")
_RULE = re.compile(r"[|\s:-]+")


def page(paper: str) -> Paper:
    """Return the page of `paper` alone, with no scale applied."""
    path = ROOT / "papers" / f"{paper}.yaml"
    return validate(Paper, extended(read(path, ROOT))[0])


def paper_text(start: str) -> str:
    """Return the text whose file name starts with `start`; skip the test where it is absent."""
    found = sorted(TEXTS.glob(f"{start}*.txt"))
    if not found:
        pytest.skip("the texts of the papers are not here")
    return found[0].read_text(encoding="utf-8")


def running(text: str) -> str:
    """Return `text` without markup and line breaks, as one line."""
    return " ".join(_MARKUP.sub("", text).split())


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


def assert_backed(fragment: str, value: float | int | str, text: str) -> None:
    """Assert that `fragment` stands in the running `text`, and that it has all numbers of `value`."""
    assert fragment in text, f"'{fragment}' is not in the text"
    wanted = numbers(value) if isinstance(value, str) else [abs(float(value))]
    there = iter(numbers(fragment))
    assert all(number in there for number in wanted), f"'{fragment}' does not say {value}"


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


def _cells(line: str) -> list[str] | None:
    if "\t" in line:
        cells = line.split("\t")
    elif line.lstrip().startswith("|"):
        cells = line.strip().strip("|").split("|")
    else:
        return None
    return [" ".join(_MARKUP.sub("", cell).split()) for cell in cells]
