"""Starting from another run's weights: other classes, more blocks; and batches split for their norms."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from retrace.errors import UserError
from retrace.train import start
from retrace.train.gradient import Gradient
from retrace.train.memory import MicroBatch
from retrace.train.ranks import Ranks
from retrace.train.weights import Origin, load_into, load_parent, on_cpu, read_weights, save_weights
from toy import toy_run
from video_cnns import small

PARENT = "1a2b3c4d"
OLD, NEW = ("a", "b", "c", "d", "e"), ("f", "g")


def saved(net: nn.Module, folder: Path) -> Path:
    save_weights(folder / "weights.safetensors", on_cpu(net), Origin(PARENT, OLD, 3))
    return folder / "weights.safetensors"


def test_with_other_classes_the_classifier_alone_starts_anew(tmp_path):
    parent, child = small("resnet18", "tam"), small("resnet18", "tam")
    child.fc = nn.Linear(child.fc.in_features, 2)
    before = copy.deepcopy(child.fc.state_dict())
    fresh = load_parent(child, PARENT, saved(parent, tmp_path), NEW, lambda: ["fc.weight", "fc.bias"])
    assert fresh == ["fc.weight", "fc.bias"]
    assert all(torch.equal(child.fc.state_dict()[key], value) for key, value in before.items())
    trunk = parent.trunk.state_dict()
    assert all(torch.equal(value, trunk[key]) for key, value in child.trunk.state_dict().items())


def test_as_many_other_classes_do_not_keep_the_classifier(tmp_path):
    parent, child = small("resnet18", "none"), small("resnet18", "none")
    nn.init.ones_(child.fc.weight)
    load_parent(
        child, PARENT, saved(parent, tmp_path), ("v", "w", "x", "y", "z"), lambda: ["fc.weight", "fc.bias"]
    )
    assert (child.fc.weight == 1).all()


def test_blocks_that_the_parent_lacks_keep_their_values(tmp_path):
    parent, child = small("resnet18", "none"), small("resnet18", "tam")
    for parameter in child.parameters():
        nn.init.constant_(parameter, 0.125)
    fresh = load_parent(child, PARENT, saved(parent, tmp_path), OLD, list)
    assert fresh and all("branch" in name for name in fresh)
    assert all((child.state_dict()[name] == 0.125).all() for name in fresh)
    assert torch.equal(child.trunk.conv1.weight, parent.trunk.conv1.weight)


def test_a_parent_s_tensor_without_a_place_is_an_error(tmp_path):
    parent, child = small("resnet18", "tam"), small("resnet18", "none")
    with pytest.raises(UserError, match="do not fit the model"):
        load_parent(child, PARENT, saved(parent, tmp_path), OLD, list)


def test_the_classifier_is_what_depends_on_the_number_of_classes():
    classifier = start.classifier(toy_run())
    weight, bias = (dict(start.build(toy_run(), 7).named_parameters())[name] for name in classifier)
    assert weight.shape[0] == bias.shape[0] == 7 and weight.ndim == 2


def test_a_batch_in_parts_has_the_gradient_of_the_whole(tmp_path):
    """By linearity, where no norm sees its neighbours: in evaluation mode they do not."""
    net = small("resnet18", "tam", frames=4).double()
    torch.manual_seed(1)
    x, labels = torch.rand(6, 4, 3, 32, 32, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 4, 0])

    run = toy_run(batch=6)
    run = run.model_copy(update={"train": run.train.model_copy(update={"classes": tuple("abcde")})})

    def gradients(part: int) -> list[torch.Tensor]:
        net.zero_grad()
        gradient = Gradient(net, run, Ranks(), MicroBatch(tmp_path / "none"), print)
        gradient.micro_batch.most = part
        gradient.add(x.unsqueeze(1), labels, np.arange(6))
        return [parameter.grad.clone() for parameter in net.parameters()]

    for whole, parts in zip(gradients(6), gradients(4), strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-7)


def test_weights_that_lie_channels_last_in_memory_are_kept_too(tmp_path):
    net = torch.nn.Conv2d(3, 2, 3).to(memory_format=torch.channels_last)
    assert not net.weight.is_contiguous()
    save_weights(tmp_path / "weights.safetensors", on_cpu(net), Origin(PARENT, OLD, 3))
    other = torch.nn.Conv2d(3, 2, 3)
    load_into(other, read_weights(tmp_path / "weights.safetensors")[0], tmp_path)
    assert torch.equal(other.weight, net.weight)
