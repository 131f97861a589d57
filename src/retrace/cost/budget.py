"""The bill beforehand: GPU-hours, jobs and disk of every table and figure, less what is done."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from retrace.cost.needs import Ask, Item, Needs, line, together
from retrace.cost.operations import Operations, size
from retrace.plan.layout import data_of, place_of, run_folder
from retrace.plan.maps import Maps
from retrace.plan.plan import Plan
from retrace.plan.spec import Run, Split, matched
from retrace.plan.video import VideoSplit

BYTES_PER_VIDEO = {"h264": 0.83e6, "mjpeg": 4.02e6}
"""A stored video of short side 256: the mean over five real ones (docs/decisions/002)."""
_FLOAT = 4


class Bill(NamedTuple):
    """What tables and figures still cost: hours on one GPU, the longest chain of them (parents first, then a
    view), trainings, jobs (trainings, views and maps), and bytes of frames, clips, weights and scores."""

    hours: float
    chain: float
    runs: int
    jobs: int
    bytes: float


class Budget:
    """Prices what is needed at `flops`, the operations a second that one GPU reaches."""

    def __init__(self, plan: Plan, needs: Mapping[Item, Needs], operations: Operations, flops: float) -> None:
        self._plan, self._operations, self._needs = plan, operations, needs
        self._per_hour = 3600 * flops
        all_ = together(needs.values())
        self._training = {name: self._left(run) for name, run in all_.runs.items()}
        self._asking = {path: self._price(all_.runs[ask.run], ask) for path, ask in all_.asks.items()}
        self._lines = {
            name: sum(self._training[one] for one, _ in line(plan, run)) for name, run in all_.runs.items()
        }

    def bill(self, items: Iterable[Item]) -> Bill:
        """Return the bill of some of the tables and figures together: what they share is in it once."""
        needs = together(self._needs[item] for item in items)
        left = [run for name, run in needs.runs.items() if self._training[name]]
        chains = [self._lines[name] for name in needs.runs]
        chains += [self._lines[ask.run] + self._asking[path] for path, ask in needs.asks.items()]
        return Bill(
            self._hours(needs),
            max(chains, default=0.0) / self._per_hour,
            len(left),
            len(left) + len(needs.asks),
            self._made(left, needs.asks.values()) + self._stored(left, needs.asks.values()),
        )

    def cheapest(self, hours: float) -> list[tuple[Item, float]]:
        """Return tables and figures that fit into `hours` together, with what each adds, the cheapest first.

        What one has paid for is free for the next, so each time that one is taken that then adds the least.
        Those that need no training and no view are left out.
        """
        left = [item for item in self._needs if self.bill([item]).jobs]
        taken, spent = list[tuple[Item, float]](), 0.0
        while left:
            chosen = together(self._needs[item] for item, _ in taken)
            sums = {item: self._hours(together([chosen, self._needs[item]])) for item in left}
            item = min(sums, key=sums.__getitem__)
            if sums[item] > hours:
                break
            taken.append((item, sums[item] - spent))
            spent = sums[item]
            left.remove(item)
        return taken

    def _hours(self, needs: Needs) -> float:
        work = sum(self._training[name] for name in needs.runs) + sum(map(self._asking.get, needs.asks))
        return work / self._per_hour

    def _left(self, run: Run) -> float:
        """Return the operations that `run` still has to train."""
        trained = (self._plan.root / run_folder(run) / "weights.safetensors").is_file()
        return 0.0 if trained else self._operations.training(run)

    def _price(self, run: Run, ask: Ask) -> float:
        """Return the operations of a view. Maps show a handful of videos, and count as none."""
        return 0.0 if isinstance(ask.asked, Maps) else self._operations.view(run, ask.asked)

    def _made(self, runs: Iterable[Run], asks: Iterable[Ask]) -> float:
        """Return the bytes of weights and scores, which stay; checkpoints go when a run is trained."""
        numbers = sum((1 + len(matched(run.protocol))) * self._operations.parameters(run) for run in runs)
        views = [ask.asked for ask in asks if not isinstance(ask.asked, Maps)]
        splits = [split for view in views for split in view.domains.values()]
        return float(_FLOAT * (numbers + sum(size(self._plan, one) * len(one.classes) for one in splits)))

    def _stored(self, runs: Iterable[Run], asks: Iterable[Ask]) -> float:
        """Return the bytes of frames and clips that are not there yet, each once."""
        splits = [split for run in runs for split in (run.train, run.val)]
        views = [ask.asked.view if isinstance(ask.asked, Maps) else ask.asked for ask in asks]
        splits += [split for view in views for split in view.domains.values()]
        missing = {place_of(one): one for one in splits if not (self._plan.root / data_of(one)).is_file()}
        return sum(map(self._bytes_of, missing.values()))

    def _bytes_of(self, split: Split | VideoSplit) -> float:
        if isinstance(split, Split):
            return float(split.clips * split.frames * split.channels * split.side**2)
        codec = split.collection.footage.store.codec.name
        return size(self._plan, split) * BYTES_PER_VIDEO[codec]
