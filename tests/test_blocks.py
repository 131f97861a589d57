"""Blocks between the layers of a backbone, against their definitions, and the way they get in."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retrace.errors import UserError
from retrace.models.blocks.clip_image import from_image, to_image
from retrace.models.blocks.non_local import NonLocal
from retrace.models.blocks.tam import TemporalAggregation
from retrace.models.blocks.temporal_pool import TemporalMaxPool
from retrace.models.blocks.tsm import TemporalShift
from retrace.models.insert import Site
from retrace.models.layers import FrameLayers, VolumeLayers
from retrace.models.resnet import ResNet, branches
from video_cnns import used


def clips(*shape: int, channels_last: bool = True) -> Tensor:
    """Return random x_BTCHW in double precision, in the memory layout of a 2D network's features."""
    torch.manual_seed(1)
    x = torch.randn(shape, dtype=torch.float64)
    return x.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3) if channels_last else x


def with_zero_ends(x_BTCHW: Tensor) -> Tensor:
    return F.pad(x_BTCHW, (0, 0, 0, 0, 0, 0, 1, 1))


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("frames", [1, 2, 5])
def test_tam_is_its_definition_and_so_is_its_gradient(frames, channels_last):
    block = TemporalAggregation(6, depthwise=True).double()
    x = clips(2, frames, 6, 3, 4, channels_last=channels_last).requires_grad_()
    p, q, r = (taps.view(6, 1, 1) for taps in block.mix.weight.squeeze().unbind(1))
    around = with_zero_ends(x)
    expected = (p * around[:, :-2] + q * x + r * around[:, 2:]).relu()
    found = block(x)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    upstream, wanted = torch.randn_like(found), (x, block.mix.weight)
    for ours, theirs in zip(
        torch.autograd.grad(found, wanted, upstream, retain_graph=True),
        torch.autograd.grad(expected, wanted, upstream),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


def test_tam_is_a_depthwise_3d_convolution_and_a_relu():
    block = TemporalAggregation(8, depthwise=True).double()
    x = clips(2, 6, 8, 5, 5)
    volume = F.conv3d(x.transpose(1, 2), block.mix.weight[..., None], padding=(1, 0, 0), groups=8)
    torch.testing.assert_close(block(x), volume.relu().transpose(1, 2), rtol=0, atol=1e-12)


def test_tam_that_looks_at_its_own_frame_alone_is_a_relu():
    block = TemporalAggregation(6, depthwise=True).double()
    with torch.no_grad():
        block.mix.weight.zero_()[:, :, 1] = 1
    x = clips(2, 5, 6, 3, 3)
    assert (x < 0).any() and torch.equal(block(x), x.relu())


def test_conv_is_three_full_matrices_on_the_frames_before_at_and_after():
    block = TemporalAggregation(4, depthwise=False).double()
    x = clips(2, 5, 4, 3, 3)
    around = with_zero_ends(x)
    expected = sum(
        torch.einsum("oc,btchw->btohw", block.mix.weight[:, :, k, 0], around[:, k : k + 5]) for k in range(3)
    )
    torch.testing.assert_close(block(x), expected.relu(), rtol=0, atol=1e-12)


def test_the_shift_moves_an_eighth_of_the_channels_each_way():
    x = clips(2, 5, 16, 3, 3)
    y, around = TemporalShift()(x), with_zero_ends(x)
    assert torch.equal(y[:, :, :2], around[:, 2:, :2])
    assert torch.equal(y[:, :, 2:4], around[:, :-2, 2:4])
    assert torch.equal(y[:, :, 4:], x[:, :, 4:])


def test_the_gradient_of_the_shift_is_exact():
    x = clips(1, 3, 8, 1, 2).requires_grad_()
    assert torch.autograd.gradcheck(TemporalShift(), (x,))


def test_a_still_clip_is_shifted_at_its_ends_only():
    x = clips(2, 1, 16, 3, 3).expand(-1, 6, -1, -1, -1)
    changed = (TemporalShift()(x) != x).flatten(2).any(2)
    assert changed.tolist() == [[True, False, False, False, False, True]] * 2


def test_temporal_pooling_takes_every_second_maximum_of_three():
    ramp = torch.arange(8.0).view(1, 8, 1, 1, 1).expand(2, 8, 3, 2, 2)
    assert TemporalMaxPool()(ramp)[0, :, 0, 0, 0].tolist() == [1, 3, 5, 7]


@pytest.mark.parametrize("frames", [1, 2, 5, 8])
def test_temporal_pooling_is_a_3d_pool(frames):
    x = clips(2, frames, 4, 3, 5)
    volume = F.max_pool3d(x.transpose(1, 2), (3, 1, 1), (2, 1, 1), (1, 0, 0))
    assert torch.equal(TemporalMaxPool()(x), volume.transpose(1, 2))


def test_the_non_local_block_is_its_definition():
    block = NonLocal(4).double().eval()
    used(block)
    x = clips(2, 3, 4, 2, 3)
    tokens = x.permute(0, 1, 3, 4, 2).flatten(1, 3)

    def project(layer: nn.Conv2d, of: Tensor) -> Tensor:
        return of @ layer.weight.flatten(1).T + layer.bias

    weights = (project(block.theta, tokens) @ project(block.phi, tokens).transpose(1, 2)).softmax(2)
    y = project(block.out, weights @ project(block.g, tokens))
    norm = block.norm
    y = (y - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
    expected = x + y.unflatten(1, (3, 2, 3)).permute(0, 1, 4, 2, 3)
    torch.testing.assert_close(block(x), expected, rtol=0, atol=1e-12)


def test_a_new_non_local_block_changes_nothing():
    x = clips(2, 3, 4, 2, 3)
    assert torch.equal(NonLocal(4).double()(x), x)


@pytest.mark.parametrize("n_clips", [1, 2])
def test_features_become_images_and_clips_again_without_a_copy(n_clips):
    frames = torch.rand(n_clips * 3, 4, 5, 6).contiguous(memory_format=torch.channels_last)
    x = frames.unflatten(0, (-1, 3))
    image = to_image(x)
    assert image.shape == (n_clips, 4, 3, 30)
    assert image.stride() == torch.empty(image.shape).to(memory_format=torch.channels_last).stride()
    back = from_image(image, 5, 6)
    assert torch.equal(back, x)
    assert back.data_ptr() == image.data_ptr() == frames.data_ptr()


class Recorder(nn.Module):
    """A block that keeps what it sees."""

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        self.seen = x_BTCHW
        return x_BTCHW


@pytest.mark.parametrize("position", ["layer1.0.branch", "layer2.0", "layer4.1"])
def test_a_block_sees_the_same_clip_in_a_2d_and_in_a_3d_network(position):
    """A 3D network whose kernels look at their own frame only is the 2D network."""
    x, blocks, sites = clips(2, 4, 3, 32, 32).float(), [], []

    def make(site: Site) -> nn.Module:
        sites.append(site)
        blocks.append(Recorder())
        return blocks[-1]

    options = {"eps": 1e-5, "temporal_pooling": False}
    flat, volume = (
        ResNet("resnet18", layers(4, {position: make}, **options), width=8, channels=3).eval()
        for layers in (FrameLayers, VolumeLayers)
    )
    weights = flat.state_dict()
    for name, place in volume.state_dict().items():
        if place.ndim == 5:
            place.zero_()[:, :, place.shape[2] // 2] = weights[name]
    flat(x.flatten(0, 1))
    volume(x.transpose(1, 2))
    assert sites[0] == sites[1]
    assert blocks[0].seen.shape == (2, 4, sites[0].channels, *blocks[0].seen.shape[3:])
    torch.testing.assert_close(blocks[1].seen, blocks[0].seen, rtol=1e-4, atol=1e-5)


def test_a_position_that_does_not_exist_is_a_mistake_with_a_hint():
    layers = FrameLayers(4, {"layer5.0": lambda site: Recorder()}, eps=1e-5, temporal_pooling=False)
    with pytest.raises(UserError, match=r"no position 'layer5\.0'.*did you mean 'layer"):
        ResNet("resnet18", layers, width=8, channels=3)


def test_sites_know_channels_and_frames_left():
    sites = {}

    def make(site: Site) -> nn.Module:
        sites[site.position] = site
        return nn.Identity()

    places = dict.fromkeys(branches("resnet50"), make)
    ResNet("resnet50", FrameLayers(8, places, eps=1e-5, temporal_pooling=True), width=8, channels=3)
    assert len(sites) == 16
    assert sites["layer1.0.branch"][1:] == (8, 8)
    assert sites["layer2.0.branch"][1:] == (32, 4)
    assert sites["layer3.5.branch"][1:] == (128, 2)
    assert sites["layer4.2.branch"][1:] == (256, 1)


@pytest.mark.parametrize(("depthwise", "fan_in"), [(True, 1), (False, 64)])
def test_tam_starts_as_three_1x1_convolutions_do(depthwise, fan_in):
    block = TemporalAggregation(64, depthwise=depthwise)
    weight, bound = block.mix.weight, 1 / math.sqrt(fan_in)
    assert 0.9 * bound < weight.abs().max() <= bound
    block.initialise_like_convolutions()
    assert block.mix.weight.std().item() == pytest.approx(math.sqrt(2 / 64), rel=0.2)
