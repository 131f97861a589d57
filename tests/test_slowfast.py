"""SlowFast, Slow, I3D and C2D against a network per frame, and how a clip reaches their pathways."""

import math

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from attention_blocks import attention, awake, gta
from retrace.errors import UserError
from retrace.models.layers import FrameLayers
from retrace.models.pathway import Head
from retrace.models.resnet import ResNet
from retrace.models.slowfast import Lateral, slow_indices
from retrace.plan.identity import model_label
from slowfasts import Kind, made, single, slowfast
from video_cnns import used

SMALL = {"width": 8}
GTA = {
    "space": attention(4, "before"),
    "time": gta(groups=2, region_reduction=2),
}


def per_frame(width: int) -> ResNet:
    """Return the 2D network whose kernels the 3D ones may have at their middle frame."""
    torch.manual_seed(2)
    layers = FrameLayers(1, {}, eps=1e-5, temporal_pooling=False)
    net = ResNet("resnet50", layers, width=width, channels=3)
    used(net)
    return net.eval()


def see_one_frame(pathway: nn.Module, flat: ResNet) -> None:
    """Give `pathway` the weights of `flat`: zero but at the middle frame, and for channels that join."""
    weights = flat.state_dict()
    for name, place in pathway.state_dict().items():
        if place.ndim == 5:
            wanted = weights[name]
            place.zero_()[:, : wanted.shape[1], place.shape[2] // 2] = wanted
        else:
            place.copy_(weights[name])


def features(flat: ResNet, x_BTCHW: Tensor) -> Tensor:
    return flat(x_BTCHW.flatten(0, 1)).mean((2, 3)).unflatten(0, x_BTCHW.shape[:2]).mean(1)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("network", ["slow", "c2d", "i3d"])
def test_with_kernels_of_one_frame_the_features_are_those_of_each_frame(network):
    """On a still clip, where C2D and I3D halve the frames: the maximum of two equal ones is either."""
    net, flat = made(single(network, **SMALL)).eval(), per_frame(8)
    see_one_frame(net.trunk, flat)
    x = torch.rand(2, 8, 3, 32, 32)
    if network != "slow":
        x = x[:, :1].expand(-1, 8, -1, -1, -1)
    close(net(x), net.head.fc(features(flat, x)))


@torch.no_grad()
def test_slowfast_reads_the_frames_of_its_pathways():
    """With kernels of one frame and without lateral connections it is two networks per frame."""
    net, slow, fast = made(slowfast(**SMALL), frames=8).eval(), per_frame(8), per_frame(1)
    see_one_frame(net.slow, slow)
    see_one_frame(net.fast, fast)
    for lateral in net.lateral:
        nn.init.zeros_(lateral.conv.weight)
    x = torch.rand(2, 8, 3, 32, 32)
    both = torch.cat([features(slow, x[:, [0, 7]]), features(fast, x)], 1)
    close(net(x), net.head.fc(both))


@torch.no_grad()
def test_the_fast_features_reach_the_slow_pathway():
    net = made(slowfast(**SMALL)).eval()
    used(net)
    x = torch.rand(1, 8, 3, 32, 32)
    seen = []
    net.slow.layer4.register_forward_hook(lambda module, given, out: seen.append(out))
    net(x)
    changed = x.clone()
    changed[:, 3] = 0  # a frame that the slow pathway does not see by itself
    net(changed)
    assert not torch.equal(seen[0], seen[1])


def test_slow_frames_are_spread_from_the_first_to_the_last():
    assert slow_indices(32, 8).tolist() == [0, 4, 8, 13, 17, 22, 26, 31]
    for frames, alpha in ((64, 4), (32, 8), (8, 4), (4, 4)):
        spread = torch.linspace(0, frames - 1, frames // alpha, dtype=torch.float64)
        assert slow_indices(frames, frames // alpha).tolist() == (spread + 1e-9).floor().tolist()


@torch.no_grad()
@pytest.mark.parametrize("time", [5, 7])
def test_a_lateral_connection_sees_the_frames_around_each_fourth(time):
    lateral = Lateral(2, time, 4).eval()
    nn.init.ones_(lateral.conv.weight)
    lateral.bn.eps = 0.0
    for frame in range(16):
        x_BCTHW = torch.zeros(1, 2, 16, 1, 1)
        x_BCTHW[:, 0, frame] = 1
        y_BCTHW = lateral(x_BCTHW)
        assert y_BCTHW.shape == (1, 4, 4, 1, 1)
        assert y_BCTHW[0, 0, :, 0, 0].tolist() == [abs(frame - 4 * t) <= time // 2 for t in range(4)]


@torch.no_grad()
def test_on_larger_frames_the_probabilities_of_windows_are_averaged():
    head = Head(6, 4, side=64, dropout=0.5).eval()
    nn.init.normal_(head.fc.weight)
    slow, fast = torch.rand(2, 4, 2, 3, 4), torch.rand(2, 2, 8, 3, 4)
    windows = [(i, j) for i in range(2) for j in range(3)]
    means = [
        torch.cat([x[..., i : i + 2, j : j + 2].mean((2, 3, 4)) for x in (slow, fast)], 1) for i, j in windows
    ]
    expected = torch.stack([head.fc(mean).softmax(1) for mean in means]).mean(0)
    close(head(slow, fast).exp(), expected)
    close(head(slow[..., :2, :2], fast[..., :2, :2]), head.fc(means[0]))


@torch.no_grad()
@pytest.mark.parametrize("model", [slowfast, lambda *a, **k: single("i3d", *a, **k)], ids=["slowfast", "i3d"])
def test_new_blocks_leave_the_logits_of_their_backbone(model):
    x, changes = torch.rand(2, 8, 3, 32, 32), {"width": 16, "positions": ("layer2.1", "layer3.1")}
    plain, attentive = made(model(**changes)).eval(), made(model(GTA, **changes)).eval()
    missing, unexpected = attentive.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected
    assert missing and all("after1.block" in name for name in missing)
    assert torch.equal(attentive(x), plain(x))
    assert not torch.equal(awake(attentive)(x), plain(x))


@pytest.mark.parametrize("model", [single("slow", GTA, width=16), slowfast(GTA, width=16)])
def test_gradients_reach_every_parameter(model):
    net = awake(made(model)).train()
    net(torch.rand(2, 8, 3, 64, 64)).pow(3).sum().backward()
    unreached = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert [name for name in unreached if not name.endswith("key.bias")] == []


def test_networks_start_as_in_their_code():
    net = made(slowfast(GTA, width=32))
    stage = net.slow.layer3
    assert all(not block.bn3.weight.any() for block in (stage[0], net.fast.layer2[0]))
    conv = net.slow.layer4[0].conv2.weight
    assert conv.std().item() == pytest.approx(math.sqrt(2 / (256 * 9)), rel=0.05)
    assert net.head.fc.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert not net.head.fc.bias.any()
    query = stage.after1.block[0].query  # blocks keep their own
    assert 0.95 < query.weight.abs().max() * math.sqrt(query.in_channels) <= 1


@pytest.mark.parametrize(
    ("model", "frames", "message"),
    [
        (slowfast(**SMALL), 6, "multiple"),
        (single("i3d", **SMALL), 1, "at least 2"),
        (slowfast(**SMALL, positions=("layer2.4",)), 8, r"no position 'layer2\.4'"),
    ],
)
def test_what_cannot_be_built_is_a_mistake(model: Kind, frames: int, message: str):
    with pytest.raises(UserError, match=message):
        made(model, frames=frames)


@pytest.mark.parametrize("model", [slowfast(**SMALL), single("c2d", **SMALL)])
def test_clips_of_another_length_are_a_mistake(model: Kind):
    with pytest.raises(UserError, match="4 frames, the model is built for 8"):
        made(model)(torch.rand(1, 4, 3, 32, 32))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 12}, "multiple of 'beta_inverse', 8"),
        ({"lateral_time": 4}, "is odd"),
        ({"fast_res4": 7}, "res4 of resnet50 has 6 blocks"),
    ],
)
def test_numbers_that_do_not_fit_together_are_mistakes(changes: dict[str, int], message: str):
    with pytest.raises(ValidationError, match=message):
        slowfast(**changes)


def test_labels_name_network_blocks_and_depth():
    assert model_label(single("c2d")) == "c2d-resnet50-w64"
    assert model_label(slowfast({"time": gta()})) == "slowfast-gta-resnet50-w64"
    assert model_label(single("slow", {"joint": attention(2, "none")})) == "slow-nl-resnet50-w64"
