"""What is wrong with a page, in plain lines: file, line, key, what was expected, the nearest name."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from retrace.errors import UserError
from retrace.plan.load import Document, Key
from retrace.plan.strict import nearest

T = TypeVar("T")

_WANTED = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "tuple": "a list",
    "dict": "a mapping",
    "model": "a mapping",
}
"""What pydantic's errors `<type>_type`, `<type>_parsing` and the like ask for."""

_GIVEN = {dict: "a mapping", list: "a list", type(None): "nothing"}


def checked(check: Callable[[Any], T], data: Any, document: Document, roots: Sequence[Key] = ((),)) -> T:
    """Return `check(data)`, where `data` is the sum of what `document` holds under each of `roots`.

    `roots` are in the order of their weight: what the first one says stands. Raises UserError with one line
    per mistake that pydantic finds.
    """
    try:
        return check(data)
    except ValidationError as error:
        raise UserError("\n".join(_lines(error.errors(), document, roots))) from error


def _lines(details: Iterable[ErrorDetails], document: Document, roots: Sequence[Key]) -> list[str]:
    """Return one line per mistake: a page that says a thing once and uses it twice has made one mistake."""
    by_key: dict[Key, list[ErrorDetails]] = {}
    for detail in details:
        by_key.setdefault(_place(document.lines, roots, detail), []).append(detail)
    found: dict[tuple[int, Key, str], str] = {}
    for key, same in by_key.items():
        message = _message(same)
        found.setdefault((document.line(key), key[-1:], message), document.problem(key, message))
    return list(found.values())


def _place(lines: Mapping[Key, int], roots: Sequence[Key], detail: ErrorDetails) -> Key:
    """Return the key of a mistake, under the root that spells most of it.

    What is missing, or spelt under no root, is placed under the last one, the widest.
    """
    missing = detail["type"] in ("missing", "union_tag_not_found")
    keys = [(_spelt(lines, root, detail), len(root)) for root in roots]
    most = max(len(key) - above for key, above in keys)
    same = [key for key, above in keys if len(key) - above == most]
    key = same[-1 if missing or not most else 0]
    if detail["type"] == "missing":
        return (*key, detail["loc"][-1])
    if detail["type"] == "union_tag_not_found":
        return (*key, _discriminator(detail))
    return key


def _spelt(lines: Mapping[Key, int], root: Key, detail: ErrorDetails) -> Key:
    """Return the key of a mistake as the file spells it.

    Pydantic's location also holds the names of union members, which no file spells: they are dropped.
    """
    key = root
    parts = (*detail["loc"], *detail.get("ctx", {}).get("at", ()))
    if detail["type"] == "union_tag_invalid":
        parts = (*parts, _discriminator(detail))
    for part in parts:
        if (*key, part) in lines:
            key = (*key, part)
    return key


def _discriminator(detail: ErrorDetails) -> str:
    return str(detail["ctx"]["discriminator"]).strip("'")


def _message(details: Sequence[ErrorDetails]) -> str:
    """Return what is wrong at one key; the members of a union each have their say."""
    wanted = dict.fromkeys(_WANTED.get(detail["type"].split("_")[0]) for detail in details)
    if None in wanted or any(detail["type"] == "string_pattern_mismatch" for detail in details):
        return _plain(details[0])
    if "a number" in wanted:
        wanted.pop("a whole number", None)
    return f"should be {' or '.join(map(str, wanted))}{_got(details[0]['input'])}"


def _plain(detail: ErrorDetails) -> str:
    context, given = detail.get("ctx", {}), detail["input"]
    match detail["type"]:
        case "mistake":
            return detail["msg"]
        case "missing" | "union_tag_not_found":
            return "is missing"
        case "union_tag_invalid":
            valid = [tag.strip("' ") for tag in context["expected_tags"].split(",")]
            return f"unknown {_discriminator(detail)} '{context['tag']}'; {nearest(context['tag'], valid)}"
        case "literal_error":
            valid = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
            return f"'{given}' is not known here; {nearest(str(given), valid)}"
        case "string_pattern_mismatch":
            return f"'{given}' cannot be a name: letters, digits and . _ - only, a letter or digit first"
        case _:
            return detail["msg"].removeprefix("Input ") + _got(given)


def _got(given: Any) -> str:
    return f" (got {_GIVEN.get(type(given), repr(given))})"
