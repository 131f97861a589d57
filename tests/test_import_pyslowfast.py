"""PySlowFast's checkpoints in our names, against a network that is run from their names alone."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from attention_blocks import attention, dot_product
from retrace.errors import UserError
from retrace.models.imports.registry import translated
from slowfasts import Kind, made, single, slowfast

DOUBLE = torch.float64
State = dict[str, Tensor]
DEPTHS = (3, 4, 6, 3)
PLACES = {3: (1, 3), 4: (1, 3, 5)}
"""Behind which blocks of which stage the zoo has its non-local blocks."""


class Zoo:
    """Tensors by their public names, made as they are asked for, and the forward pass over them."""

    def __init__(self, times: dict[int, tuple[int, ...]], *, softmax: bool) -> None:
        self.state: State = {}
        self.times, self.softmax = times, softmax

    def conv(
        self, name: str, x: Tensor, c_out: int, kernel: tuple[int, int, int], stride=(1, 1, 1)
    ) -> Tensor:
        shape = (c_out, x.shape[1], *kernel)
        scaled = torch.randn(shape, dtype=DOUBLE) / math.prod(shape[1:]) ** 0.5
        weight = self.state.setdefault(f"{name}.weight", scaled)
        return F.conv3d(x, weight, self.state.get(f"{name}.bias"), stride, [k // 2 for k in kernel])

    def norm(self, name: str, x: Tensor) -> Tensor:
        found = {"running_mean": x.mean((0, 2, 3, 4)), "running_var": x.var((0, 2, 3, 4)) + 0.1}
        for key in ("weight", "bias"):
            found[key] = 0.2 + 0.8 * torch.rand(x.shape[1], dtype=DOUBLE)
        for key, tensor in found.items():
            self.state.setdefault(f"{name}.{key}", tensor)
        keys = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(self.state[f"{name}.{key}"] for key in keys))

    def stem(self, pathway: int, x: Tensor, width: int, time: int) -> Tensor:
        name = f"s1.pathway{pathway}_stem"
        x = self.norm(f"{name}.bn", self.conv(f"{name}.conv", x, width, (time, 7, 7), (1, 2, 2))).relu()
        return F.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))

    def stage(self, number: int, pathway: int, x: Tensor, inner: int, places: tuple[int, ...] = ()) -> Tensor:
        for index in range(DEPTHS[number - 2]):
            x = self.block(
                f"s{number}.pathway{pathway}_res{index}", x, inner, self.time(number, pathway, index)
            )
            if index in places:
                x = self.non_local(f"s{number}.pathway{pathway}_nonlocal{index}", x)
        return x

    def time(self, number: int, pathway: int, index: int) -> int:
        kernels = self.times[pathway * 10 + number]
        return kernels[index % len(kernels)]

    def block(self, name: str, x: Tensor, inner: int, time: int) -> Tensor:
        halves = name[1] != "2" and name.endswith("res0")
        stride, y = ((1, 2, 2) if halves else (1, 1, 1)), x
        layers = (
            ("a", inner, (time, 1, 1), (1, 1, 1)),
            ("b", inner, (1, 3, 3), stride),
            ("c", 4 * inner, (1, 1, 1), (1, 1, 1)),
        )
        for layer, width, kernel, strides in layers:
            y = self.conv(f"{name}.branch2.{layer}", y, width, kernel, strides)
            y = self.norm(f"{name}.branch2.{layer}_bn", y)
            y = y if layer == "c" else y.relu()
        if name.endswith("res0"):
            x = self.norm(f"{name}.branch1_bn", self.conv(f"{name}.branch1", x, 4 * inner, (1, 1, 1), stride))
        return (x + y).relu()

    def non_local(self, name: str, x: Tensor) -> Tensor:
        seen, inner = F.max_pool3d(x, (1, 2, 2)), x.shape[1] // 2
        for part in ("theta", "phi", "g", "out"):
            self.state.setdefault(
                f"{name}.conv_{part}.bias", torch.rand(inner if part != "out" else x.shape[1], dtype=DOUBLE)
            )
        q, k, v = (
            self.conv(f"{name}.conv_{part}", of, inner, (1, 1, 1)).flatten(2)
            for part, of in (("theta", x), ("phi", seen), ("g", seen))
        )
        affinity = q.transpose(1, 2) @ k
        affinity = (affinity * inner**-0.5).softmax(2) if self.softmax else affinity / k.shape[2]
        y = (v @ affinity.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.norm(f"{name}.bn", self.conv(f"{name}.conv_out", y, x.shape[1], (1, 1, 1)))

    def head(self, *maps: Tensor) -> Tensor:
        x = torch.cat([x.mean((2, 3, 4)) for x in maps], 1)
        weight = self.state.setdefault("head.projection.weight", torch.randn(5, x.shape[1], dtype=DOUBLE))
        return F.linear(x, weight, self.state.setdefault("head.projection.bias", torch.rand(5, dtype=DOUBLE)))


def zoo_slowfast(zoo: Zoo, x_BTCHW: Tensor) -> Tensor:
    slow, fast = (x.transpose(1, 2) for x in (x_BTCHW[:, [0, 7]], x_BTCHW))
    slow, fast = zoo.stem(0, slow, 16, 1), zoo.stem(1, fast, 2, 5)
    for number in range(1, 6):
        if number > 1:
            inner = 2 ** (number - 2)
            slow = zoo.stage(number, 0, slow, 16 * inner, PLACES.get(number, ()))
            fast = zoo.stage(number, 1, fast, 2 * inner)
        if number < 5:
            name = f"s{number}_fuse"
            from_fast = zoo.conv(f"{name}.conv_f2s", fast, 2 * fast.shape[1], (7, 1, 1), (4, 1, 1))
            slow = torch.cat([slow, zoo.norm(f"{name}.bn", from_fast).relu()], 1)
    return zoo.head(slow, fast)


def zoo_i3d(zoo: Zoo, x_BTCHW: Tensor) -> Tensor:
    x = zoo.stem(0, x_BTCHW.transpose(1, 2), 16, 5)
    for number in range(2, 6):
        x = zoo.stage(number, 0, x, 16 * 2 ** (number - 2), PLACES.get(number, ()))
        x = F.max_pool3d(x, (2, 1, 1)) if number == 2 else x
    return zoo.head(x)


SLOWFAST = {2: (1,), 3: (1,), 4: (3,), 5: (3,), 12: (3,), 13: (3,), 14: (3,), 15: (3,)}
I3D = {2: (3,), 3: (3, 1), 4: (3, 1), 5: (1, 3)}
"""Kernels along time that the blocks of a stage have in turn; of the fast pathway's stages under 10 more."""

MODELS: dict[str, Kind] = {
    "SlowFast": slowfast({"joint": dot_product(2, "before")}, width=16),
    "I3D": single("i3d", {"joint": attention(2, "before")}, width=16),
}


def released(name: str) -> tuple[State, Tensor, Tensor]:
    """Return a checkpoint, clips and what it answers."""
    torch.manual_seed(0)
    x_BTCHW = torch.rand(2, 8, 3, 64, 64, dtype=DOUBLE)
    zoo = Zoo(SLOWFAST, softmax=False) if name == "SlowFast" else Zoo(I3D, softmax=True)
    answers = (zoo_slowfast if name == "SlowFast" else zoo_i3d)(zoo, x_BTCHW)
    return zoo.state, x_BTCHW, answers


@torch.no_grad()
@pytest.mark.parametrize("name", MODELS)
def test_a_network_answers_as_its_checkpoint_does_by_its_public_names(name: str) -> None:
    state, x, expected = released(name)
    net = made(MODELS[name], side=64).double().eval()
    wrapped = {f"module.{key}": tensor for key, tensor in state.items()}
    weights, left_out = translated("pyslowfast", MODELS[name].family, wrapped, net.state_dict())
    assert left_out == {}
    net.load_state_dict(weights)
    assert expected.std() > 0.1
    torch.testing.assert_close(net(x), expected, rtol=1e-9, atol=1e-9)


def test_what_a_checkpoint_has_too_much_or_lacks_is_named() -> None:
    state, *_ = released("I3D")
    more = state | {"s6.pathway0_res0.branch1.weight": torch.zeros(1)}
    with pytest.raises(UserError, match=r"s6\.pathway0_res0"):
        translated("pyslowfast", "single-pathway", more, made(MODELS["I3D"]).state_dict())
    with pytest.raises(UserError, match=r"fast\.bn1\.bias: found nothing"):
        translated("pyslowfast", "slowfast", state, made(MODELS["SlowFast"]).state_dict())
