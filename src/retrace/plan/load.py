"""Reading a YAML page: its data, the line of every key, and where values not printed come from."""

from pathlib import Path as FilePath
from typing import Any, NamedTuple, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from yaml.constructor import SafeConstructor

from retrace.errors import UserError
from retrace.plan.strict import nearest

Key = tuple[str | int, ...]
T = TypeVar("T", bound=BaseModel)

ORIGINS = ("main_paper", "code", "measured", "derived", "assumed")


class Assumption(NamedTuple):
    """A value that the paper does not print: where it stands, what it is, whence and why."""

    file: str
    line: int
    key: Key
    value: Any
    source: str
    why: str


class Document(NamedTuple):
    """A YAML file: plain data, line numbers by key path, and the assumptions taken out of it."""

    file: str
    data: Any
    lines: dict[Key, int]
    assumptions: tuple[Assumption, ...]

    def line(self, key: Key) -> int:
        """Return the line of `key`, or of the nearest key above it that the file spells out."""
        while key not in self.lines and key:
            key = key[:-1]
        return self.lines.get(key, 1)

    def problem(self, key: Key, message: str) -> str:
        """Return `message` with its place in front: file, line and key."""
        where = ".".join(str(part) for part in key)
        return f"{self.file}:{self.line(key)}: {where}: {message}" if where else f"{self.file}: {message}"


def read(path: FilePath, root: FilePath) -> Document:
    """Read the page at `path`; name it relative to `root`.

    Raises UserError if the file cannot be read, is not YAML, is not a mapping, repeats a key, or holds
    a value marked with a source but without a reason.
    """
    file = path.relative_to(root).as_posix()
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: is not UTF-8 text (byte {error.start})") from error
    except yaml.YAMLError as error:
        raise UserError(f"{file}: is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(node, yaml.MappingNode):
        raise UserError(f"{file}: a page is a mapping of keys to values, and this is not one")
    lines: dict[Key, int] = {}
    assumptions: list[Assumption] = []
    data = _plain(node, (), file, lines, assumptions)
    return Document(file, data, lines, tuple(assumptions))


def validate(model: type[T], document: Document) -> T:
    """Return the content of `document` as `model`. Raises UserError listing every mistake."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise UserError("\n".join(problems(document, error, [()]))) from error


def problems(document: Document, error: ValidationError, roots: list[Key]) -> list[str]:
    """Return one line per mistake in `error`, placed under the first of `roots` whose file spells its key."""
    found = []
    for detail in error.errors():
        keys = [_spelt(document, root, detail) for root in roots]
        found.append(document.problem(max(keys, key=lambda key: key in document.lines), _message(detail)))
    return found


def _spelt(document: Document, root: Key, detail: ErrorDetails) -> Key:
    """Return the key of a mistake as the file spells it.

    Pydantic's location also holds the tag of a chosen union member, which no file spells: it is dropped.
    """
    context = detail.get("ctx", {})
    extra = tuple(context.get("at", ())) or ((context["key"],) if detail["type"] == "unknown_key" else ())
    *above, last = (*detail["loc"], *extra) or ("",)
    key = root
    for part in above:
        if (*key, part) in document.lines:
            key = (*key, part)
    return (*key, last) if last != "" else key


def _message(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "union_tag_invalid":
            valid = [tag.strip("' ") for tag in context["expected_tags"].split(",")]
            return f"unknown {context['discriminator']} '{context['tag']}'; {nearest(context['tag'], valid)}"
        case "literal_error":
            valid = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
            return f"'{detail['input']}' is not known here; {nearest(str(detail['input']), valid)}"
        case "missing":
            return "is missing"
        case "unknown_key" | "row_length" | "twice":
            return detail["msg"]
        case _:
            return f"{detail['msg'][0].lower()}{detail['msg'][1:]} (got {detail['input']!r})"


def _plain(node: yaml.Node, key: Key, file: str, lines: dict[Key, int], assumptions: list[Assumption]) -> Any:
    lines.setdefault(key, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child, (*key, i), file, lines, assumptions) for i, child in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        value = _mapping(node, key, file, lines, assumptions)
        return _without_source(value, key, file, lines, assumptions)
    return SafeConstructor().construct_object(node)


def _mapping(
    node: yaml.MappingNode, key: Key, file: str, lines: dict[Key, int], assumptions: list[Assumption]
) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name_node, child in node.value:
        name = str(name_node.value)
        line = name_node.start_mark.line + 1
        if name in data:
            raise UserError(f"{file}:{line}: key '{name}' stands here for the second time")
        lines[(*key, name)] = line
        data[name] = _plain(child, (*key, name), file, lines, assumptions)
    return data


def _without_source(
    value: dict[str, Any], key: Key, file: str, lines: dict[Key, int], assumptions: list[Assumption]
) -> Any:
    """Replace `{value, source, why}` by its value and note it; published numbers keep theirs."""
    if not {"value", "source"} <= value.keys() or "published" in key:
        return value
    at = f"{file}:{lines[key]}"
    if value["source"] not in ORIGINS:
        raise UserError(f"{at}: unknown source '{value['source']}'; {nearest(value['source'], ORIGINS)}")
    if set(value) != {"value", "source", "why"}:
        raise UserError(
            f"{at}: a value with a source has the keys value, source and why, not {sorted(value)}"
        )
    assumptions.append(Assumption(file, lines[key], key, value["value"], value["source"], value["why"]))
    return value["value"]
