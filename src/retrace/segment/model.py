"""Mask R-CNN (He et al., 2017) for divers: torchvision's, of the sizes that a page states.

Class 0 is background, class 1 a diver.
"""

from collections.abc import Sequence
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN, MaskRCNN_ResNet50_FPN_Weights
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.transform import resize_boxes
from torchvision.ops import FrozenBatchNorm2d

from retrace.models.layers import FrameLayers
from retrace.models.resnet import ResNet
from retrace.plan.segmenter import MaskRcnn
from retrace.segment.found import Found
from retrace.train.imagenet import not_to_be_had

CLASSES = 2
RATIOS = (0.5, 1.0, 2.0)
STAGES = ("layer1", "layer2", "layer3", "layer4")
GROUP = 4
"""Channels that a group normalisation takes together."""

_POOLED = 7
"""Cells a side that the box head sees of a proposal (torchvision's)."""

_PREDICTORS = ("roi_heads.box_predictor.", "roi_heads.mask_predictor.")
"""What has to be new for other classes than COCO's."""


def build(kind: MaskRcnn) -> MaskRCNN:
    """Return the network with random weights, frozen where the page says so.

    Its tensors have torchvision's names.
    """
    trunk = ResNet(kind.backbone, _Layers(kind.norm), width=kind.width, channels=3)
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    for name, parameter in trunk.named_parameters():
        stages = ("layer4", "layer3", "layer2", "layer1", "conv1", "bn1")
        parameter.requires_grad_(name.startswith(stages[: kind.trainable + (kind.trainable == 5)]))
    features = [trunk.features // 2**back for back in (3, 2, 1, 0)]
    levels = {stage: str(level) for level, stage in enumerate(STAGES)}
    train, test = kind.proposals
    return MaskRCNN(
        BackboneWithFPN(trunk, levels, features, kind.channels),
        min_size=kind.short_side,
        max_size=kind.long_side,
        rpn_anchor_generator=AnchorGenerator(
            [(side,) for side in kind.anchors], [RATIOS] * len(kind.anchors)
        ),
        rpn_pre_nms_top_n_train=train,
        rpn_post_nms_top_n_train=train,
        rpn_pre_nms_top_n_test=test,
        rpn_post_nms_top_n_test=test,
        box_batch_size_per_image=kind.rois,
        box_score_thresh=kind.score,
        box_head=TwoMLPHead(kind.channels * _POOLED**2, kind.head),
        box_predictor=FastRCNNPredictor(kind.head, CLASSES),
        mask_head=MaskRCNNHeads(kind.channels, [kind.channels] * 4, 1),
        mask_predictor=MaskRCNNPredictor(kind.channels, kind.channels, CLASSES),
    )


def start_from_coco(model: MaskRCNN) -> None:
    """Copy torchvision's weights, trained on COCO, into all of `model` but its predictors.

    Raises UserError where they cannot be had.
    """
    weights = MaskRCNN_ResNet50_FPN_Weights.COCO_V1
    try:
        state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (URLError, OSError, RuntimeError) as error:
        raise not_to_be_had("Mask R-CNN", weights.url, error) from error
    own = model.state_dict()
    fresh = {name: tensor for name, tensor in own.items() if name.startswith(_PREDICTORS)}
    model.load_state_dict({**state, **fresh})


@torch.inference_mode()
def detect(model: MaskRCNN, images: Sequence[Tensor]) -> list[Found]:
    """Return what `model` finds in each of `images`, float (3, H, W) in [0, 1].

    torchvision's own forward pass goes on to paste the masks into the images, which takes memory without end.
    """
    model.eval()
    sizes = [image.shape[-2:] for image in images]
    shown, _ = model.transform(list(images))
    features = model.backbone(shown.tensors)
    proposals, _ = model.rpn(shown, features)
    found, _ = model.roi_heads(features, proposals, shown.image_sizes)
    return [
        Found(resize_boxes(one["boxes"], seen, size), one["scores"], one["masks"][:, 0])
        for one, seen, size in zip(found, shown.image_sizes, sizes, strict=True)
    ]


class _Layers(FrameLayers):
    """2D layers whose normalisation is fit for two images at a time."""

    def __init__(self, norm: str) -> None:
        super().__init__(1, {}, eps=0.0, temporal_pooling=False)
        self._norm = norm

    def norm(self, channels: int) -> nn.Module:
        if self._norm == "group":
            return nn.GroupNorm(channels // GROUP, channels)
        return FrozenBatchNorm2d(channels, self.eps)  # torchvision, too, sets eps to 0 for these weights
