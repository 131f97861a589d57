"""The types of a scale: what the files in scales/ may say."""

from pydantic import Field, PositiveInt

from retrace.plan.cell import Fragment
from retrace.plan.strict import Name, Strict


class Shrink(Strict):
    """What a scale changes of one paper. Empty: the paper's own size."""

    seeds: PositiveInt | None = Field(None, description="only the first so many seeds of each protocol")
    only: tuple[Fragment, ...] | None = Field(
        None,
        description="keep a trained cell if it agrees with one of these; a list means: any of; `of` is the "
        "key of its table or figure",
    )
    datasets: dict[str, Fragment] = Field(
        {}, description="changes by dataset name; '*' and '?' are wildcards"
    )
    protocols: dict[str, Fragment] = Field({}, description="changes by protocol name")
    views: dict[str, Fragment] = Field({}, description="changes by view name")
    model: Fragment = Field({}, description="changes of every trained model")
    families: dict[str, Fragment] = Field(
        {}, description="changes of the trained models of one family, by its name"
    )
    speed: Fragment = Field({}, description="changes of every cell of speed or memory")


class Scale(Strict):
    """A scale: how much smaller than the papers the work is."""

    title: str
    says: str
    comparable: bool = Field(description="whether trained numbers may be compared with the printed ones")
    papers: dict[str, Shrink] = {}
    stand_ins: dict[Name, Name] = Field(
        {}, description="the generated dataset that takes the place of one of real videos"
    )
