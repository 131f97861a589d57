"""Mask R-CNN: the paper's size to the last parameter, torchvision's answers, and what is trained of it."""

import pytest
import torch
from torchvision.models.detection import maskrcnn_resnet50_fpn
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.ops import FrozenBatchNorm2d

from pages import ROOT
from retrace.errors import UserError
from retrace.plan.library import Library
from retrace.segment.model import build, detect, start_from_coco
from segments import SMALL


@pytest.fixture(scope="module")
def paper():
    return Library(ROOT).segmenters.pages["diving48"].model


def images(count: int = 2) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.rand(3, 60, 80, generator=generator) for _ in range(count)]


def test_parameters_at_the_papers_size(paper):
    """Counted with the authors' code."""
    with torch.device("meta"):
        model = build(paper)
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    assert sum(size for size, _ in sizes) == 43_922_395
    assert sum(size for size, trained in sizes if trained) == 43_699_995


def test_it_is_torchvisions_network(paper):
    """With torchvision's weights, of two classes here, it gives torchvision's losses and answers."""
    torch.manual_seed(0)
    theirs = maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=2, min_size=64, max_size=86
    )
    for path, module in list(theirs.backbone.body.named_modules()):
        if isinstance(module, torch.nn.BatchNorm2d):
            parent = theirs.backbone.body.get_submodule(path.rpartition(".")[0])
            setattr(parent, path.rpartition(".")[2], FrozenBatchNorm2d(module.num_features, 0.0))
    ours = build(paper.model_copy(update={"short_side": 64, "long_side": 86}))
    ours.load_state_dict(theirs.state_dict())
    target = {
        "boxes": torch.tensor([[10.0, 10, 40, 50]]),
        "labels": torch.ones(1, dtype=torch.int64),
        "masks": torch.ones(1, 60, 80, dtype=torch.uint8),
    }
    losses = []
    for model in (theirs, ours):
        torch.manual_seed(1)
        losses.append(model.train()(images(), [target, target]))
    assert losses[0].keys() == losses[1].keys()
    assert all(torch.equal(losses[0][name], losses[1][name]) for name in losses[0])
    with torch.inference_mode():
        theirs.roi_heads.score_thresh = ours.roi_heads.score_thresh = 0.0
        expected, answers = theirs.eval()(images()), detect(ours, images())
    for one, found in zip(expected, answers, strict=True):
        assert len(found.scores_N) > 5
        assert torch.equal(found.boxes_N4, one["boxes"]) and torch.equal(found.scores_N, one["scores"])
        pasted = paste_masks_in_image(found.masks_NSS[:, None], found.boxes_N4, (60, 80))
        assert torch.equal(pasted, one["masks"])


def test_frozen_stages_are_the_first_ones(paper):
    for stages, frozen in ((0, {"conv1", "layer1", "layer2", "layer3", "layer4"}), (3, {"conv1", "layer1"})):
        with torch.device("meta"):
            model = build(paper.model_copy(update={"trainable": stages}))
        body = model.backbone.body.named_parameters()
        assert {name.partition(".")[0] for name, p in body if not p.requires_grad} == frozen
    assert all(p.requires_grad for p in build(SMALL).parameters())


def test_what_is_found_of_an_image_hangs_on_that_image_alone():
    torch.manual_seed(2)
    model = build(SMALL.model_copy(update={"score": 0}))
    together = detect(model, images(3))
    for image, found in zip(images(3), together, strict=True):
        (alone,) = detect(model, [image])
        torch.testing.assert_close(alone.boxes_N4, found.boxes_N4)
        torch.testing.assert_close(alone.masks_NSS, found.masks_NSS)


def test_the_weights_of_coco_are_taken_but_for_the_predictors(paper, monkeypatch):
    from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights as Weights

    torch.manual_seed(0)
    coco = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None).state_dict()
    coco = {name: tensor for name, tensor in coco.items() if not name.endswith("num_batches_tracked")}
    monkeypatch.setattr(Weights, "get_state_dict", lambda self, **_: coco)
    model = build(paper)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    start_from_coco(model)
    for name, tensor in model.state_dict().items():
        source = before if "predictor" in name else coco
        assert torch.equal(tensor, source[name]), name


def test_weights_that_cannot_be_had_are_told_with_a_way_out(paper, monkeypatch):
    from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights as Weights

    def offline(self, **_):
        raise OSError("no route to host")

    monkeypatch.setattr(Weights, "get_state_dict", offline)
    with torch.device("meta"):
        model = build(paper)
    with pytest.raises(
        UserError, match=r"maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth into the folder hub/checkpoints"
    ):
        start_from_coco(model)
