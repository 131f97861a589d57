"""The user's configuration: config.yaml, or what Snakemake was given on its command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from retrace.plan.load import Document, read
from retrace.plan.mistakes import checked
from retrace.plan.strict import Fraction, Name, Strict

FILE = "config.yaml"


class Config(Strict):
    """Which scale to run, and where the user's own files are."""

    scale: str = Field(description="name of a file in scales/, without .yaml")
    mnist: str = Field(description="folder with the MNIST files")
    data: dict[Name, str] = Field(description="folder with the videos of a dataset, by the dataset's name")
    max_missing: Fraction = Field(
        description="share of a dataset's videos that may be missing or broken before its preparation stops"
    )


def check(values: Mapping[str, Any], document: Document) -> Config:
    """Return `values` as a Config. Raises UserError placed in `document` where it spells the key."""
    return checked(Config.model_validate, dict(values), document)


def load(root: Path) -> Config:
    """Read config.yaml under `root`."""
    document = read(root / FILE, root)
    return check(document.data, document)
