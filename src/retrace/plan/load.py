"""Reading a YAML page: its data, the line of every key, and where values not printed come from."""

import re
from pathlib import Path as FilePath
from typing import Any, NamedTuple, NoReturn

import yaml
from yaml.constructor import SafeConstructor

from retrace.errors import UserError
from retrace.plan.strict import NAME, nearest

Key = tuple[str | int, ...]

ORIGINS = ("main_paper", "code", "measured", "derived", "assumed")
SOURCED = ("value", "source", "why")
"""The keys of a value that the paper does not print."""


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
    node = _composed(path, file)
    if not isinstance(node, yaml.MappingNode):
        raise UserError(f"{file}: a page is a mapping of keys to values, and this is not one")
    reader = _Reader(file)
    try:
        data = reader.plain(node, ())
    except RecursionError as error:
        raise UserError(f"{file}: is nested too deep, or an alias stands within itself") from error
    return Document(file, data, reader.lines, tuple(reader.assumptions))


def documents(root: FilePath, folder: str) -> dict[str, Document]:
    """Read every page in a folder below `root`, by name."""
    return {name: read(path, root) for name, path in files(root, folder).items()}


def files(root: FilePath, folder: str) -> dict[str, FilePath]:
    """Return the pages in a folder by name. Raises UserError if a name cannot be a part of a path."""
    found = {path.stem: path for path in sorted((root / folder).glob("[!.]*.yaml"))}
    for name, path in found.items():
        if not re.fullmatch(NAME, name):
            raise UserError(
                f"{path.relative_to(root)}: the name of a page has letters, digits and . _ - only"
            )
    return found


def _composed(path: FilePath, file: str) -> yaml.Node | None:
    try:
        return yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=yaml.CSafeLoader)
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UserError(f"{file}:{line}: is not UTF-8 text (byte {error.start})") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{file}:{line}: is not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise UserError(f"{file}: is not YAML: {' '.join(str(error).split())}") from error


class _Reader:
    """Turns the nodes of one file into plain data, noting lines and assumptions on the way."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[Key, int] = {}
        self.assumptions: list[Assumption] = []

    def plain(self, node: yaml.Node, key: Key) -> Any:
        self.lines.setdefault(key, node.start_mark.line + 1)
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(child, (*key, i)) for i, child in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._without_source(self._mapping(node, key), key)
        try:
            return SafeConstructor().construct_object(node)
        except (yaml.YAMLError, ValueError):
            self._fail(key, f"'{node.value}' is not a plain value")

    def _mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for name_node, child in node.value:
            name, line = str(name_node.value), name_node.start_mark.line + 1
            inner = (*key, name)
            if name in data:
                first, self.lines[inner] = self.lines[inner], line
                self._fail(inner, f"stands here for the second time, the first is in line {first}")
            self.lines[inner] = line
            data[name] = self.plain(child, inner)
        return data

    def _without_source(self, value: dict[str, Any], key: Key) -> Any:
        """Replace `{value, source, why}` by its value and note it; published numbers keep theirs."""
        if "value" not in value or "published" in key:
            return value
        if value.keys() != set(SOURCED):
            self._fail(
                key, f"a value with a source has the keys value, source and why, not {', '.join(value)}"
            )
        source, why = value["source"], value["why"]
        if source not in ORIGINS:
            self._fail((*key, "source"), f"unknown source '{source}'; {nearest(source, ORIGINS)}")
        if not isinstance(why, str) or not why.strip():
            self._fail((*key, "why"), "should say in words why the value is what it is")
        self.assumptions.append(Assumption(self.file, self.lines[key], key, value["value"], source, why))
        return value["value"]

    def _fail(self, key: Key, message: str) -> NoReturn:
        raise UserError(Document(self.file, None, self.lines, ()).problem(key, message))
