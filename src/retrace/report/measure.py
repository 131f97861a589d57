"""From scores to a cell's number: its value, its resamples, and its value for every seed."""

from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np

from retrace.errors import UserError
from retrace.evaluate.metrics import top_k_correct
from retrace.plan.expand import Cell
from retrace.plan.identity import digest, run_name
from retrace.plan.layout import place_of
from retrace.plan.page import ScoreCell
from retrace.plan.spec import Run, Split
from retrace.plan.video import VideoSplit
from retrace.report.results import Answers, Results

PERCENT = 100
Metric = Callable[[Answers], np.ndarray]
"""What each of N answers counts for (N,), so that the mean is the metric."""


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
    """The answers of S runs to one domain. hits_SN: what each answer counts for; its mean is the metric.

    `seeds` and `clips` name what the bootstrap has to resample alike.
    """

    hits_SN: np.ndarray
    seeds: str
    clips: str
    coverage: float

    def mean(self, results: Results) -> np.ndarray:
        return results.bootstrap.mean(self.hits_SN, seeds=self.seeds, clips=self.clips)

    def over(self, accuracy_S: np.ndarray) -> Self:
        return self._replace(hits_SN=self.hits_SN / accuracy_S[:, None])


def measure(cell: Cell, results: Results, *, imported: bool = False) -> Measured | None:
    """Return the number of a trained cell from the scores there are, or None while there are none.

    `imported`: from the scores of weights that others trained and that stand in the place of the runs'.
    Raises UserError if scores cannot be used: unreadable, without a common clip, or a ratio to 0.
    """
    definition, view = cell.definition, cell.view
    assert isinstance(definition, ScoreCell) and view is not None
    found = [
        (run, scores)
        for run in cell.runs
        if (scores := results.scores(run, view, imported=imported)) is not None
    ]
    if not found:
        return None
    runs, metric = tuple(run for run, _ in found), _METRICS[definition.measure]
    seeds = " ".join(map(run_name, runs))
    target = _ask(
        results, [s[definition.domain] for _, s in found], view.domains[definition.domain], metric, seeds
    )
    target_S, n_clips = target.hits_SN.mean(axis=1), target.hits_SN.shape[1]
    if definition.over is None:
        quantity = PERCENT * target.mean(results)
        return Measured(quantity, PERCENT * target_S, runs, n_clips, target.coverage)
    source = _ask(
        results, [s[definition.over] for _, s in found], view.domains[definition.over], metric, seeds
    )
    coverage = max(target.coverage, source.coverage, key=_distance)
    return Measured(*_ratio(results, target, source), runs, n_clips, coverage)


def _ratio(results: Results, target: _Asked, source: _Asked) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over seeds of accuracy over accuracy (specification 3: a ratio for every run).

    Each seed is divided by its own source accuracy first. So the value is the mean of the seeds' ratios,
    and the resampled denominator, whose value is then 1, brings in the noise of the source's clips.
    """
    source_S = source.hits_SN.mean(axis=1)
    if not source_S.all():
        raise UserError("the accuracy to divide by is 0 in some run, so there is no ratio")
    quantity = target.over(source_S).mean(results) / source.over(source_S).mean(results)
    return quantity, target.hits_SN.mean(axis=1) / source_S


def _ask(
    results: Results, answers: list[Answers], split: Split | VideoSplit, metric: Metric, seeds: str
) -> _Asked:
    """Return what the runs got right of the clips that all of them have answered."""
    common = sorted(set(answers[0].ids).intersection(*(answer.ids for answer in answers)))
    if not common:
        raise UserError(f"the runs have no clip of {split.dataset} in common")
    return _Asked(
        np.stack([metric(_only(answer, common)) for answer in answers]),
        seeds,
        f"{place_of(split).as_posix()} {digest(common)}",
        max((len(answer.ids) / results.promised(split) for answer in answers), key=_distance),
    )


def _distance(coverage: float) -> float:
    return abs(coverage - 1)


def _only(answers: Answers, ids: list[str]) -> Answers:
    if len(ids) == len(answers.ids):
        return answers
    keep_N = np.isin(np.array(answers.ids), ids)
    return Answers(tuple(ids), answers.labels_N[keep_N], answers.logits_NK[keep_N])


def _top1(answers: Answers) -> np.ndarray:
    return top_k_correct(answers.logits_NK, answers.labels_N, 1)


def _top5(answers: Answers) -> np.ndarray:
    return top_k_correct(answers.logits_NK, answers.labels_N, 5)


def _mean_class(answers: Answers) -> np.ndarray:
    """Weigh each clip so that all classes weigh the same: then the mean over clips is that over classes."""
    _, class_N, counts = np.unique(answers.labels_N, return_inverse=True, return_counts=True)
    weight_N = len(class_N) / (len(counts) * counts[class_N])
    return _top1(answers) * weight_N


_METRICS: dict[str, Metric] = {
    "top1": _top1,
    "ratio": _top1,
    "top5": _top5,
    "mean_class": _mean_class,
}
