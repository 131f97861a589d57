"""Optimisers and learning-rate schedules against their printed forms."""

import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from attention_blocks import SEEING, spec
from retrace.errors import UserError
from retrace.models.registry import build
from retrace.plan.spec import EpochCosine, GroupedSgd, Protocol, Sgd, Steps, VideoSgd, WarmUp
from retrace.train.optimizer import build_optimizer, clip_gradient
from retrace.train.parameter_groups import parameter_groups
from retrace.train.schedule import epoch_cosine
from toy import toy_run


def rates(schedule: object, epochs: int, steps: int, lr: float = 0.01) -> list[float]:
    """Return the learning rate of every step of a run."""
    protocol = toy_run(epochs=epochs).protocol.model_copy(update={"schedule": schedule})
    protocol = protocol.model_copy(update={"optimizer": protocol.optimizer.model_copy(update={"lr": lr})})
    optimizer, moving = build_optimizer(nn.Linear(2, 2), protocol, steps)
    found = []
    for _ in range(epochs * steps):
        found.append(moving.get_last_lr()[0])
        optimizer.step()
        moving.step()
    return found


def test_steps_divide_the_rate_at_the_printed_epochs():
    # Deep Analysis, Table 5: 35 epochs, by 10 at 10, 20 and 30
    found = rates(Steps(kind="steps", at=(10, 20, 30), factor=0.1), 35, 3)
    for epoch in range(35):
        expected = 0.01 / 10 ** (epoch // 10)
        assert found[3 * epoch : 3 * epoch + 3] == pytest.approx([expected] * 3)


def test_the_cosine_of_epochs_is_half_a_cosine_and_stands_still_within_an_epoch():
    found = rates(EpochCosine(kind="epoch-cosine", warm_up=0, warm_up_from=0), 75, 4)
    for epoch in range(75):
        expected = 0.01 * 0.5 * (1 + math.cos(math.pi * epoch / 75))
        assert found[4 * epoch : 4 * epoch + 4] == pytest.approx([expected] * 4)


def test_the_warm_up_is_a_line_to_the_full_rate():
    # Deep Analysis, section 4.2: 196 epochs, from 0.01 to 1.6 over the first 34
    cosine = EpochCosine(kind="epoch-cosine", warm_up=34, warm_up_from=0.01)
    shares = [epoch_cosine(cosine, epoch, 196, 1.6) for epoch in range(196)]
    assert 1.6 * shares[0] == pytest.approx(0.01)
    assert 1.6 * shares[17] == pytest.approx((0.01 + 1.6) / 2)
    assert shares[34] == 1.0 and max(shares) == 1.0
    assert shares[34 + 81] == pytest.approx(0.5)
    assert 0 < shares[195] < 0.001


@pytest.mark.parametrize("nesterov", [False, True])
def test_nesterov_looks_one_step_ahead(nesterov):
    # Sutskever et al., 2013, as torch has it: b <- m b + g, then the step is g + m b instead of b
    sgd = VideoSgd(name="sgd", lr=0.1, momentum=0.9, weight_decay=0, nesterov=nesterov)
    protocol = toy_run(schedule="constant").protocol.model_copy(update={"optimizer": sgd})
    model = nn.Linear(1, 1, bias=False)
    optimizer, _ = build_optimizer(model, protocol, steps=1)
    weight, buffer = model.weight.item(), 0.0
    for gradient in (1.0, -0.5, 2.0):
        model.weight.grad = torch.tensor([[gradient]])
        optimizer.step()
        buffer = 0.9 * buffer + gradient
        weight -= 0.1 * (gradient + 0.9 * buffer if nesterov else buffer)
        assert model.weight.item() == pytest.approx(weight)


def test_nesterov_needs_momentum_and_is_for_videos_alone():
    plain = {"name": "sgd", "lr": 0.1, "momentum": 0.0, "weight_decay": 0.0}
    with pytest.raises(ValidationError, match="above 0"):
        VideoSgd(**plain, nesterov=True)
    assert "nesterov" not in Sgd.model_fields
    protocol = toy_run().protocol.model_dump()
    with pytest.raises(ValidationError, match="unknown key 'nesterov'"):
        Protocol.model_validate(protocol | {"optimizer": plain | {"nesterov": False}})


def test_gta_warms_up_for_two_epochs_and_divides_at_30_40_and_45():
    # GTA, section E: base rate 0.01, 50 epochs
    steps = Steps(kind="steps", at=(30, 40, 45), factor=0.1)
    found = rates(WarmUp(kind="warm-up", epochs=2, start=0.001, then=steps), 50, 4)
    assert found[0] == pytest.approx(0.001)
    assert found[:9] == pytest.approx([0.001 + 0.009 * step / 8 for step in range(9)])
    for epoch in range(2, 50):
        expected = 0.01 / 10 ** sum(epoch >= at for at in (30, 40, 45))
        assert found[4 * epoch : 4 * epoch + 4] == pytest.approx([expected] * 4)


def test_a_warm_up_of_a_part_of_an_epoch_ends_within_it():
    # SlowFast on Something-Something: 0.19 epochs from 1e-4 to 0.03
    steps = Steps(kind="steps", at=(14, 18), factor=0.1)
    found = rates(WarmUp(kind="warm-up", epochs=0.19, start=1e-4, then=steps), 22, 100, lr=0.03)
    line = [1e-4 + (0.03 - 1e-4) * step / 19 for step in range(19)]
    assert found[:25] == pytest.approx([*line, *[0.03] * 6])


def test_a_warm_up_ends_where_the_cosine_is_by_then():
    # SlowFast on Kinetics-400: 196 epochs, from 0.01 over the first 34; get_lr_at_epoch of its code
    found = rates(WarmUp(kind="warm-up", epochs=34, start=0.01, then="cosine"), 196, 2, lr=0.1)
    end = 0.1 * (math.cos(math.pi * 34 / 196) + 1) / 2
    assert end < 0.1
    assert found[:68] == pytest.approx([0.01 + (end - 0.01) * step / 68 for step in range(68)])
    rest = [0.1 * (math.cos(math.pi * step / 2 / 196) + 1) / 2 for step in range(68, 392)]
    assert found[68:] == pytest.approx(rest)


TSM = GroupedSgd(
    name="grouped-sgd",
    lr=0.01,
    momentum=0.9,
    nesterov=False,
    weight_decay=5e-4,
    norm_decay=False,
    bias_decay=False,
    bias_lr=2,
    classifier_lr=5,
    clip_norm=20,
)


def network(name: str = "GTA") -> nn.Module:
    return build(
        spec(SEEING[name], backbone="resnet18", width=64, positions=("layer2.0",), dropout=0.0),
        classes=5,
        channels=3,
        frames=4,
        side=32,
    )


@pytest.mark.parametrize("name", SEEING)
def test_every_parameter_is_in_one_group(name):
    net = network(name)
    grouped = [id(parameter) for group in parameter_groups(net, TSM) for parameter in group["params"]]
    assert sorted(grouped) == sorted(map(id, net.parameters()))


def test_the_groups_are_tsm_s():
    net = network()
    of = {id(p): group for group in parameter_groups(net, TSM) for p in group["params"]}
    block = net.trunk.layer2.after0.block[1]
    expected = {
        net.trunk.conv1.weight: (0.01, 5e-4),
        net.trunk.bn1.weight: (0.01, 0.0),
        net.trunk.bn1.bias: (0.01, 0.0),
        block.value.weight: (0.01, 5e-4),
        block.value.bias: (0.02, 0.0),
        block.branches["pixel"].matrices: (0.01, 5e-4),
        block.branches["region"].map.weight: (0.01, 5e-4),
        net.fc.weight: (0.05, 5e-4),
        net.fc.bias: (0.1, 0.0),
    }
    for parameter, (lr, decay) in expected.items():
        group = of[id(parameter)]
        assert (group["lr"], group["weight_decay"]) == (pytest.approx(lr), decay)


def test_the_rates_of_all_groups_go_by_the_schedule():
    protocol = toy_run(epochs=4, schedule=Steps(kind="steps", at=(2,), factor=0.1)).protocol
    optimizer, moving = build_optimizer(network(), protocol.model_copy(update={"optimizer": TSM}), steps=1)
    before = moving.get_last_lr()
    for _ in range(2):
        optimizer.step()
        moving.step()
    assert len(before) == 5
    assert moving.get_last_lr() == pytest.approx([lr / 10 for lr in before])


def test_a_model_without_a_classifier_of_that_name_has_no_rate_for_it():
    with pytest.raises(UserError, match="Linear has no classifier"):
        parameter_groups(nn.Linear(2, 2), TSM)


@pytest.mark.parametrize("norm", [5.0, 50.0])
def test_a_gradient_is_cut_to_its_norm_and_a_shorter_one_left(norm):
    model = nn.Linear(2, 1)
    model.weight.grad, model.bias.grad = torch.tensor([[0.0, 0.6 * norm]]), torch.tensor([0.8 * norm])
    clip_gradient(model, toy_run().protocol.model_copy(update={"optimizer": TSM}))
    got = torch.cat([model.weight.grad[0], model.bias.grad])
    assert got.tolist() == pytest.approx([0, 0.6 * min(norm, 20), 0.8 * min(norm, 20)], rel=1e-6)


def test_without_a_limit_the_gradient_stays():
    model = nn.Linear(1, 1)
    model.weight.grad, model.bias.grad = torch.tensor([[3e3]]), torch.tensor([4e3])
    clip_gradient(model, toy_run().protocol)
    assert (model.weight.grad.item(), model.bias.grad.item()) == (3e3, 4e3)
