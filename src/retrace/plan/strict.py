"""The base of every type that is read from a page: frozen, and no key it does not know."""

import difflib
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

Fraction = Annotated[float, Field(ge=0, le=1)]
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
Name = Annotated[str, Field(pattern=NAME)]
"""A name that may become a part of a path: it can neither climb out of a folder nor hide."""


def nearest(word: str, valid: Iterable[str]) -> str:
    """Return a hint that names the valid word closest to `word`, or all of them if none is close."""
    valid = sorted(valid)
    close = difflib.get_close_matches(str(word), valid, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"valid: {', '.join(valid)}" if valid else "nothing is valid here"


def mistake(message: str, *at: str | int) -> PydanticCustomError:
    """Return the error for a validator to raise: what is wrong, and at which key below the value in hand."""
    return PydanticCustomError("mistake", "{message}", {"message": message, "at": at})


def absent(value: object) -> bool:
    """Tell whether a key is absent: one that a hashed type got later is then left out, and no hash moves."""
    return value is None


class Strict(BaseModel):
    """A frozen value. A key it does not know is an error that names the nearest one it does."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_key(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    raise mistake(f"unknown key '{key}'; {nearest(str(key), cls.model_fields)}", key)
        return data
