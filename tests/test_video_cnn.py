"""Whole video CNNs: what they make of still, shuffled and longer clips, and of each other's weights."""

import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from retrace.errors import UserError
from retrace.models.registry import build
from retrace.plan.identity import model_label
from video_cnns import kind, on_meta, small, transfer

KINDS = [
    *(("resnet18", temporal) for temporal in ("none", "i3d", "s3d", "tam", "conv", "tsm")),
    *(("resnet50", temporal) for temporal in ("none", "i3d", "s3d", "tam", "nonlocal")),
    *(("inceptionv1", temporal) for temporal in ("none", "i3d", "s3d", "tam", "conv")),
]


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.no_grad():
        yield


def clips(n: int = 2, frames: int = 8, side: int = 32) -> torch.Tensor:
    torch.manual_seed(3)
    return torch.rand(n, frames, 3, side, side)


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "inceptionv1"])
def test_tam_that_looks_at_its_own_frame_is_tsn(backbone):
    """A ReLU follows what TAM sees, so its own changes nothing."""
    tsn, tam = small(backbone, "none"), small(backbone, "tam")
    for name in transfer(tsn, tam):
        taps = tam.get_parameter(name)
        taps.zero_()[:, :, 1] = 1
    torch.testing.assert_close(tam(clips()), tsn(clips()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pooled", [False, True])
def test_without_temporal_pooling_tsn_does_not_see_the_order_of_frames(pooled):
    net, x, shuffled = small("resnet18", "none", temporal_pooling=pooled), clips(), torch.randperm(8)
    while shuffled.equal(torch.arange(8)):
        shuffled = torch.randperm(8)
    same = torch.allclose(net(x[:, shuffled]), net(x), rtol=0, atol=1e-5 * net(x).abs().max())
    assert same == (not pooled)


@pytest.mark.parametrize("backbone", ["resnet18", "inceptionv1"])
def test_far_from_its_ends_an_inflated_network_sees_a_still_clip_as_an_image(backbone):
    """Repeated kernels add up `time` equal responses; divided by it, those of the 2D network are left."""
    reach = {"resnet18": 17, "inceptionv1": 3 + 1 + 3 + 9}[backbone]
    frames = 2 * reach + 1
    # In InceptionV1 the pools of the two networks lie a pixel apart, so there a flat picture is compared.
    picture = clips(1, 1, 32) if backbone == "resnet18" else clips(1, 1, 1).expand(-1, -1, -1, 32, 32)
    flat, volume = small(backbone, "none", frames=1), small(backbone, "i3d", frames=frames)
    for name, place in volume.state_dict().items():
        source = flat.state_dict()[name]
        place.copy_(source[:, :, None] / place.shape[2] if place.ndim == 5 else source)
    if backbone == "inceptionv1":
        _only_centre_taps(flat, volume)
    found = volume.features(picture.expand(-1, frames, -1, -1, -1))
    torch.testing.assert_close(found[:, reach], flat.features(picture)[:, 0], rtol=1e-3, atol=1e-4)
    if backbone == "resnet18":
        assert not torch.allclose(found[:, 0], found[:, reach], rtol=1e-2)


def _only_centre_taps(*nets: nn.Module) -> None:
    """Leave of each kernel over space its middle, so that padding does not show in a flat picture."""
    for net in nets:
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                middle = module.weight.shape[-1] // 2
                taps = module.weight[..., middle, middle].clone()
                module.weight.zero_()[..., middle, middle] = taps


def test_a_factorised_convolution_with_an_idle_norm_is_one_of_rank_one_kernels():
    convolution = small("resnet18", "s3d").double().trunk.layer2[0].conv1
    convolution.spatial.weight.abs_()
    norm = convolution.bn
    norm.running_mean.zero_(), norm.running_var.fill_(1), norm.bias.zero_()
    norm.weight.fill_(math.sqrt(1 + norm.eps))
    whole = torch.einsum(
        "omt,mihw->oithw", convolution.temporal.weight[..., 0, 0], convolution.spatial.weight[:, :, 0]
    )
    x_BCTHW = torch.rand(2, 8, 5, 9, 9).double()  # nothing is negative, so the ReLU is idle too
    expected = nn.functional.conv3d(x_BCTHW, whole, stride=(1, 2, 2), padding=1)
    torch.testing.assert_close(convolution(x_BCTHW), expected, rtol=0, atol=1e-9)


def test_shifted_frames_make_a_still_clip_differ_near_its_ends_only():
    """Eight shifts, one a block: what is beyond the end reaches eight frames in."""
    tsn, tsm = (small("resnet18", temporal, frames=19).double() for temporal in ("none", "tsm"))
    assert transfer(tsn, tsm) == []
    still = clips(1, 1).expand(-1, 19, -1, -1, -1).double()
    differs = (tsm.features(still) - tsn.features(still)).abs().amax(2)[0] > 1e-12
    assert differs.nonzero().flatten().tolist() == [*range(8), *range(11, 19)]


def test_non_local_blocks_start_as_the_identity_and_stop_it_with_their_norm():
    plain, net = small("resnet50", "none", side=48), small("resnet50", "nonlocal", side=48)
    added = transfer(plain, net)
    assert len(added) == 5 * 12  # four projections with a bias, a norm with its statistics
    norms = [net.get_submodule(name.rpartition(".")[0]) for name in added if name.endswith("norm.weight")]
    for norm in norms:
        norm.weight.zero_(), norm.bias.zero_()
    x = clips(1, side=48)
    assert torch.equal(net(x), plain(x))
    norms[0].weight.fill_(1)
    assert not torch.allclose(net(x), plain(x))


@pytest.mark.parametrize(("backbone", "temporal"), KINDS, ids=map("-".join, KINDS))
def test_weights_of_8_frames_fit_16_frames_and_temporal_pooling(backbone, temporal):
    weights = on_meta(backbone, temporal, classes=5, frames=8, side=32, width=8).state_dict()
    for frames, pooled in ((16, False), (8, True)):
        net = on_meta(backbone, temporal, classes=5, frames=frames, side=32, width=8, temporal_pooling=pooled)
        shapes = {name: tensor.shape for name, tensor in net.state_dict().items()}
        assert shapes == {name: tensor.shape for name, tensor in weights.items()}


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize(("backbone", "temporal"), KINDS, ids=map("-".join, KINDS))
def test_every_parameter_learns(backbone, temporal, pooled):
    net = small(backbone, temporal, temporal_pooling=pooled).train()
    with torch.enable_grad():
        logits = net(clips())
        nn.functional.cross_entropy(logits, torch.tensor([0, 4])).backward()
    assert logits.shape == (2, 5)
    grads = {name: parameter.grad for name, parameter in net.named_parameters()}
    assert all(grad is not None and grad.isfinite().all() for grad in grads.values())
    idle = [name for name, grad in grads.items() if not grad.any()]
    # A softmax does not see what is added to all its scores: phi's bias is of no use.
    assert all(name.endswith("phi.bias") for name in idle)


@pytest.mark.parametrize("frames", [1, 3, 6, 12])
def test_any_number_of_frames_serves_with_and_without_temporal_pooling(frames):
    for temporal in ("tam", "i3d"):
        for pooled in (False, True):
            net = small("resnet18", temporal, frames=frames, temporal_pooling=pooled)
            assert net.features(clips(frames=frames)).shape == (2, -(-frames // 8) if pooled else frames, 64)


@pytest.mark.parametrize("n_clips", [1, 2])
def test_features_of_2d_networks_stay_channels_last(n_clips):
    net, layouts = small("resnet18", "tam", temporal_pooling=True), set()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(
                lambda _module, _in, out: layouts.add(out.is_contiguous(memory_format=torch.channels_last))
            )
    net(clips(n_clips))
    assert layouts == {True}


def test_classifiers_and_convolutions_start_as_in_the_authors_code():
    def fresh(backbone: str, temporal: str) -> nn.Module:
        torch.manual_seed(0)
        return build(kind(backbone, temporal), classes=50, channels=3, frames=2, side=64)

    inflated, flat, inception = (
        fresh("resnet18", "i3d"),
        fresh("resnet18", "tam"),
        fresh("inceptionv1", "tam"),
    )
    assert inflated.fc.weight.std().item() == pytest.approx(0.001, rel=0.05)
    assert not inflated.fc.bias.any()
    assert flat.fc.weight.abs().max() <= 1 / math.sqrt(512)
    kernel = flat.trunk.layer4[1].conv2.weight
    assert kernel.std().item() == pytest.approx(math.sqrt(2 / (512 * 9)), rel=0.05)
    taps = flat.trunk.layer4[1].branch.block.mix.weight
    assert taps.std().item() == pytest.approx(math.sqrt(2 / 512), rel=0.1)
    assert inception.trunk.after_conv1.block.mix.weight.abs().max() > 0.9


def test_clips_that_do_not_suit_are_refused():
    with pytest.raises(UserError, match="the clips have 4 frames, the model is built for 8"):
        small("resnet18", "tam")(clips(frames=4))
    with pytest.raises(UserError, match="32 pixels or more a side, these have 16"):
        small("inceptionv1", "none", side=16)
    with pytest.raises(UserError, match="too few frames: 1 left for the last pool, which takes 2"):
        small("inceptionv1", "s3d", frames=4, temporal_pooling=True)


@pytest.mark.parametrize(
    ("backbone", "temporal", "changes", "message"),
    [
        ("inceptionv1", "tsm", {}, "between residual blocks"),
        ("resnet18", "nonlocal", {}, "depth"),
        ("inceptionv1", "tam", {"width": 12}, "multiple of 8"),
        ("resnet50", "i3d", {"legacy_pool4": True}, "only i3d on inceptionv1"),
        ("inceptionv1", "s3d", {"legacy_pool4": True}, "only i3d on inceptionv1"),
    ],
)
def test_models_that_cannot_be_are_mistakes(backbone, temporal, changes, message):
    with pytest.raises(ValidationError, match=message):
        kind(backbone, temporal, **changes)


def test_the_label_tells_architecture_backbone_and_pooling():
    assert model_label(kind("resnet50", "none", temporal_pooling=True)) == "tsn-resnet50-w64-tp"
    assert model_label(kind("inceptionv1", "i3d", width=16)) == "i3d-inceptionv1-w16"
