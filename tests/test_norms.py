"""Batch normalisation of a step in portions: each by its own statistics, and how the running ones move."""

import copy
from itertools import permutations

import pytest
import torch
from torch import nn

import fleet
from retrace.models.rstg.norms import NodeNorm
from retrace.train.norms import Norms
from retrace.train.ranks import Ranks, together

SIZES = (5, 3, 1)
"""Clips of the portions, unlike each other."""


@pytest.fixture(scope="module", autouse=True)
def forks():
    fleet.prepare()


def net() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv3d(2, 3, 2), nn.BatchNorm3d(3, momentum=0.3), nn.ReLU(), nn.Conv3d(3, 2, 1))
    for value in layers[1].buffers():
        if value.is_floating_point():
            value.uniform_(0.5, 2)
    return layers.train()


def clips() -> torch.Tensor:
    return torch.rand(sum(SIZES), 2, 3, 4, 4, generator=torch.Generator().manual_seed(1)) * 3 + 1


def in_portions(model: nn.Module, parts: list[torch.Tensor]) -> list[torch.Tensor]:
    norms, total = Norms(model), sum(map(len, parts))
    answers = []
    for part in parts:
        with norms.portion(None, len(part) / total):
            answers.append(model(part))
    norms.update(Ranks())
    return answers


def test_each_portion_is_normalised_as_torch_would_and_running_statistics_move_once():
    ours, parts = net(), clips().split(SIZES)
    before = copy.deepcopy(ours[1].state_dict())
    answers = in_portions(ours, parts)
    means, variances = 0, 0
    for part, answer in zip(parts, answers, strict=True):
        torch.testing.assert_close(answer, net()(part))
        features = ours[0](part).transpose(0, 1).flatten(1).double()
        means = means + len(part) / 9 * features.mean(1)
        variances = variances + len(part) / 9 * features.var(1)
    expected_mean = 0.7 * before["running_mean"] + 0.3 * means
    expected_var = 0.7 * before["running_var"] + 0.3 * variances
    torch.testing.assert_close(ours[1].running_mean.double(), expected_mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours[1].running_var.double(), expected_var, rtol=1e-5, atol=1e-6)
    assert ours[1].num_batches_tracked == 1


def test_the_order_of_portions_does_not_matter():
    found = []
    for parts in permutations(clips().split(SIZES)):
        model = net()
        in_portions(model, list(parts))
        found.append(torch.cat([model[1].running_mean, model[1].running_var]))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-6, atol=0)


def test_one_portion_is_torchs_own_step():
    ours, theirs = net(), net()
    torch.testing.assert_close(in_portions(ours, [clips()])[0], theirs(clips()), rtol=0, atol=0)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-6, atol=0)


def test_outside_of_portions_and_in_evaluation_layers_are_torchs_own():
    ours, theirs = net(), net()
    norms = Norms(ours)
    for mode in (True, False):
        assert torch.equal(ours.train(mode)(clips()), theirs.train(mode)(clips()))
    with norms.portion(None, 1.0):
        assert torch.equal(ours(clips()), theirs(clips()))
    norms.update(Ranks())
    assert all(torch.equal(ours.state_dict()[name], value) for name, value in theirs.state_dict().items())
    assert isinstance(ours[1], nn.BatchNorm3d) and ours.state_dict().keys() == theirs.state_dict().keys()


def test_a_layer_that_the_model_does_not_ask_stays_as_it_is():
    model = nn.ModuleList([net(), nn.BatchNorm1d(4)])
    norms = Norms(model)
    with norms.portion(None, 1.0):
        model[0](clips())
    norms.update(Ranks())
    assert (model[1].running_var == 1).all() and model[1].num_batches_tracked == 0


def test_a_layer_asked_twice_moves_once_towards_the_mean_of_both():
    layer = nn.BatchNorm1d(2, momentum=0.5)
    norms = Norms(layer)
    first, second = torch.rand(4, 2), torch.rand(4, 2) + 3
    with norms.portion(None, 1.0):
        layer(first)
        layer(second)
    norms.update(Ranks())
    torch.testing.assert_close(layer.running_mean, (first.mean(0) + second.mean(0)) / 4)
    assert layer.num_batches_tracked == 1


def test_a_portion_taken_back_leaves_no_trace():
    model = net()
    before = copy.deepcopy(model.state_dict())
    norms = Norms(model)
    with norms.portion(None, 1.0):
        model(clips())
    norms.forget()
    norms.update(Ranks())
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())


def whole(model: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return by torch alone the gradient of x and, by name, those of parameters, and the buffers."""
    x.requires_grad_()
    model(x).square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    return x.grad, gradients | dict(model.named_buffers())


def nodes() -> nn.Module:
    return NodeNorm(3).train()


def shared_by_ranks() -> None:
    """On each rank: a portion over all of them has the statistics and the gradients of the whole."""
    with together() as ranks:
        assert ranks.count == 2
        for make, x in ((net, clips()), (nodes, clips()[:, 0, :, :, :3])):
            expected_x, expected = whole(make(), x.clone())
            model, (own, other) = make(), x.split((6, 3))  # unlike parts
            own = (own if ranks.first else other).clone().requires_grad_()
            norms = Norms(model)
            with norms.portion(ranks.group(range(2)), len(own) / len(x)):
                model(own).square().sum().backward()
            norms.update(ranks)
            place = slice(0, 6) if ranks.first else slice(6, 9)
            torch.testing.assert_close(own.grad, expected_x[place], rtol=1e-3, atol=1e-4)
            for name, value in model.named_buffers():
                torch.testing.assert_close(value, expected[name], rtol=1e-5, atol=1e-5)
            for name, parameter in model.named_parameters():
                summed = ranks.add_up(parameter.grad.clone())
                torch.testing.assert_close(summed, expected[name], rtol=1e-3, atol=1e-3)


def test_ranks_that_share_a_portion_have_the_statistics_and_gradients_of_the_whole():
    assert fleet.on_ranks(2, shared_by_ranks) == [0, 0]
