"""The sizes of what layers put out, by hooks on the meta device."""

import pytest
import torch
from torch import nn

from retrace.cost.shapes import CLIP, output_shapes
from retrace.errors import UserError


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 5, 3, stride=2)
        self.rest = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(5 * 3 * 3, 2))
        self.both = nn.LSTM(2, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.both(self.rest(self.first(x)))[0]


def test_each_layer_puts_out_what_it_puts_out_in_earnest():
    shape, layers = (2, 3, 7, 7), [CLIP, "first", "rest.1", "rest"]
    network, seen = Net(), {CLIP: list(shape)}
    found = output_shapes(network, shape, layers)
    x = torch.rand(shape)
    seen["first"] = list(network.first(x).shape)
    seen["rest.1"] = list(network.rest[:2](network.first(x)).shape)
    seen["rest"] = list(network.rest(network.first(x)).shape)
    assert found == seen
    assert not network.first._forward_hooks


def test_a_layer_that_is_none_is_named_with_the_nearest():
    with pytest.raises(UserError, match="no layer 'frist'; did you mean 'first'"):
        output_shapes(Net(), (1, 3, 7, 7), ["frist"])


def test_a_layer_without_a_tensor_is_refused():
    with pytest.raises(UserError, match="'both' puts out tuple"):
        output_shapes(Net(), (1, 3, 7, 7), ["both"])
