"""The bill beforehand: GPU-hours and disk of every table and figure, less what is done.

A training step costs three forward passes (one forward, two backward); a multiply-add is two operations.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from retrace.cost.tasks import Asked, Cost, costs
from retrace.plan.identity import run_name
from retrace.plan.layout import answers_of, run_folder
from retrace.plan.plan import Plan
from retrace.plan.spec import Run, Split, VideoView, View, matched
from retrace.plan.video import VideoSplit

FORWARD_PASSES = 3
BYTES_PER_VIDEO = {"h264": 0.83e6, "mjpeg": 4.02e6}
"""A stored video of short side 256: the mean over five real ones (docs/decisions/002)."""
_FLOAT = 4


class Bill(NamedTuple):
    """What some runs and the views they are asked still cost: hours on one GPU, the longest chain of them
    (parents first), jobs, runs, and bytes of frames, clips, weights and scores."""

    hours: float
    chain: float
    runs: int
    jobs: int
    bytes: float


class Budget:
    """Prices the work for some tables and figures at a speed in operations a second that training reaches."""

    def __init__(self, plan: Plan, items: Iterable[tuple[str, str]], flops: float) -> None:
        self._plan, self._flops = plan, flops
        asked = (one for run in self._runs(items).values() for one in self._asked(run))
        self._costs = costs(plan.root, asked)

    def item(self, paper: str, key: str) -> Bill:
        """Return the bill of one table or figure alone: what it shares with others is in both."""
        return self.together([(paper, key)])

    def together(self, items: Iterable[tuple[str, str]]) -> Bill:
        """Return the bill of several tables and figures: what they share is in it once."""
        return self._bill(self._runs(items))

    def _runs(self, items: Iterable[tuple[str, str]]) -> dict[str, Run]:
        cells = [cell for item in items for cell in self._plan.cells(*item)]
        runs = (one for cell in cells for run in cell.runs for one in self._with_parents(run))
        return {run_name(run): run for run in runs}

    def _with_parents(self, run: Run) -> Iterator[Run]:
        yield run
        while (parent := self._plan.parents.get(run_name(run))) is not None:
            yield parent
            run = parent

    def _bill(self, runs: dict[str, Run]) -> Bill:
        hours = {name: self._hours(run) for name, run in runs.items()}
        chains = [
            sum(hours.get(run_name(one), 0) for one in self._with_parents(run)) for run in runs.values()
        ]
        work = [self._jobs(run) for run in runs.values()]
        stored = {repr(split): self._bytes_of(split) for run in runs.values() for split in self._splits(run)}
        made = sum(self._bytes_made(run) for run in runs.values())
        trains = sum(train for train, _ in work)
        jobs = trains + sum(views for _, views in work)
        return Bill(sum(hours.values()), max(chains, default=0), trains, jobs, made + sum(stored.values()))

    def _jobs(self, run: Run) -> tuple[int, int]:
        """Return how many jobs `run` still needs: to train (0 or 1), and to ask its views."""
        root, views = self._plan.root, self._plan.views[run_name(run)].values()
        trained = (root / run_folder(run) / "weights.safetensors").is_file()
        return int(not trained), sum(not (root / answers_of(run, view)).is_file() for view in views)

    def _hours(self, run: Run) -> float:
        train, _ = self._jobs(run)
        forward = self._macs(self._task(run))
        epochs = run.protocol.epochs
        passes = epochs * (FORWARD_PASSES * _size(self._plan, run.train) + _size(self._plan, run.val))
        work = train * passes * forward
        for view in self._plan.views[run_name(run)].values():
            if not (self._plan.root / answers_of(run, view)).is_file():
                videos = sum(_size(self._plan, split) for split in view.domains.values())
                work += videos * _shown(view) * self._macs(self._shown(run, view))
        return 2 * work / self._flops / 3600

    def _asked(self, run: Run) -> Iterator[Asked]:
        yield self._task(run)
        for view in self._plan.views[run_name(run)].values():
            yield self._shown(run, view)

    def _task(self, run: Run) -> Asked:
        task = run.task
        return Asked(run.model, len(task.classes), task.channels, task.frames, task.side)

    def _shown(self, run: Run, view: View | VideoView) -> Asked:
        side = view.clip.side if isinstance(view, VideoView) else run.task.side
        return self._task(run)._replace(side=side)

    def _macs(self, one: Asked) -> int:
        return self._costs[one.key].multiply_adds

    def _cost(self, run: Run) -> Cost:
        return self._costs[self._task(run).key]

    def _splits(self, run: Run) -> Iterator[Split | VideoSplit]:
        yield from (run.train, run.val)
        for view in self._plan.views[run_name(run)].values():
            yield from view.domains.values()

    def _bytes_of(self, split: Split | VideoSplit) -> float:
        if isinstance(split, Split):
            return float(split.clips * split.frames * split.channels * split.side**2)
        codec = split.collection.footage.store.codec.name
        return _size(self._plan, split) * BYTES_PER_VIDEO[codec]

    def _bytes_made(self, run: Run) -> float:
        """Return the bytes of weights and scores, which stay; checkpoints go when a run is trained."""
        scores = sum(
            _size(self._plan, split) * len(split.classes)
            for view in self._plan.views[run_name(run)].values()
            for split in view.domains.values()
        )
        kept = 1 + len(matched(run.protocol))
        return float(_FLOAT * (kept * self._cost(run).parameters + scores))


def _size(plan: Plan, split: Split | VideoSplit) -> int:
    """Return the clips of a split, or the videos that its page expects."""
    if isinstance(split, Split):
        return split.clips
    return plan.library.videos[split.dataset].splits[split.split].videos


def _shown(view: View | VideoView) -> int:
    return view.clip.shown if isinstance(view, VideoView) else 1
