"""JSON schemas of the pages, for editors: generated from the types, never edited."""

import json
from pathlib import Path

from retrace.files import write_text
from retrace.plan.config import Config
from retrace.plan.page import Dataset, Paper, Scale

FOLDER = Path("workflow/schemas")
KINDS = {"paper": Paper, "dataset": Dataset, "scale": Scale, "config": Config}


def texts() -> dict[str, str]:
    """Return the text of every schema by file name."""
    return {
        f"{name}.schema.json": json.dumps(kind.model_json_schema(), indent=2, sort_keys=True) + "\n"
        for name, kind in KINDS.items()
    }


def write(root: Path) -> None:
    """Write every schema under `root`."""
    for name, text in texts().items():
        write_text(root / FOLDER / name, text)
