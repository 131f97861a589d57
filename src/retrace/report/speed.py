"""Numbers of speed and memory from what was measured, with how sure they are and on what they stand."""

from typing import Any

import numpy as np

from retrace.errors import UserError
from retrace.plan.identity import digest
from retrace.plan.speed import SpeedCell
from retrace.report.results import Results

NOT_MEASURED = "not measured yet"
_GIB = 2**30


def entry(paper: str, cell: SpeedCell, results: Results) -> dict[str, Any]:
    """Return what was measured for a cell. Raises UserError with the reason if nothing was."""
    found = results.speeds(paper).get(digest(cell.model_dump(exclude={"measure"})))
    if found is None:
        raise UserError(NOT_MEASURED)
    if "reason" in found:
        raise UserError(str(found["reason"]))
    return dict(found)


def quantity(cell: SpeedCell, found: dict[str, Any], results: Results) -> np.ndarray:
    """Return a number (1 + R,): its value, then its value in each resample of the repeats.

    A speed is the batch over the median time of a pass. Batch and memory are the same in every resample.
    """
    resamples = results.bootstrap.n_resamples
    match cell.measure:
        case "largest_batch":
            return np.full(1 + resamples, float(found["batch"]))
        case "peak_memory":
            return np.full(1 + resamples, found["peak_bytes"] / _GIB)
    seconds_N = np.asarray(found["seconds"], dtype=np.float64)
    rng = np.random.default_rng(int(digest(found), 16))
    drawn_RN = rng.choice(seconds_N, size=(resamples, len(seconds_N)))
    medians = np.concatenate([[np.median(seconds_N)], np.median(drawn_RN, axis=1)])
    return found["batch"] / medians


def in_words(found: dict[str, Any]) -> str:
    """Return on what a speed was measured, and how."""
    capped = "; larger batches were not tried" if found["batch"] == found["most"] else ""
    return f"{found['step']} on {found['hardware']}, {found['clock']}, torch {found['torch']}{capped}"
