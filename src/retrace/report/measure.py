"""From scores to a cell's number: its value, its resamples, and its value for every seed."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

import numpy as np

from retrace.data.subsample import draw
from retrace.errors import UserError
from retrace.evaluate.metrics import top_k_correct
from retrace.plan.cell import DifferenceCell, EnsembleCell, EpochCell, ExamplesCell, ScoreCell
from retrace.plan.expand import Cell
from retrace.plan.identity import digest, run_name
from retrace.plan.layout import place_of
from retrace.plan.spec import Run, Split
from retrace.plan.video import VideoSplit
from retrace.report.matched import epoch
from retrace.report.results import Answers, Results

PERCENT = 100
Metric = Callable[[Answers], np.ndarray]
"""What each of N answers counts for (N,), so that the mean is the metric."""


class Measured(NamedTuple):
    """A number from scores. Accuracies are in %, their differences in points, all else plain."""

    quantity: np.ndarray
    """(1 + R,): the value, then the value in each resample (see `retrace.evaluate.uncertainty`)."""
    per_seed: np.ndarray
    runs: tuple[Run, ...]
    """The runs that have scores, one a seed, as in `per_seed`; of several models those of the first."""
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

    `imported`: from the scores of weights that others trained and that stand in the place of the runs'; only
    of a cell that is not computed from others.
    Raises UserError if scores cannot be used: unreadable, without a common clip, or a ratio to 0.
    """
    match cell.definition:
        case DifferenceCell():
            return _difference(cell, results)
        case EnsembleCell():
            return _ensemble(cell, results)
        case EpochCell():
            return _epochs(cell, results)
        case ExamplesCell():
            return _examples(cell, results)
    return _scored(cell, results, imported=imported)


def _scored(cell: Cell, results: Results, *, imported: bool = False) -> Measured | None:
    definition, view = cell.definition, cell.view
    assert isinstance(definition, ScoreCell) and view is not None
    found = _found(cell, results, imported=imported)
    if not found:
        return None
    runs, metric = tuple(run for run, _ in found), _METRICS[definition.measure]

    def ask(domain: str) -> _Asked:
        answers = [scores[domain] for _, scores in found]
        return _ask(results, answers, view.domains[domain], metric, _names(runs))

    target = ask(definition.domain)
    if definition.over is None:
        return _accuracy(results, target, runs)
    source = ask(definition.over)
    coverage = max(target.coverage, source.coverage, key=_distance)
    return Measured(*_ratio(results, target, source), runs, target.hits_SN.shape[1], coverage)


def _found(cell: Cell, results: Results, *, imported: bool = False) -> list[tuple[Run, dict[str, Answers]]]:
    """Return the runs of a cell that have scores, with these by domain."""
    assert cell.view is not None
    asked = [(run, results.scores(run, cell.view, imported=imported)) for run in cell.runs]
    return [(run, scores) for run, scores in asked if scores is not None]


def _epochs(cell: Cell, results: Results) -> Measured | None:
    """Return the mean epoch of the weights that have answered. Clips have no part in it."""
    runs = tuple(run for run, _ in _found(cell, results))
    if not runs:
        return None
    assert cell.view is not None
    epoch_S = np.array([epoch(run, cell.view, results) for run in runs], dtype=float)
    return Measured(np.full(1 + results.bootstrap.n_resamples, epoch_S.mean()), epoch_S, runs, 0, 1.0)


def _examples(cell: Cell, results: Results) -> Measured | None:
    """Return how large a share of a few videos is answered right, over all runs."""
    definition, view, found = cell.definition, cell.view, _found(cell, results)
    assert isinstance(definition, ExamplesCell) and view is not None
    if not found:
        return None
    runs, split = tuple(run for run, _ in found), view.domains[definition.domain]
    label, metric = split.classes.index(definition.of_class), _METRICS[f"top{definition.top}"]
    answers = [scores[definition.domain] for _, scores in found]
    common = set(answers[0].ids).intersection(*(answer.ids for answer in answers))
    of_class = [
        name for name, known in zip(answers[0].ids, answers[0].labels_N, strict=True) if known == label
    ]
    drawn = sorted(draw(of_class, definition.videos, definition.seed))
    if len(drawn) < definition.videos or not common.issuperset(drawn):
        raise UserError(
            f"{len(common.intersection(of_class))} videos of class '{definition.of_class}' have scores; "
            f"{definition.videos} are wanted"
        )
    target = _ask(results, [_only(answer, drawn) for answer in answers], split, metric, _names(runs))
    coverage = max((len(answer.ids) / results.promised(split) for answer in answers), key=_distance)
    return Measured(target.mean(results), target.hits_SN.mean(axis=1), runs, len(drawn), coverage)


def _names(runs: Sequence[Run]) -> str:
    return " ".join(map(run_name, runs))


def _accuracy(results: Results, target: _Asked, runs: tuple[Run, ...]) -> Measured:
    quantity, per_seed = PERCENT * target.mean(results), PERCENT * target.hits_SN.mean(axis=1)
    return Measured(quantity, per_seed, runs, target.hits_SN.shape[1], target.coverage)


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


def _difference(cell: Cell, results: Results) -> Measured | None:
    """Return one number less another. The clips that both answer are resampled alike."""
    more, less = (_scored(part, results) for part in cell.parts)
    if more is None or less is None:
        return None
    paired = [run.seed for run in more.runs] == [run.seed for run in less.runs]
    return Measured(
        more.quantity - less.quantity,
        more.per_seed - less.per_seed if paired else np.empty(0),
        more.runs if paired else (),
        min(more.n_clips, less.n_clips),
        max(more.coverage, less.coverage, key=_distance),
    )


def _ensemble(cell: Cell, results: Results) -> Measured | None:
    """Return the metric of the mean of the members' class probabilities, member by member of equal seed."""
    assert isinstance(cell.definition, EnsembleCell)
    by_seed = [{run.seed: run for run in part.runs} for part in cell.parts]
    answers, runs = [], []
    for seed in sorted(set(by_seed[0]).intersection(*by_seed)):
        found = [
            _answers(part, known[seed], results) for part, known in zip(cell.parts, by_seed, strict=True)
        ]
        members = [answer for answer in found if answer is not None]
        if len(members) == len(found):
            answers.append(_together(members))
            runs.append(by_seed[0][seed])
    if not runs:
        return None
    first = cell.parts[0]
    assert first.view is not None and isinstance(first.definition, ScoreCell)
    split = first.view.domains[first.definition.domain]
    name = " ".join(_names([known[run.seed] for run in runs]) for known in by_seed)
    return _accuracy(results, _ask(results, answers, split, _METRICS[cell.definition.of], name), tuple(runs))


def _answers(part: Cell, run: Run, results: Results) -> Answers | None:
    assert part.view is not None and isinstance(part.definition, ScoreCell)
    scores = results.scores(run, part.view)
    return None if scores is None else scores[part.definition.domain]


def _together(members: list[Answers]) -> Answers:
    """Return what the members answer as one to the clips that all of them have answered."""
    common = sorted(set(members[0].ids).intersection(*(member.ids for member in members)))
    kept = [_only(member, common) for member in members]
    return kept[0]._replace(logits_NK=np.mean([_softmax(answer.logits_NK) for answer in kept], axis=0))


def _softmax(logits_NK: np.ndarray) -> np.ndarray:
    exp_NK = np.exp(logits_NK.astype(np.float64) - logits_NK.max(axis=1, keepdims=True))
    return exp_NK / exp_NK.sum(axis=1, keepdims=True)


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
        f"{_videos_of(split)} {digest(common)}",
        max((len(answer.ids) / results.promised(split) for answer in answers), key=_distance),
    )


def _videos_of(split: Split | VideoSplit) -> str:
    """Return a name of what is shown: domains composed of the same videos show the same."""
    composed = split.collection.footage.composed if isinstance(split, VideoSplit) else None
    return place_of(split).as_posix() if composed is None else f"{composed.detections} {split.split}"


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
