"""Where the videos of a user lie: patterns of a page, filled in, and looked up below one folder.

What fills a pattern comes from annotations, which nobody vouches for: no path made here leaves the folder.
"""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from string import Formatter

from retrace.data.sources.entry import Entry
from retrace.errors import UserError
from retrace.plan.strict import nearest
from retrace.plan.video import SplitName

_FIELDS = ("id", "class", "class_", "split", "start", "end")
_NUMBERS = ("start", "end")
_NUMBER_FORMAT = re.compile(r"0?\d{0,2}d?")
_LONGEST_NAME = 255
_LONGEST_PATH = 1024
_DEEPEST = 32
_SHOWN = 8
_COMPARED = 1000


def flaw(path: str) -> str | None:
    """Return why a relative path, or an id that becomes part of one, is not to be used; None if it may be."""
    if not path:
        return "is empty"
    if not path.isprintable():
        return "holds characters that cannot be printed"
    if "\\" in path:
        return "holds a backslash"
    if path[0] == "/":
        return "is an absolute path"
    parts = path.split("/")
    if len(parts) > _DEEPEST or len(path.encode()) > _LONGEST_PATH:
        return "is too long"
    for part in parts:
        if part in ("", ".", ".."):
            return f"holds '{part}' as the name of a folder or file"
        if len(part.encode()) > _LONGEST_NAME:
            return "holds a name that is too long"
    return None


def inside(root: Path, path: str) -> Path:
    """Return `path`, as a manifest has it, below `root`. Raises UserError if it leads out of `root`."""
    reason = flaw(path)
    if reason is None and not _contains(os.path.realpath(root), os.path.realpath(root / path)):
        reason = "leads out of it"
    if reason is not None:
        raise UserError(f"{path[:_LONGEST_NAME]!r} is no place below {root}: it {reason}")
    return root / path


class Pattern:
    """A path with {id}, {class}, {split}, {start}, {end} in it; {class_} has underscores for spaces.

    Raises UserError for any other field: what is filled in is never asked for attributes or items.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._fields = _fields(text)
        sample = text.format_map(dict.fromkeys(_FIELDS, "x") | dict.fromkeys(_NUMBERS, 0))
        if reason := flaw(sample):
            raise UserError(
                f"files.videos: the pattern '{text}' {reason}; expected a path below the data's folder"
            )

    def fill(self, values: Mapping[str, str | int | None]) -> str | None:
        """Return the path for one video, or None where it lacks a value that the pattern asks for."""
        if any(values[name] is None for name in self._fields):
            return None
        return self.text.format_map(values)


def values(entry: Entry, split: SplitName) -> dict[str, str | int | None]:
    """Return what fills a pattern. Times are cut to whole numbers, as the publishers' tools cut them."""
    return {
        "id": entry.video,
        "class": entry.label,
        "class_": entry.label and entry.label.replace(" ", "_"),
        "split": split,
        "start": None if entry.start is None else int(entry.start),
        "end": None if entry.end is None else int(entry.end),
    }


class Place(Enum):
    """What lies at a path."""

    NOTHING = "there is nothing"
    VIDEO = "a file or a folder of frames"
    OUTSIDE = "is, or lies behind, a link that leads out of the data's folder"
    ODD = "is no file and no folder"


class Tree:
    """What lies below a folder. A folder is read once, when it is first asked for; no file is ever touched.

    So a million videos cost one listing for each folder that holds some, and the frames inside of a folder
    of frames are never listed.
    """

    def __init__(self, root: Path) -> None:
        """Raise UserError if `root` is no folder."""
        self.root = root
        self._real = os.path.realpath(root)
        self._folders: dict[str, dict[str, Place] | Place] = {}
        if not root.is_dir():
            raise UserError(
                f"{root} is no folder; expected the one that holds the videos and their annotations"
            )

    def find(self, path: str) -> Place:
        """Return what lies at a relative path without flaw."""
        folder, _, name = path.rpartition("/")
        names = self._folder(folder)
        return names.get(name, Place.NOTHING) if isinstance(names, dict) else names

    def describe(self, path: str) -> str:
        """Return what lies where `path` was looked for: the deepest folder on its way that exists."""
        folder, _, name = path.rpartition("/")
        while folder and not isinstance(self._folder(folder), dict):
            folder, _, name = folder.rpartition("/")
        names = self._folder(folder)
        where = f"the folder {folder}/" if folder else "the folder"
        if not isinstance(names, dict) or not names:
            return f"{where} is empty"
        known = sorted(other for other in names if other.isprintable())
        listed = ", ".join(self._shown(folder, other) for other in known[:_SHOWN])
        more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
        if name in names:
            return f"{where} has {listed}{more}; {name} {names[name].value}"
        close = difflib.get_close_matches(name, known[:_COMPARED], n=1)
        hint = f"; nearest: {close[0]}" if close else ""
        return f"{where} has {listed}{more}, but no {name}{hint}"

    def _folder(self, path: str) -> dict[str, Place] | Place:
        found = self._folders.get(path)
        if found is None:
            place = self.find(path) if path else Place.VIDEO
            found = self._listing(path) if place is Place.VIDEO else place
            self._folders[path] = found
        return found

    def _listing(self, path: str) -> dict[str, Place] | Place:
        try:
            with os.scandir(self.root / path) as entries:
                return {entry.name: self._place(entry) for entry in entries}
        except (NotADirectoryError, FileNotFoundError):
            return Place.NOTHING
        except OSError as error:
            raise UserError(f"{self.root / path} cannot be listed: {error.strerror}") from error

    def _place(self, entry: os.DirEntry[str]) -> Place:
        if not entry.is_symlink():
            return Place.VIDEO if entry.is_file() or entry.is_dir() else Place.ODD
        target = Path(os.path.realpath(entry.path))
        if not _contains(self._real, str(target)):
            return Place.OUTSIDE
        return Place.VIDEO if target.is_file() or target.is_dir() else Place.ODD

    def _shown(self, folder: str, name: str) -> str:
        return f"{name}/" if (self.root / folder / name).is_dir() else name


def first_of(root: Path, names: Iterable[str]) -> str | None:
    """Return the name of the first of some files that exists below `root`."""
    return next((name for name in names if (root / name).is_file()), None)


def _contains(root: str, path: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def _fields(text: str) -> tuple[str, ...]:
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise UserError(f"files.videos: the pattern '{text}' cannot be read: {error}") from error
    fields = []
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if name not in _FIELDS:
            hint = nearest(name, _FIELDS)
            raise UserError(f"files.videos: the pattern '{text}' has the unknown field {{{name}}}; {hint}")
        if conversion or (form and not (name in _NUMBERS and _NUMBER_FORMAT.fullmatch(form))):
            raise UserError(
                f"files.videos: the pattern '{text}' formats {{{name}}}; only start and end may be, "
                "as in {start:06d}"
            )
        fields.append(name)
    if "id" not in fields:
        raise UserError(f"files.videos: the pattern '{text}' lacks {{id}}")
    return tuple(fields)
