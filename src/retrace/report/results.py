"""What is on disk under a plan's root: scores, failures, costs and accepted numbers. Missing is a value."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from retrace.errors import UserError
from retrace.evaluate.uncertainty import Bootstrap
from retrace.plan.layout import COSTS, RESULTS, run_folder, view_folder
from retrace.plan.spec import Run, View

PUBLISHED = f"{RESULTS}/published/{{paper}}.csv"
RECORD = ("run", "view", "domain", "top1", "n", "hardware", "hours", "commit", "date")
_RESAMPLES = 2000


class Answers(NamedTuple):
    """What one run answered to one domain: ids (N,), labels_N and logits_NK, sorted by id."""

    ids: tuple[str, ...]
    labels_N: np.ndarray
    logits_NK: np.ndarray


class Results:
    """Reads each file once. `bootstrap` is shared, so that whatever can be paired is."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bootstrap = Bootstrap(_RESAMPLES, seed=0)
        self._scores: dict[Path, pd.DataFrame | None] = {}

    def answers(self, run: Run, view: View, domain: str) -> Answers | None:
        """Return the scores of `run` on `domain`, or None if there are none yet.

        Raises UserError if the file is there and cannot be read, or names a clip twice.
        """
        path = view_folder(run, view) / "scores.parquet"
        if path not in self._scores:
            self._scores[path] = _read_scores(self.root, path)
        table = self._scores[path]
        if table is None:
            return None
        rows = table[table["domain"] == domain].sort_values("id")
        if rows.empty:
            raise UserError(f"{path} has no scores for domain {domain}")
        if rows["id"].duplicated().any():
            raise UserError(f"{path} scores clip {rows['id'][rows['id'].duplicated()].iloc[0]} twice")
        logits = rows[[f"logit_{k}" for k in range(_n_classes(table))]]
        return Answers(tuple(rows["id"]), rows["label"].to_numpy(), logits.to_numpy(dtype=np.float64))

    def failure(self, run: Run) -> str | None:
        """Return why `run` failed, or None if it did not."""
        found = self.of_run(run, "failure.json")
        return None if found is None else str(found.get("reason", "no reason given"))

    def of_run(self, run: Run, name: str) -> dict[str, Any] | None:
        """Return the content of a JSON file in the folder of `run`, or None if there is none."""
        return read_json(self.root / run_folder(run) / name)

    def costs(self, paper: str) -> dict[str, Any]:
        """Return the counted costs of `paper` by digest; empty while nothing is counted."""
        return read_json(self.root / COSTS.format(paper=paper)) or {}

    def on_record(self, paper: str) -> pd.DataFrame:
        """Return the accepted full-size numbers of `paper` (columns RECORD; top1 in %), maybe none."""
        path = self.root / PUBLISHED.format(paper=paper)
        if not path.is_file():
            return pd.DataFrame(columns=list(RECORD))
        table = pd.read_csv(path, dtype={"run": str, "view": str, "domain": str})
        missing = set(RECORD) - set(table.columns)
        if missing:
            raise UserError(f"{PUBLISHED.format(paper=paper)} lacks the columns {', '.join(sorted(missing))}")
        return table[list(RECORD)]


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the mapping in a JSON file, or None if there is no file. Raises UserError if it is broken."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is not a JSON mapping: {error}") from error


def _read_scores(root: Path, path: Path) -> pd.DataFrame | None:
    if not (root / path).is_file():
        return None
    try:
        table = pd.read_parquet(root / path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    missing = {"domain", "id", "label", "logit_0"} - set(table.columns)
    if missing:
        raise UserError(f"{path} lacks the columns {', '.join(sorted(missing))}")
    return table


def _n_classes(table: pd.DataFrame) -> int:
    return sum(str(column).startswith("logit_") for column in table.columns)
