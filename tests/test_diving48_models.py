"""The models of Diving48 against counts measured with the authors' code, twins and closed forms."""

import math

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from papertext import oracle
from rac_oracle import assert_runs_under_bfloat16_autocast
from retrace.cost.count import parameters
from retrace.cost.shapes import output_shapes
from retrace.errors import UserError
from retrace.models import recurrence
from retrace.models.registry import build
from retrace.plan.layered import LayeredCnn3d, LayeredConvLstm, TimeSformerVariant
from retrace.plan.model import Cnn3d, ConvLstm, Model, TimeSformer

CLIP = {"classes": 48, "channels": 3, "side": 224}
WIDE = (32, 64, 128, 128, 128, 256, 256, 256, 512, 512, 512)
LONG_KERNELS = (5, *[3] * 10)


def cnn(hidden, kernels, pools, padding) -> LayeredCnn3d:
    return LayeredCnn3d(
        family="layered-cnn3d", hidden=hidden, kernels=kernels, pools=pools, pool_padding=padding
    )


def lstm(hidden=(128,) * 4, kernels=(7, 7, 5, 3), stride=2) -> LayeredConvLstm:
    return LayeredConvLstm(family="layered-convlstm", hidden=hidden, kernels=kernels, stride=stride)


def attention(width: int, layers: int, **changes) -> TimeSformerVariant:
    values = {"attention_dropout": 0.0, "ff_dropout": 0.0, "extra_linear": False, "heads": 8, "patch": 16}
    values |= {"width": width, "head_width": width // 8, "layers": layers, **changes}
    return TimeSformerVariant(family="timesformer-variant", **values)


CONVOLVED = [
    ("3DCNN a-c 4x128 k7,7,5,3 pool all (pad0)", cnn((128,) * 4, (7, 7, 5, 3), (1, 2, 3, 4), 0)),
    ("3DCNN e-h 6x128 k7,7,7,5,3,3 pool all (pad1)", cnn((128,) * 6, (7, 7, 7, 5, 3, 3), range(1, 7), 1)),
    ("3DCNN d 11-layer (inference cfg pooling)", cnn(WIDE, LONG_KERNELS, (3, 5, 7, 10), 1)),
    ("3DCNN d 11-layer (hmdbucf pooling)", cnn(WIDE, LONG_KERNELS, (3, 5, 7, 9, 10), 1)),
    ("ConvLSTM 4x128 k7753 stride2 return_seq1", lstm()),
    ("ConvLSTM 4x128 k7753 stride1 return_seq1", lstm(stride=1)),
]
ATTENDING = [
    ("TimeSf D1024 depth4 Dh128", attention(1024, 4)),
    ("TimeSf D256 depth11 Dh32", attention(256, 11)),
    ("TimeSf D512 depth12 Dh64", attention(512, 12)),
    ("TimeSf D512 depth3 Dh64", attention(512, 3)),
]
COUNTS = [10_651_824, 14_613_424, 39_888_816, 26_445_744, 14_367_280, 52_705_840]
COUNTS += [84_795_440, 14_675_760, 63_438_896, 16_174_640]


def on_meta(spec: Model, frames: int = 32) -> nn.Module:
    with torch.device("meta"):
        return build(spec, frames=frames, **CLIP)


@pytest.mark.parametrize(("known", "count"), [*zip([*CONVOLVED, *ATTENDING], COUNTS, strict=True)])
def test_parameters_are_those_of_the_authors_code(known, count):
    name, spec = known
    assert parameters(on_meta(spec)) == count == oracle("rac", "diving48_params")[name]["total"]


@pytest.mark.parametrize(("name", "spec"), CONVOLVED)
def test_the_classifier_reads_what_it_reads_in_the_authors_code(name, spec):
    measured, model = oracle("rac", "diving48_params")[name], on_meta(spec)
    shape = output_shapes(model, (1, 32, 3, 224, 224), ["blocks"])["blocks"]
    if isinstance(spec, LayeredConvLstm):
        shape = [shape[i] for i in (0, 1, 4, 2, 3)]  # ours are channels-last
    assert shape == measured["out"]
    assert model.head.in_features == measured["flat"] == math.prod(shape)


def test_the_classifier_of_the_convlstm_grows_with_the_frames():
    measured = oracle("rac", "diving48_params")["ConvLSTM 4x128 T8 rs1"]
    assert parameters(on_meta(lstm(), frames=8)) == measured["total"]


def test_a_frame_more_or_less_changes_no_parameter_of_a_timesformer():
    assert parameters(on_meta(attention(256, 11), frames=8)) == parameters(on_meta(attention(256, 11)))


def test_layers_that_are_all_alike_are_those_of_temporal_shape():
    """The same tensors from the same seed, and so the same logits."""
    clip = {"classes": 5, "channels": 1, "frames": 8, "side": 16}
    plain = "attention_dropout", "ff_dropout"
    pairs = [
        (Cnn3d(family="cnn3d", hidden=4, layers=2), cnn((4, 4), (3, 3), (1, 2), 0)),
        (
            TimeSformer(family="timesformer", hidden=4, heads=2, layers=2, patch=8),
            attention(8, 2, heads=2, head_width=4, patch=8, **dict.fromkeys(plain, 0.0)),
        ),
    ]
    x_BTCHW = torch.rand(2, 8, 1, 16, 16, generator=torch.manual_seed(1))
    for kinds in pairs:
        logits = []
        for spec in kinds:
            torch.manual_seed(0)
            logits.append(build(spec, **clip)(x_BTCHW))
        assert torch.equal(*logits)


def test_a_convlstm_of_equal_layers_differs_from_that_of_temporal_shape_in_what_is_read():
    clip = {"classes": 5, "channels": 1, "frames": 6, "side": 16}
    models = []
    for spec in (ConvLstm(family="convlstm", hidden=4, layers=2), lstm((4, 4), (3, 3), stride=1)):
        torch.manual_seed(0)
        models.append(build(spec, **clip))
    x_BTHWC = torch.rand(2, 6, 16, 16, 1, generator=torch.manual_seed(1))
    assert torch.equal(*(model.blocks(x_BTHWC) for model in models))
    assert models[1].head.in_features == 6 * models[0].head.in_features


# Twins


def small(spec: Model, frames: int = 5, side: int = 15) -> nn.Module:
    torch.manual_seed(0)
    return build(spec, classes=4, channels=2, frames=frames, side=side).double()


def clips(count: int = 3, frames: int = 5, side: int = 15) -> Tensor:
    shape = (count, frames, 2, side, side)
    return torch.rand(shape, dtype=torch.double, generator=torch.manual_seed(1)) - 0.5


def normed(x: Tensor, norm: nn.BatchNorm3d) -> Tensor:
    """Normalise (B, N, T, H, W) by its own statistics. (nn.BatchNorm3d itself errs on frames of 1x1.)"""
    dims, shape = (0, 2, 3, 4), (-1, 1, 1, 1)
    spread = (x.var(dims, correction=0, keepdim=True) + norm.eps).sqrt()
    standard = (x - x.mean(dims, keepdim=True)) / spread
    return standard * norm.weight.view(shape) + norm.bias.view(shape)


def lstm_twin(model: nn.Module, x_BTCHW: Tensor) -> Tensor:
    """The authors' order of work, step by step. Where a side of 3 becomes 2, their first state is 1x1."""
    for block in model.blocks:
        side = 1 if x_BTCHW.shape[-1] == 3 else -(-x_BTCHW.shape[-1] // block.stride)
        h = c = x_BTCHW.new_zeros(len(x_BTCHW), block.recurrent.in_channels, side, side)
        pooled = []
        for x in x_BTCHW.unbind(1):
            i, f, o, g = (block.input(x) + block.recurrent(h)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            pooled.append(F.max_pool2d(h, 2))
        x_BTCHW = normed(torch.stack(pooled, 2), block.norm).transpose(1, 2)
    return model.head(x_BTCHW.flatten(1))


def cnn_twin(model: nn.Module, x_BTCHW: Tensor) -> Tensor:
    """Convolution, ReLU, and a maximum over windows that are cut out one by one."""
    x = x_BTCHW.transpose(1, 2)
    for block in model.blocks:
        x = F.relu(block.convolution(x))
        if block.pool_padding is not None:
            low = -block.pool_padding
            for dim in (2, 3, 4):
                size = x.shape[dim]
                windows = [
                    x.narrow(dim, max(start, 0), min(start + 2, size) - max(start, 0)).amax(dim, keepdim=True)
                    for start in range(low, size + block.pool_padding - 1, 2)
                ]
                x = torch.cat(windows, dim)
        x = normed(x, block.norm)
    return model.head(x.flatten(1))


def assert_alike(model: nn.Module, twin, x_BTCHW: Tensor) -> None:
    x_BTCHW = x_BTCHW.requires_grad_()
    wanted = (x_BTCHW, *model.parameters())
    found = []
    for logits in (model(x_BTCHW), twin(model, x_BTCHW)):
        labels = torch.arange(len(logits)) % logits.shape[1]
        found.append((logits, *torch.autograd.grad(F.cross_entropy(logits, labels), wanted)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=0)


@pytest.mark.parametrize("clips_at_a_time", [1, 2, 9])
@pytest.mark.parametrize(
    ("spec", "side"),
    [
        (lstm((3, 2), (5, 3), stride=2), 16),
        (lstm((3, 2), (5, 3), stride=2), 11),  # 11, 6, pooled 3, 2, pooled 1: as in the paper's last layer
        (lstm((3,), (7,), stride=3), 16),
        (lstm((2, 3), (3, 5), stride=1), 9),
    ],
)
def test_a_convlstm_with_a_stride_is_its_step_by_step_twin(spec, side, clips_at_a_time, monkeypatch):
    monkeypatch.setattr(recurrence, "_clips_at_a_time", lambda kind: clips_at_a_time)
    assert_alike(small(spec, side=side), lstm_twin, clips(side=side))


def test_the_past_is_in_the_state_of_a_convlstm_with_a_stride_and_the_future_is_not():
    blocks = small(lstm((3, 2), (5, 3))).eval().blocks
    x_BTHWC = clips().permute(0, 1, 3, 4, 2)
    torch.testing.assert_close(blocks(x_BTHWC[:, :3]), blocks(x_BTHWC)[:, :3])


@pytest.mark.parametrize(
    "spec",
    [
        cnn((3, 2, 4), (5, 3, 3), (1, 3), 1),
        cnn((3, 2), (3, 3), (1, 2), 1),
        cnn((3, 2, 4), (3, 1, 3), (2,), 0),
        cnn((3, 2), (7, 3), (), 0),
    ],
)
@pytest.mark.parametrize("side", [8, 9])
def test_a_cnn_pools_where_it_says_with_its_padding(spec, side):
    assert_alike(small(spec, side=side), cnn_twin, clips(side=side))


# Dropout and the extra layer


def test_dropouts_drop_as_often_as_they_say_and_only_in_training():
    model = build(
        attention(16, 2, heads=2, head_width=8, patch=8, attention_dropout=0.25, ff_dropout=0.5),
        classes=4, channels=2, frames=5, side=16,
    )  # fmt: skip
    shares = {}

    def count(name):
        def hook(module, inputs, output):
            kept = inputs[0] != 0
            shares.setdefault(name, []).append((output[kept] == 0).float().mean().item())

        return hook

    for name, module in model.named_modules():
        if isinstance(module, nn.Dropout):
            module.register_forward_hook(count("ff" if "feed" in name else "attention"))
    x_BTCHW = torch.rand(16, 5, 2, 16, 16, generator=torch.manual_seed(0))
    model(x_BTCHW)
    assert {name: len(found) for name, found in shares.items()} == {"attention": 4, "ff": 2}
    assert shares["attention"] == pytest.approx([0.25] * 4, abs=0.03)
    assert shares["ff"] == pytest.approx([0.5] * 2, abs=0.03)
    model.eval()
    assert torch.equal(model(x_BTCHW), model(x_BTCHW))


def test_the_extra_layer_reads_the_predictions():
    torch.manual_seed(0)
    more = small(attention(16, 1, heads=2, head_width=8, patch=5, extra_linear=True))
    less = small(attention(16, 1, heads=2, head_width=8, patch=5))
    less.load_state_dict({k: v for k, v in more.state_dict().items() if not k.startswith("head.2")})
    extra = more.head[2]
    assert (extra.in_features, extra.out_features) == (4, 4)
    torch.testing.assert_close(more(clips()), less(clips()) @ extra.weight.T + extra.bias)


@pytest.mark.parametrize(("_", "spec"), [CONVOLVED[0], CONVOLVED[4], ATTENDING[1]])
def test_runs_under_bfloat16_autocast(_, spec):
    narrow = {"hidden": (4, 4), "kernels": (5, 3)} if hasattr(spec, "hidden") else {"width": 16}
    narrow |= {"pools": (1, 2)} if hasattr(spec, "pools") else {}
    narrow |= {"head_width": 4, "heads": 4, "layers": 2, "patch": 8} if hasattr(spec, "patch") else {}
    torch.manual_seed(0)
    model = build(spec.model_copy(update=narrow), classes=4, channels=3, frames=8, side=32)
    x_BTCHW = torch.rand(4, 8, 3, 32, 32, generator=torch.manual_seed(1))
    assert_runs_under_bfloat16_autocast(model, x_BTCHW)


# What is refused


@pytest.mark.parametrize(("side", "smallest"), [(10, 11), (2, 3)])
def test_a_side_that_strides_and_pools_use_up_is_refused(side, smallest):
    hidden, kernels = ((4, 4), (3, 3)) if smallest == 11 else ((4,), (3,))
    with pytest.raises(UserError, match=f"a side of {side} to 0; expected a side >= {smallest}"):
        small(lstm(hidden, kernels), side=side)
    small(lstm(hidden, kernels), side=smallest)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cnn((4, 4), (3,), (1,), 0), "1 kernels for 2 layers"),
        (lambda: cnn((4,), (4,), (1,), 0), "its side is odd, not 4"),
        (lambda: cnn((4, 4), (3, 3), (1, 3), 0), "there is no layer 3; there are 2"),
        (lambda: cnn((4, 4), (3, 3), (2, 1), 0), "in their order, each once"),
        (lambda: lstm((4, 4), (3, 3, 3)), "3 kernels for 2 layers"),
    ],
)
def test_layers_that_do_not_fit_are_refused(make, message):
    with pytest.raises(ValidationError, match=message):
        make()
