"""Counts of parameters and multiply-adds against hand counts and the figures of the paper's models."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import rac_oracle
from retrace.cost.count import multiply_adds, parameters, work

CLIP_SHAPE = (1, 20, 1, 64, 64)


def test_a_linear_layer_costs_its_weights():
    layer = nn.Linear(7, 3)
    assert parameters(layer) == 7 * 3 + 3
    assert multiply_adds(layer, (5, 7)) == 5 * 7 * 3


def test_convolutions_can_be_counted_alone():
    model = nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), nn.Flatten(), nn.Linear(4 * 4 * 5, 3))
    convolution, linear = 4 * 4 * 5 * 9, 4 * 4 * 5 * 3
    assert work(model, (1, 2, 6, 7)) == (convolution + linear, convolution)


def test_norms_hand_on_what_they_get_while_counting():
    model = nn.Sequential(nn.Conv3d(2, 4, 1), nn.BatchNorm3d(4), nn.Conv3d(4, 1, 1))
    assert multiply_adds(model, (1, 2, 3, 5, 7)) == 3 * 5 * 7 * (2 * 4 + 4)
    x = torch.rand(1, 4, 3, 5, 7)
    assert not torch.equal(model[1](x), x)


def test_frozen_parameters_and_buffers_do_not_count():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    model[0].requires_grad_(False)
    assert parameters(model) == 4


def test_counting_leaves_the_model_as_it_was():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    multiply_adds(model, (1, 2))
    assert model.training
    assert next(model.parameters()).device.type == "cpu"
    assert model[1].num_batches_tracked == 0


@pytest.mark.parametrize(
    ("name", "hidden", "millions"),
    [
        ("cnn3d", 8, 37.6),
        ("cnn3d", 16, 115),
        ("cnn3d", 48, 823),
        ("convlstm", 8, 330),
        ("convlstm", 16, 1274),
        ("convlstm", 48, 11183),
    ],
)
def test_multiply_adds_are_those_worked_out_for_the_paper(name, hidden, millions):
    counted = multiply_adds(rac_oracle.model_on_meta(name, hidden), CLIP_SHAPE) / 1e6
    assert round(counted, 1 if millions < 100 else 0) == millions


def convlstm_by_hand(hidden: int) -> int:
    """Return the multiply-adds of all recurrent convolutions, of all input convolutions, and of the head."""
    pixels = [20 * side**2 for side in (64, 32, 16)]
    recurrent = sum(9 * hidden * 4 * hidden * count for count in pixels)
    fed = sum(9 * c * 4 * hidden * n for c, n in zip((1, hidden, hidden), pixels, strict=True))
    return recurrent + fed + 64 * hidden * 5


@pytest.mark.parametrize("hidden", [2, 16])
def test_the_count_sees_every_convolution_inside_the_recurrence(hidden):
    model = rac_oracle.model_on_meta("convlstm", hidden)
    assert multiply_adds(model, CLIP_SHAPE) == convlstm_by_hand(hidden)


def test_the_count_sees_the_recurrence_go_back():
    hidden, model = 4, rac_oracle.model_on_meta("convlstm", 4)
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(CLIP_SHAPE, device="meta")).sum().backward()
    first = 20 * 64**2 * 9 * 4 * hidden  # multiply-adds per input channel of the first layer
    # Backward costs twice forward, but the clip needs no gradient, nor does the state before its first frame.
    saved = first + first * hidden // 20
    assert counter.get_total_flops() // 2 == 3 * convlstm_by_hand(hidden) - saved


@pytest.mark.parametrize(("heads", "hidden"), [(8, 4), (1, 8)])
def test_a_timesformer_costs_its_linear_layers_and_its_attention(heads, hidden):
    dim, frames, patches = heads * hidden, 20, 16
    tokens = 1 + frames * patches
    linear = 20 * dim**2 * tokens  # two qkv, two outputs, widen, narrow
    over_time = patches * frames * (frames + 1) + tokens  # pairs of query and key, cls last
    over_space = frames * patches * (patches + 1) + tokens
    layer = linear + 2 * dim * (over_time + over_space)
    expected = 256 * dim * frames * patches + 3 * layer + 5 * dim
    assert multiply_adds(rac_oracle.model_on_meta(f"timesformer-{heads}", hidden), CLIP_SHAPE) == expected
