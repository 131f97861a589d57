"""From scores to a cell's number: its value, its resamples, and its value for every seed."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from retrace.errors import UserError
from retrace.evaluate.metrics import top_k_correct
from retrace.plan.expand import Cell
from retrace.plan.identity import digest, run_name
from retrace.plan.layout import split_folder
from retrace.plan.page import ScoreCell
from retrace.plan.spec import Run, View
from retrace.report.results import Answers, Results

PERCENT = 100


class Measured(NamedTuple):
    """A number from scores. Accuracies are in %, ratios plain."""

    quantity: np.ndarray
    """(1 + R,): the value, then the value in each resample (see `retrace.evaluate.uncertainty`)."""
    per_seed: np.ndarray
    runs: tuple[Run, ...]
    """The runs that have scores, one a seed, as in `per_seed`."""
    n_clips: int
    coverage: float
    """Clips with scores over clips planned; of several domains or runs the one farthest from 1."""


class _Asked(NamedTuple):
    """The answers of S runs to one domain. hits_SN: what each answer counts for; its mean is the metric."""

    hits_SN: np.ndarray
    clips: str
    coverage: float


def measure(cell: Cell, results: Results) -> Measured | None:
    """Return the number of a trained cell from the scores there are, or None while there are none.

    Raises UserError if scores cannot be used: unreadable, without a common clip, or a ratio to 0.
    """
    definition, view = cell.definition, cell.view
    assert isinstance(definition, ScoreCell) and view is not None
    runs = tuple(run for run in cell.runs if results.answers(run, view, definition.domain) is not None)
    if not runs:
        return None
    target = _ask(results, runs, view, definition.domain, _METRICS[definition.measure])
    if definition.over is None:
        quantity = PERCENT * _mean(results, runs, target)
        per_seed = PERCENT * target.hits_SN.mean(axis=1)
        return Measured(quantity, per_seed, runs, target.hits_SN.shape[1], target.coverage)
    source = _ask(results, runs, view, definition.over, _METRICS[definition.measure])
    quantity, per_seed = _ratio(results, runs, target, source, definition.over)
    coverage = max(target.coverage, source.coverage, key=lambda share: abs(share - 1))
    return Measured(quantity, per_seed, runs, target.hits_SN.shape[1], coverage)


def _ratio(
    results: Results, runs: tuple[Run, ...], target: _Asked, source: _Asked, over: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over seeds of accuracy over accuracy (specification 3: a ratio for every run).

    Each seed is divided by its own source accuracy first. So the value is the mean of the seeds' ratios,
    and the resampled denominator, whose value is then 1, brings in the noise of the source's clips.
    """
    source_S1 = source.hits_SN.mean(axis=1, keepdims=True)
    if not source_S1.all():
        raise UserError(f"no clip of {over} is right in some run, so there is no ratio to it")
    above = _mean(results, runs, target._replace(hits_SN=target.hits_SN / source_S1))
    below = _mean(results, runs, source._replace(hits_SN=source.hits_SN / source_S1))
    return above / below, target.hits_SN.mean(axis=1) / source_S1[:, 0]


def _mean(results: Results, runs: tuple[Run, ...], asked: _Asked) -> np.ndarray:
    seeds = digest([run_name(run) for run in runs])
    return results.bootstrap.mean(asked.hits_SN, seeds=seeds, clips=asked.clips)


def _ask(
    results: Results,
    runs: tuple[Run, ...],
    view: View,
    domain: str,
    metric: Callable[[Answers], np.ndarray],
) -> _Asked:
    found = [results.answers(run, view, domain) for run in runs]
    answers = [answer for answer in found if answer is not None]
    common = sorted(set(answers[0].ids).intersection(*(answer.ids for answer in answers)))
    if not common:
        raise UserError(f"the runs have no clip of {domain} in common")
    split = view.domains[domain]
    shares = [len(answer.ids) / split.clips for answer in answers]
    return _Asked(
        np.stack([metric(_only(answer, common)) for answer in answers]),
        f"{split_folder(split).as_posix()} {digest(common)}",
        max(shares, key=lambda share: abs(share - 1)),
    )


def _only(answers: Answers, ids: list[str]) -> Answers:
    if len(ids) == len(answers.ids):
        return answers
    keep = np.isin(np.array(answers.ids), ids)
    return Answers(tuple(ids), answers.labels_N[keep], answers.logits_NK[keep])


def _top1(answers: Answers) -> np.ndarray:
    return top_k_correct(answers.logits_NK, answers.labels_N, 1)


def _top5(answers: Answers) -> np.ndarray:
    return top_k_correct(answers.logits_NK, answers.labels_N, 5)


def _mean_class(answers: Answers) -> np.ndarray:
    """Weigh each clip so that all classes weigh the same: then the mean over clips is that over classes."""
    _, class_N, counts = np.unique(answers.labels_N, return_inverse=True, return_counts=True)
    weight_N = len(class_N) / (len(counts) * counts[class_N])
    return _top1(answers) * weight_N


_METRICS: dict[str, Callable[[Answers], np.ndarray]] = {
    "top1": _top1,
    "ratio": _top1,
    "top5": _top5,
    "mean_class": _mean_class,
}
