"""What a cell is made from: one type a kind of number, told apart by `measure`."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from retrace.plan.maps import Kind
from retrace.plan.model import Model
from retrace.plan.speed import SpeedCell
from retrace.plan.strict import Name, Strict, mistake

Fragment = dict[str, Any]
"""A part of a cell's definition. The parts of a table, its row and its column add up to a whole."""

Metric = Literal["top1", "top5", "mean_class"]


class CountedCell(Strict):
    """A cell that needs no training: counted on the meta device at the paper's own size."""

    model: Model
    classes: PositiveInt
    frames: PositiveInt
    side: PositiveInt
    channels: Literal[1, 3]

    def network(self) -> dict[str, Any]:
        """Return what is counted, whatever is asked of it."""
        return self.model_dump(include=set(CountedCell.model_fields))


class CostCell(CountedCell):
    """`mparams` are millions of parameters, `gmacs` billions of multiply-adds, `conv_gmacs` those of the
    convolutions alone.
    """

    measure: Literal["parameters", "mparams", "gmacs", "conv_gmacs"]


class ShapeCell(CountedCell):
    """The size of what a layer puts out for one clip: frames, height, width and channels.

    Of nodes it is frames, nodes and channels; what has no frames, height or width counts as one of them.
    """

    measure: Literal["shape"]
    layer: str = Field(description="name of a module of the model, or `clip`: what the model is shown")
    axes: Literal["BC", "BTHWC", "BCTHW", "BTCHW", "BTNC", "TNC"] = Field(
        description="what the layer's dimensions are: Batch, Time, Height, Width, Nodes, Channels"
    )
    grid: PositiveInt | None = Field(
        None, description="of a graph's nodes those of the grid of so many cells a side, as a map"
    )

    @model_validator(mode="after")
    def _grid_exists(self) -> Self:
        graph = getattr(self.model, "graph", None)
        if self.grid is not None and (graph is None or self.grid > graph.scales or "N" not in self.axes):
            raise mistake(f"the model has no nodes in a grid of {self.grid} x {self.grid}", "grid")
        return self


class TrainedCell(Strict):
    """What every cell that rests on trained runs says: of which model, and how it is asked."""

    model: Model
    data: Name
    protocol: Name
    view: Name
    domain: Name


class ScoreCell(TrainedCell):
    """A metric on one domain of a view, reduced over seeds."""

    measure: Metric | Literal["ratio"]
    over: Name | None = Field(None, description="for `ratio`: the domain whose accuracy divides")

    @model_validator(mode="after")
    def _ratio_has_two_domains(self) -> Self:
        if (self.measure == "ratio") != (self.over is not None):
            raise mistake("'over' belongs to measure 'ratio', and a ratio needs it", "over")
        return self


class ExamplesCell(TrainedCell):
    """The share of a few videos of one class whose class is among the `top` highest scores.

    Which ones is a draw by `seed` that depends on nothing but the ids of the class's videos.
    """

    measure: Literal["examples"]
    top: Literal[1, 5]
    of_class: str
    videos: PositiveInt
    seed: NonNegativeInt


class EpochCell(TrainedCell):
    """After how many epochs the weights were taken that the view asks."""

    measure: Literal["epoch"]


class MapCell(TrainedCell):
    """Pictures of what the run of the first seed does with some videos of a domain (`retrace.plan.maps`)."""

    measure: Literal["map"]
    map: Kind
    videos: PositiveInt = Field(
        description="how many are shown: the first by id of each of so many classes, in the order of labels"
    )


class PathsCell(Strict):
    """The first videos of a split of SyncMNIST, with the paths of their digits. Needs no training."""

    measure: Literal["paths"]
    data: Name
    split: Literal["train", "val", "test"]
    videos: PositiveInt


class SettingCell(Strict):
    """A cell that prints no result but how something was done: read from the protocols and views themselves.

    Always at the paper's own size. `{mini_8.train.batch}` in the text stands for that value of the protocol
    or view `mini_8`; `parent` leads on into the protocol that a run starts from. `{model.hidden}` and
    `{protocol.train.batch}` are of the cell's own.
    """

    measure: Literal["setting"]
    says: str
    words: dict[str, str] = Field({}, description="how the paper words a value, by the value")
    model: Model | None = None
    protocol: Name | None = None


class VideosCell(Strict):
    """A cell that counts the videos of one split in the manifest; `kvideos` are thousands."""

    measure: Literal["videos", "kvideos"]
    data: Name
    split: Literal["train", "val", "test"]


class ClassesCell(Strict):
    """A cell that counts the classes of a dataset."""

    measure: Literal["classes"]
    data: Name


class SegmenterCell(Strict):
    """A cell that tells of the segmenter which a dataset's videos are made with.

    The frames that it is trained and validated on, and how well its boxes fit the latter, in %.
    """

    measure: Literal["train_frames", "val_frames", "box_iou"]
    data: Name


class DifferenceCell(Strict):
    """A cell that tells how far a trained one is ahead of another one of the same table or figure.

    All else that its definition says belongs to the trained cell.
    """

    measure: Literal["difference"]
    of: Metric | Literal["ratio"]
    less: dict[Literal["row", "column", "panel", "series", "x"], str] = Field(
        min_length=1, description="where the other one stands; axes that are left out are those of this cell"
    )


class EnsembleCell(Strict):
    """A cell for several models that answer together: the mean of their class probabilities.

    All else that its definition says is common to the members.
    """

    measure: Literal["ensemble"]
    of: Metric
    members: tuple[Fragment, ...] = Field(
        min_length=2, description="how each differs from the rest of the cell"
    )


Definition = Annotated[
    CostCell
    | SpeedCell
    | ShapeCell
    | ScoreCell
    | ExamplesCell
    | EpochCell
    | MapCell
    | PathsCell
    | SettingCell
    | VideosCell
    | ClassesCell
    | SegmenterCell
    | DifferenceCell
    | EnsembleCell,
    Field(discriminator="measure"),
]
