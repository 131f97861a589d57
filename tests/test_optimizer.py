"""Learning-rate schedules against their printed forms."""

import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from retrace.plan.spec import EpochCosine, Protocol, Sgd, Steps, VideoSgd
from retrace.train.optimizer import build_optimizer, epoch_cosine
from toy import toy_run


def rates(schedule: object, epochs: int, steps: int, lr: float = 0.01) -> list[float]:
    """Return the learning rate of every step of a run."""
    protocol = toy_run(epochs=epochs, schedule=schedule).protocol
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
