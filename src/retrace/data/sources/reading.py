"""Text that others wrote: every error names the file, the place and what was expected."""

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TextIO, TypeGuard

from retrace.errors import UserError

_LONGEST_LINE = 1 << 20
_LONGEST_GIVEN = 60
_DIGITS = re.compile(r"[0-9]{1,9}")


def wrong(path: Path, place: str, expected: str) -> UserError:
    """Return the error to raise about one place of a file."""
    return UserError(f"{path}, {place}: {expected}")


def lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 file with their ends; a byte order mark is skipped.

    Raises UserError where the file cannot be read, is not UTF-8 or has a line of more than a mebibyte.
    """
    with _utf8(path) as file:
        number = 0
        while line := file.readline(_LONGEST_LINE):
            number += 1
            if len(line) == _LONGEST_LINE:
                raise wrong(path, f"line {number}", f"the line has more than {_LONGEST_LINE} characters")
            yield line


def rows(path: Path, delimiter: str = ",", quoted: bool = True) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the line and the cells of every row of a CSV file; empty lines are skipped.

    Raises UserError like `lines`, and where quotes are not closed on their line.
    """
    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    reader = csv.reader(lines(path), delimiter=delimiter, quoting=quoting, strict=True)
    while True:
        place = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise wrong(path, f"line {place}", f"expected a row of a CSV file ({error})") from error
        if row is None:
            return
        if reader.line_num > place:
            raise wrong(
                path, f"line {place}", f"a quote opens here and closes on line {reader.line_num} only"
            )
        if row:
            yield place, row


def document(path: Path, expected: type[list] | type[dict]) -> Any:
    """Return what a JSON file holds. Raises UserError where it is no JSON or not of the `expected` type."""
    with _utf8(path) as file:
        text = file.read()  # all at once: these files are often a single line
    try:
        found = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
        hint = "; is it cut off here?" if cut else ""
        raise wrong(path, where, f"expected JSON ({error.msg}){hint}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: expected JSON ({error})") from error
    if not isinstance(found, expected):
        raise UserError(f"{path}: expected {_name(expected)}, got {given(found)}")
    return found


def objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number, from 1, and the fields of every object in a JSON list."""
    for place, found in enumerate(document(path, list), start=1):
        if not isinstance(found, dict):
            raise wrong(path, f"entry {place}", f"expected an object, got {given(found)}")
        yield place, found


def identifier(path: Path, place: int, fields: dict[str, Any], key: str) -> str:
    """Return the id of a video in a JSON object: text, or a whole number, which is written in decimal."""
    found = fields.get(key)
    if isinstance(found, str) or is_whole(found):
        return str(found)
    expected = f"expected an id under '{key}', text or a whole number, got {given(found)}"
    raise wrong(path, f"entry {place}", expected)


def number(path: Path, place: str, name: str, text: str | float) -> float:
    """Return a time or a frame number: finite and not negative."""
    try:
        value = float(text)
    except (ValueError, OverflowError):
        value = math.nan
    if not 0 <= value < math.inf:
        raise wrong(path, place, f"expected a number of at least 0 as '{name}', got {given(text)}")
    return value


def in_order(path: Path, indices: Iterable[tuple[str, Any]]) -> list[str]:
    """Return class names by their published index. Raises UserError if the indices are not 0, 1, 2, ..."""
    found = list(indices)
    names: dict[int, str] = {}
    for name, text in found:
        index = int(text) if is_whole(text) or _DIGITS.fullmatch(str(text)) else -1
        if not 0 <= index < len(found) or index in names:
            expected = f"expected the indices 0 to {len(found) - 1}, each once"
            raise UserError(f"{path}: {expected}; {given(name)} has {given(text)}")
        names[index] = name
    return [names[index] for index in range(len(names))]


def is_whole(value: Any) -> TypeGuard[int]:
    """Whether a value of a JSON file is a whole number: true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def given(value: Any) -> str:
    """Return how an error message names a value of a file, however large it is."""
    if value is None:
        return "nothing"
    if isinstance(value, (list, dict)):
        return _name(type(value))
    text = repr(value) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _LONGEST_GIVEN else f"{text[:_LONGEST_GIVEN]}..."


@contextmanager
def _utf8(path: Path) -> Iterator[TextIO]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except UnicodeDecodeError as error:
        raise wrong(path, f"line {_undecodable(path)}", f"expected UTF-8 text ({error.reason})") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error


def _name(kind: type) -> str:
    return {list: "a list", dict: "an object"}[kind]


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _undecodable(path: Path) -> int:
    """Return the first line that is not UTF-8: the decoder itself works ahead of the line being read."""
    with path.open("rb") as file:
        for count, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return count
    return count
