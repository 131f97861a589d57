"""The 3D CNN against published counts, the authors' losses, SciPy and the symmetry of time."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.signal import correlate
from torch import nn

import rac_oracle
from retrace.cost.count import parameters
from retrace.errors import UserError
from retrace.models.registry import build
from retrace.plan.model import Cnn3d


def small(frames: int = 8, layers: int = 2) -> nn.Module:
    torch.manual_seed(0)
    spec = Cnn3d(family="cnn3d", hidden=3, layers=layers)
    return build(spec, classes=4, channels=2, frames=frames, side=8).double()


@pytest.mark.parametrize(("hidden", "published"), rac_oracle.table_8("cnn3d"))
def test_parameters_are_those_of_table_8_and_of_the_closed_form(hidden, published):
    count = parameters(rac_oracle.model_on_meta("cnn3d", hidden))
    assert count == published == 54 * hidden**2 + 676 * hidden + 5


def test_trains_like_the_authors_code():
    model = build(rac_oracle.spec_of("cnn3d", 2), classes=5, **rac_oracle.CLIP)
    expected = [2.3207528654, 1.4167581126, 1.1675810511, 1.1649195037]
    assert rac_oracle.losses(model, 4) == pytest.approx(expected, abs=1e-8)


def test_a_block_is_convolution_relu_pool_and_then_norm():
    model = small(layers=1)
    convolution, norm = model.blocks[0].convolution, model.blocks[0].norm
    x_TCHW = torch.rand(8, 2, 8, 8, dtype=torch.double)
    planes = [
        sum(
            correlate(x.numpy(), k.numpy(), mode="same")
            for x, k in zip(x_TCHW.unbind(1), kernel, strict=True)
        )
        for kernel in convolution.weight.detach()
    ]
    summed = np.maximum(np.stack(planes) + convolution.bias.detach().numpy()[:, None, None, None], 0)
    pooled = summed.reshape(3, 4, 2, 4, 2, 4, 2).max((2, 4, 6))
    mean, spread = pooled.mean((1, 2, 3), keepdims=True), pooled.var((1, 2, 3), keepdims=True)
    expected = (pooled - mean) / np.sqrt(spread + norm.eps)
    actual = model.blocks(x_TCHW.transpose(0, 1)[None])[0]
    np.testing.assert_allclose(actual.detach().numpy(), expected, atol=1e-10)


def test_pooling_before_the_relu_changes_neither_values_nor_gradients():
    block, x_BCTHW = small(layers=1).blocks[0], torch.rand(3, 2, 8, 8, 8, dtype=torch.double) - 0.5
    results = []
    for forward in (block, lambda x: block.norm(F.max_pool3d(F.relu(block.convolution(x)), 2))):
        y_BNTHW = forward(x_BCTHW)
        results.append((y_BNTHW, *torch.autograd.grad(y_BNTHW.pow(3).sum(), list(block.parameters()))))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


def test_a_film_run_backwards_through_reversed_kernels_gives_the_same_logits():
    model, x_BTCHW = small().eval(), torch.rand(2, 8, 2, 8, 8, dtype=torch.double)
    forwards = model(x_BTCHW)
    assert not torch.allclose(forwards, model(x_BTCHW.flip(1)), atol=1e-6)
    with torch.no_grad():
        for block in model.blocks:
            block.convolution.weight.copy_(block.convolution.weight.flip(2))
        head = model.head.weight.unflatten(1, (3, 2, 2, 2))  # channels, time, height, width
        model.head.weight.copy_(head.flip(2).flatten(1))
    torch.testing.assert_close(model(x_BTCHW.flip(1)), forwards)


def test_construction_leaves_the_running_statistics_untouched():
    for module in small().modules():
        if isinstance(module, nn.BatchNorm3d):
            assert module.num_batches_tracked == 0
            assert not module.running_mean.any()
            assert (module.running_var == 1).all()


def test_a_clip_does_not_depend_on_its_neighbours_in_evaluation():
    model, x_BTCHW = small().eval(), torch.rand(3, 8, 2, 8, 8, dtype=torch.double)
    alone = torch.cat([model(x[None]) for x in x_BTCHW])
    torch.testing.assert_close(model(x_BTCHW), alone)


def test_runs_under_bfloat16_autocast():
    model, x_BTCHW = small().float(), torch.rand(4, 8, 2, 8, 8)
    rac_oracle.assert_runs_under_bfloat16_autocast(model, x_BTCHW)


def test_odd_sizes_lose_their_last_row_as_in_the_paper():
    assert small(frames=5).head.in_features == 3 * (5 // 4) * 2 * 2


def test_too_many_layers_for_the_clip_are_refused():
    with pytest.raises(UserError, match="3 layers halve clips of 4 frames"):
        small(frames=4, layers=3)
