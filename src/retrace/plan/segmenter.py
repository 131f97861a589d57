"""A segmenter: a detector with masks, fine-tuned on labelled frames, and the videos it is run over.

`SegmenterPage` is what a file in segmenters/ may say. What it is resolved to is hashed, as in `spec`: no
defaults, and neither hardware nor paths.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from retrace.plan.spec import Adam, Sgd
from retrace.plan.strict import Fraction, Name, Strict, mistake
from retrace.plan.video import Footage, SplitName, VideoSplit


class MaskRcnn(Strict):
    """Mask R-CNN with a feature pyramid on a ResNet, as torchvision has it, for one class.

    The sizes in torchvision's own: width 64, channels 256, head 1024, anchors 32 to 512, 2000 and 1000
    proposals, 512 rois, score 0.05, short side 800, long side 1333.
    """

    backbone: Literal["resnet18", "resnet50"]
    width: PositiveInt = Field(description="channels of the first convolution, all others in proportion")
    channels: PositiveInt = Field(description="of the pyramid, and of the layers that predict masks")
    head: PositiveInt = Field(description="width of the layers that predict boxes")
    anchors: tuple[PositiveInt, ...] = Field(
        min_length=5, max_length=5, description="sides in pixels, from the finest level to the coarsest"
    )
    proposals: tuple[PositiveInt, PositiveInt] = Field(
        description="the most of an image, in training and otherwise"
    )
    rois: PositiveInt = Field(description="proposals of an image that train the heads")
    score: Fraction = Field(description="what a detection's has to exceed")
    weights: Literal["coco", "random"]
    norm: Literal["frozen", "group"] = Field(
        description="frozen: batch normalisation with the statistics of the weights"
    )
    trainable: Annotated[int, Field(ge=0, le=5)] = Field(
        description="stages of the backbone that are trained, from the last; the first convolution is one"
    )
    short_side: PositiveInt = Field(description="what an image is resized to before the network sees it")
    long_side: PositiveInt = Field(description="the most that its longer side may then have")

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        if self.weights == "random" and (self.norm == "frozen" or self.trainable < 5):
            key = "norm" if self.norm == "frozen" else "trainable"
            raise mistake("random weights need norm 'group' and all 5 stages trained", key)
        own = {"backbone": "resnet50", "width": 64, "channels": 256, "head": 1024, "norm": "frozen"}
        other = next((key for key, value in own.items() if getattr(self, key) != value), None)
        if self.weights == "coco" and other is not None:
            raise mistake(f"the weights from COCO are those of torchvision's own sizes: {own[other]}", other)
        return self


class FineTuning(Strict):
    """How a segmenter is trained. The epoch with the best box IoU on the validation frames is kept."""

    optimizer: Annotated[Sgd | Adam, Field(discriminator="name")]
    schedule: Literal["constant", "cosine"]
    batch: PositiveInt = Field(description="frames per step, in training and in validation")
    drop_last: bool
    epochs: PositiveInt = Field(description="the most epochs")
    patience: PositiveInt = Field(description="epochs without a better box IoU before stopping")
    flip: Fraction = Field(description="probability that a training frame is mirrored")
    seed: NonNegativeInt


class Sampled(Strict):
    """Which frames of which videos a segmenter is run over."""

    of: Name
    split: SplitName
    frames: PositiveInt = Field(
        description="of each video, from first to last in equal steps, rounded half to even"
    )
    height: PositiveInt = Field(description="what a frame is resized to, whatever its aspect")
    width: PositiveInt
    antialias: bool = Field(description="whether a frame that is made smaller, bilinear, is smoothed before")
    shards: PositiveInt = Field(description="jobs that the work is cut into")


class SegmenterPage(Strict):
    """A file in segmenters/."""

    title: str
    recipe: PositiveInt = Field(description="raised by hand when the computation itself changes")
    frames: Name = Field(description="the dataset of labelled frames that it is trained on")
    model: MaskRcnn
    training: FineTuning
    videos: Sampled
    published: Fraction | None = Field(None, description="the box IoU as printed")


class MaskSplits(Strict):
    """Frames with masks, and how they are divided: by torch's `random_split` and this seed."""

    dataset: Name
    version: PositiveInt
    train: PositiveInt
    val: PositiveInt
    seed: NonNegativeInt
    footage: Footage | None = Field(
        description="the generated videos that they are frames of; none: real ones"
    )


class Segmenter(Strict):
    """One training of a segmenter. Its hash names its folder."""

    recipe: PositiveInt
    frames: MaskSplits
    model: MaskRcnn
    training: FineTuning


class Detection(Strict):
    """One pass of a trained segmenter over some videos: all domains composed of them share it."""

    segmenter: str = Field(description="hash of the training")
    videos: VideoSplit
    frames: PositiveInt
    height: PositiveInt
    width: PositiveInt
    antialias: bool
