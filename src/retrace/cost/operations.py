"""How many operations runs and views take: forward passes, as often as protocols and views ask for them.

A training step costs three forward passes (one forward, two backward); a multiply-add is two operations.
"""

from collections.abc import Iterator, Mapping

from retrace.cost.tasks import Asked, costs
from retrace.plan.plan import Plan
from retrace.plan.spec import Run, Split, VideoView, View
from retrace.plan.video import VideoSplit

FORWARD_PASSES = 3


class Operations:
    """Counts what each of `runs`, by name, and its views cost; a model at one size is counted once."""

    def __init__(self, plan: Plan, runs: Mapping[str, Run]) -> None:
        self._plan = plan
        self._costs = costs(plan.root, asked(plan, runs))

    def training(self, run: Run, epochs: int | None = None) -> float:
        """Return the operations of so many epochs, or of as many as there may be, with their validation."""
        passes = FORWARD_PASSES * size(self._plan, run.train) + size(self._plan, run.val)
        return 2.0 * (epochs or run.protocol.epochs) * passes * self._multiply_adds(_task(run))

    def view(self, run: Run, view: View | VideoView) -> float:
        """Return the operations of asking `run` one view of all its domains."""
        videos = sum(size(self._plan, split) for split in view.domains.values())
        shown = view.clip.shown if isinstance(view, VideoView) else 1
        return 2.0 * videos * shown * self._multiply_adds(_seen(run, view))

    def parameters(self, run: Run) -> int:
        """Return the number of parameters of the model of `run`."""
        return self._costs[_task(run).key].parameters

    def _multiply_adds(self, one: Asked) -> int:
        return self._costs[one.key].multiply_adds


def asked(plan: Plan, runs: Mapping[str, Run]) -> Iterator[Asked]:
    """Yield what each of `runs`, by its name, is shown in training and by its views."""
    for name, run in runs.items():
        yield _task(run)
        yield from (_seen(run, view) for view in plan.views[name].values())


def size(plan: Plan, split: Split | VideoSplit) -> int:
    """Return the clips of a split, or the videos that its page expects."""
    if isinstance(split, Split):
        return split.clips
    return plan.library.videos[split.dataset].splits[split.split].videos


def _task(run: Run) -> Asked:
    task = run.task
    return Asked(run.model, len(task.classes), task.channels, task.frames, task.side)


def _seen(run: Run, view: View | VideoView) -> Asked:
    side = view.clip.side if isinstance(view, VideoView) else run.task.side
    return _task(run)._replace(side=side)
