"""The ConvLSTM against published counts, the authors' losses, a cell-by-cell twin and finite differences."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import rac_oracle
from retrace.cost.count import parameters
from retrace.errors import UserError
from retrace.models import recurrence
from retrace.models.convlstm import ConvLstmBlock
from retrace.models.recurrence import recur_and_pool
from retrace.models.registry import build
from retrace.models.tape import Shelf
from retrace.plan.model import ConvLstm


def small(hidden: int = 3, layers: int = 2, side: int = 8) -> nn.Module:
    torch.manual_seed(0)
    spec = ConvLstm(family="convlstm", hidden=hidden, layers=layers)
    return build(spec, classes=4, channels=2, frames=5, side=side).double()


def clips(count: int = 5, side: int = 8, frames: int = 5) -> Tensor:
    return torch.rand(count, frames, 2, side, side, dtype=torch.double, generator=torch.manual_seed(1))


def twin_block(block: ConvLstmBlock, x_BTCHW: Tensor) -> Tensor:
    """One block as the paper's equations have it, cell by cell."""
    h = c = x_BTCHW.new_zeros(len(x_BTCHW), block.recurrent.in_channels, *x_BTCHW.shape[-2:])
    pooled = []
    for x in x_BTCHW.unbind(1):
        i, f, o, g = (block.input(x) + block.recurrent(h)).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        pooled.append(F.max_pool2d(h, 2))
    h_BTNHW = torch.stack(pooled, 1)
    # Not nn.BatchNorm3d: for contiguous frames of 1x1, PyTorch 2.15 sends wrong gradients back through it.
    dims = (0, 1, 3, 4)
    spread = (h_BTNHW.var(dims, correction=0, keepdim=True) + block.norm.eps).sqrt()
    standard = (h_BTNHW - h_BTNHW.mean(dims, keepdim=True)) / spread
    return standard * block.norm.weight[:, None, None] + block.norm.bias[:, None, None]


def twin(model: nn.Module, x_BTCHW: Tensor) -> Tensor:
    """Return the logits of a model, cell by cell."""
    for block in model.blocks:
        x_BTCHW = twin_block(block, x_BTCHW)
    return model.head(x_BTCHW[:, -1].flatten(1))


def gradients(logits: Tensor, *wanted: Tensor) -> tuple[Tensor, ...]:
    labels = torch.arange(len(logits)) % logits.shape[1]
    return torch.autograd.grad(F.cross_entropy(logits, labels), wanted)


def assert_like_the_twin(model: nn.Module, x_BTCHW: Tensor) -> None:
    x_BTCHW = x_BTCHW.requires_grad_()
    wanted = (x_BTCHW, *model.parameters())
    logits, expected = model(x_BTCHW), twin(model, x_BTCHW)
    torch.testing.assert_close(logits, expected, atol=1e-10, rtol=0)
    for ours, theirs in zip(gradients(logits, *wanted), gradients(expected, *wanted), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=0)


@pytest.mark.parametrize(("hidden", "published"), rac_oracle.table_8("convlstm"))
def test_parameters_are_those_of_table_8_and_of_the_closed_form(hidden, published):
    count = parameters(rac_oracle.model_on_meta("convlstm", hidden))
    assert count == published == 180 * hidden**2 + 386 * hidden + 5


def test_trains_like_the_authors_code():
    model = build(rac_oracle.spec_of("convlstm", 2), classes=5, **rac_oracle.CLIP)
    expected = [2.4047697068, 1.6181009256, 2.6748440694, 2.1733730762]
    assert rac_oracle.losses(model, 4) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("clips_at_a_time", [1, 2, 9])
def test_logits_and_all_gradients_are_those_of_the_cell_by_cell_twin(clips_at_a_time, monkeypatch):
    monkeypatch.setattr(recurrence, "_clips_at_a_time", lambda kind: clips_at_a_time)
    assert_like_the_twin(small(), clips())


@pytest.mark.parametrize(("hidden", "layers", "side"), [(1, 1, 8), (16, 2, 8), (4, 2, 7), (4, 3, 8)])
def test_the_twin_agrees_at_other_widths_depths_and_odd_sides(hidden, layers, side):
    assert_like_the_twin(small(hidden, layers, side), clips(side=side))


def test_equal_pixels_send_the_gradient_of_a_pool_where_pytorch_sends_it():
    assert_like_the_twin(small(), torch.zeros(3, 5, 2, 8, 8, dtype=torch.double))


def test_saturated_gates_agree_with_the_twin_and_stay_finite():
    assert_like_the_twin(small(), clips() * 1e4)


def test_gradients_are_those_of_finite_differences():
    torch.manual_seed(0)
    x_BTHWC = torch.rand(2, 3, 4, 4, 2, dtype=torch.double, requires_grad=True)
    weight = torch.randn(8, 4, 3, 3, dtype=torch.double, requires_grad=True)
    bias = torch.randn(8, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *inputs: recur_and_pool(*inputs, Shelf()), (x_BTHWC, weight, bias))


def test_one_frame_from_a_zero_state_is_one_convolution_through_the_gates():
    block, x_BTCHW = small().blocks[0].eval(), clips(frames=1)
    bias = block.input.bias + block.recurrent.bias
    i, _, o, g = F.conv2d(x_BTCHW[:, 0], block.input.weight, bias, padding=1).chunk(4, 1)
    h = o.sigmoid() * (i.sigmoid() * g.tanh()).tanh()
    actual_BTHWN = block(x_BTCHW.permute(0, 1, 3, 4, 2))
    expected = block.norm(F.max_pool2d(h, 2)[:, :, None])
    torch.testing.assert_close(actual_BTHWN.permute(0, 4, 1, 2, 3), expected)


def test_a_state_knows_the_past_and_not_the_future():
    block, x_BTHWC = small().blocks[0].eval(), clips().permute(0, 1, 3, 4, 2)
    torch.testing.assert_close(block(x_BTHWC[:, :3]), block(x_BTHWC)[:, :3])


def test_the_order_of_frames_matters():
    model, x_BTCHW = small().eval(), clips()
    assert not torch.allclose(model(x_BTCHW), model(x_BTCHW.flip(1)), atol=1e-6)


def test_evaluation_without_gradients_gives_the_same_logits_clip_by_clip():
    model, x_BTCHW = small().eval(), clips()
    with torch.no_grad():
        alone = torch.cat([model(x[None]) for x in x_BTCHW])
    torch.testing.assert_close(alone, model(x_BTCHW))


def test_memory_used_again_does_not_show_in_the_gradients():
    model, x_BTCHW = small(), clips()
    runs = [gradients(model(x_BTCHW * scale), *model.parameters()) for scale in (1, 5, 1)]
    assert all(torch.equal(first, again) for first, again in zip(runs[0], runs[2], strict=True))


def test_two_graphs_alive_at_once_do_not_share_memory():
    model, x_BTCHW = small(), clips()
    expected = [gradients(model(x), *model.parameters()) for x in (x_BTCHW, -x_BTCHW)]
    logits = [model(x) for x in (x_BTCHW, -x_BTCHW)]
    for graph, gradient in zip(logits, expected, strict=True):
        assert all(map(torch.equal, gradients(graph, *model.parameters()), gradient))


def test_a_retained_graph_goes_back_twice_but_never_with_memory_that_another_pass_took():
    model, x_BTCHW = small(), clips()
    loss = model(x_BTCHW).sum()
    weight = model.blocks[0].recurrent.weight
    first, second = (torch.autograd.grad(loss, weight, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)
    model(x_BTCHW)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(loss, weight)


def test_a_copy_takes_no_used_memory_along():
    model = small()
    model(clips()).sum().backward()
    assert any(model.blocks[0]._shelf._idle.values())
    assert not any(copy.deepcopy(model).blocks[0]._shelf._idle.values())


def test_runs_under_bfloat16_autocast():
    model, x_BTCHW = small(8).float(), clips().float()
    rac_oracle.assert_runs_under_bfloat16_autocast(model, x_BTCHW)


def test_construction_leaves_the_running_statistics_untouched():
    assert all(block.norm.num_batches_tracked == 0 for block in small().blocks)


def test_too_many_layers_for_the_clip_are_refused():
    with pytest.raises(UserError, match="4 layers halve a side of 8 to 0"):
        small(layers=4)
