"""What is on disk under a plan's root: scores, failures, costs and accepted numbers. Missing is a value."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from retrace.errors import UserError
from retrace.evaluate.pictures import Pictures
from retrace.evaluate.uncertainty import Bootstrap
from retrace.plan.layout import (
    COSTS,
    IMPORT,
    PUBLISHED,
    SPEEDS,
    answers_of,
    collection_folder,
    imported_folder,
    paths_file,
    run_folder,
    view_folder,
)
from retrace.plan.maps import Maps
from retrace.plan.spec import Run, Split, VideoView, View
from retrace.plan.video import Collection, VideoSplit
from retrace.report.walks import Walks

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
        self._scores: dict[Path, dict[str, Answers] | None] = {}

    def scores(
        self, run: Run, view: View | VideoView, *, imported: bool = False
    ) -> dict[str, Answers] | None:
        """Return what `run` answered to `view`, by domain, or None if there are no scores yet.

        `imported`: what the weights of others did that stand in the place of the run's.

        Raises UserError if the file cannot be read, lacks a domain of the view, or names a clip twice.
        """
        path = view_folder(run, view, imported=imported) / "scores.parquet"
        if path not in self._scores:
            exists = (self.root / path).is_file()
            self._scores[path] = _read_scores(self.root / path, set(view.domains)) if exists else None
        return self._scores[path]

    def pictures(self, run: Run, maps: Maps) -> Pictures | None:
        """Return what `run` does with the videos of `maps`, or None if it was not asked yet.

        Raises UserError if the file cannot be read.
        """
        path = self.root / answers_of(run, maps)
        return Pictures.read(path) if path.is_file() else None

    def walks(self, split: Split, videos: int) -> Walks | None:
        """Return the first `videos` videos of `split`, or None if they are not made yet.

        Raises UserError if the file cannot be read.
        """
        path = self.root / paths_file(split, videos)
        return Walks.read(path, split) if path.is_file() else None

    def promised(self, split: Split | VideoSplit) -> int:
        """Return how many clips `split` should have: of videos, what the official annotation lists."""
        if isinstance(split, Split):
            return split.clips
        audit = read_json(self.root / collection_folder(split.collection) / "audit.json")
        if audit is None:
            raise UserError(
                f"{collection_folder(split.collection)} has no audit.json: prepare the videos first"
            )
        return int(audit["splits"][split.split]["expected"])

    def annotations(self, collection: Collection) -> dict[str, Any] | None:
        """Return what the manifest of `collection` says of its own making, or None if there is none."""
        return read_json(self.root / collection_folder(collection) / "annotations.json")

    def read(self, path: Path) -> dict[str, Any] | None:
        """Return the content of a JSON file at `path`, relative to the root, or None if there is none."""
        return read_json(self.root / path)

    def failure(self, run: Run) -> str | None:
        """Return why `run` failed, or None if it did not."""
        found = self.of_run(run, "failure.json")
        return None if found is None else str(found.get("reason", "no reason given"))

    def of_run(self, run: Run, name: str) -> dict[str, Any] | None:
        """Return the content of a JSON file in the folder of `run`, or None if there is none."""
        return read_json(self.root / run_folder(run) / name)

    def imported(self, run: Run) -> dict[str, Any] | None:
        """Return what is known of weights that others trained in the place of `run`, or None without any."""
        return read_json(self.root / imported_folder(run) / IMPORT)

    def sources(self, runs: Iterable[Run]) -> list[str]:
        """Return whose weights have been imported in the place of `runs`, each source once."""
        told = [found for run in runs if (found := self.imported(run)) is not None]
        return sorted({str(found.get("source", "unknown source")) for found in told})

    def costs(self, paper: str) -> dict[str, Any]:
        """Return the counted costs of `paper` by digest; empty while nothing is counted."""
        return read_json(self.root / COSTS.format(paper=paper)) or {}

    def speeds(self, paper: str) -> dict[str, Any]:
        """Return what was measured of the speed of `paper`'s models by digest, at whatever scale."""
        found: dict[str, Any] = {}
        for path in sorted(self.root.glob(SPEEDS.format(scale="*", paper=paper))):
            found |= read_json(path) or {}
        return found

    def on_record(self, paper: str) -> pd.DataFrame:
        """Return the accepted full-size numbers of `paper` (columns RECORD; top1 in %), maybe none."""
        path = self.root / PUBLISHED.format(paper=paper)
        if not path.is_file():
            return pd.DataFrame(columns=list(RECORD))
        table = pd.read_csv(path, dtype={"run": str, "view": str, "domain": str, "commit": str})
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


def _read_scores(path: Path, domains: set[str]) -> dict[str, Answers]:
    try:
        table = pq.read_table(path).sort_by([("domain", "ascending"), ("id", "ascending")])
        columns = {name: table[name].to_numpy() for name in table.column_names}
        ids, domain_N, label_N = columns["id"], columns["domain"], columns["label"]
        n_classes = sum(name.startswith("logit_") for name in columns)
        logits_NK = np.stack([columns[f"logit_{k}"] for k in range(n_classes)], axis=1)
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise UserError(f"{path} is not a table of scores: {error}") from error
    found = {}
    for domain in np.unique(domain_N):
        here = domain_N == domain
        found[domain] = Answers(tuple(ids[here]), label_N[here], logits_NK[here])
        if len(set(found[domain].ids)) < here.sum():
            raise UserError(f"{path} scores a clip of {domain} twice")
    if missing := domains - found.keys():
        raise UserError(f"{path} has no scores for {', '.join(sorted(missing))}")
    return found
