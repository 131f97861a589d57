"""torchvision's weights in our backbones: per frame, inflated and factorised."""

import pytest
import torch
import torchvision
from torch import nn

from attention_blocks import gta
from retrace.errors import UserError
from retrace.models.imagenet import inflate, load_imagenet
from retrace.models.video_cnn import VideoCnn
from slowfasts import made, single
from video_cnns import on_meta, small, used


@pytest.fixture(scope="module")
def googlenet() -> nn.Module:
    return torchvision.models.googlenet(weights=None, aux_logits=True, init_weights=False, num_classes=5)


@pytest.fixture(scope="module")
def resnet18() -> nn.Module:
    return torchvision.models.resnet18(num_classes=5)


@pytest.fixture(scope="module")
def resnet50() -> nn.Module:
    return torchvision.models.resnet50(num_classes=5)


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "inceptionv1"])
def test_one_frame_gets_the_logits_of_torchvision(backbone, request):
    image_net = request.getfixturevalue(backbone.replace("inceptionv1", "googlenet")).eval()
    used(image_net)
    net = small(backbone, "none", frames=1, side=64, width=64)
    assert load_imagenet(net.trunk, image_net.state_dict()) == []
    net.fc.load_state_dict(image_net.fc.state_dict())
    x_BTCHW = torch.rand(2, 1, 3, 64, 64)
    with torch.no_grad():
        expected = image_net(x_BTCHW[:, 0])
        expected /= (scale := expected.abs().max())
        torch.testing.assert_close(net(x_BTCHW) / scale, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("backbone", ["resnet50", "inceptionv1"])
def test_every_tensor_of_an_inflated_network_repeats_the_image_network(backbone, pooled, request):
    weights = request.getfixturevalue(backbone.replace("inceptionv1", "googlenet")).state_dict()
    net = small(backbone, "i3d", frames=8, width=64, temporal_pooling=pooled)
    assert load_imagenet(net.trunk, weights) == []
    times = set()
    for name, tensor in net.trunk.state_dict().items():
        if tensor.ndim == 5:
            times.add(tensor.shape[2])
            assert all(torch.equal(frame, weights[name]) for frame in tensor.unbind(2))
        else:
            assert torch.equal(tensor, weights[name])
    assert times == ({1, 3} if backbone == "resnet50" else {1, 3, 7})


@pytest.mark.parametrize("backbone", ["resnet18", "inceptionv1"])
def test_factorised_networks_get_the_convolutions_over_space_and_their_norms(backbone, request):
    weights = request.getfixturevalue(backbone.replace("inceptionv1", "googlenet")).state_dict()
    net = small(backbone, "s3d", width=64)
    before = {name: tensor.clone() for name, tensor in net.trunk.state_dict().items()}
    left = load_imagenet(net.trunk, weights)
    state = net.trunk.state_dict()
    deep = "layer1.0.conv1" if backbone == "resnet18" else "inception3a.branch2.1.conv"
    norm = deep.replace("conv", "bn")
    assert torch.equal(state[f"{deep}.spatial.weight"][:, :, 0], weights[f"{deep}.weight"])
    assert torch.equal(state[f"{deep}.bn.running_var"], weights[f"{norm}.running_var"])
    assert {f"{deep}.temporal.weight", f"{norm}.weight", f"{norm}.running_mean"} <= set(left)
    assert all(torch.equal(state[name], before[name]) for name in left)
    over_time = [name for name in left if name.endswith("temporal.weight")]
    assert len(over_time) == (16 if backbone == "resnet18" else 19)
    biases = over_time if backbone == "inceptionv1" else []
    assert len(left) == len(over_time) + len(biases) + 5 * len(over_time)  # five tensors a norm


def test_inserted_blocks_are_what_imagenet_leaves(resnet18):
    net = small("resnet18", "tam", width=64)
    left = load_imagenet(net.trunk, resnet18.state_dict())
    assert len(left) == 8
    assert all(".branch." in name for name in left)


@pytest.mark.parametrize("divided", [False, True])
def test_inflation_repeats_and_divides_if_it_is_to(divided):
    weight = torch.randn(2, 3, 5, 5)
    x_still = torch.rand(1, 3, 1, 9, 9)
    flat = nn.functional.conv2d(x_still[:, :, 0], weight) / (3 if divided else 1)
    inflated = inflate(weight, 3, divided=divided)
    response = nn.functional.conv3d(x_still.expand(-1, -1, 7, -1, -1), inflated, padding=(1, 0, 0))
    torch.testing.assert_close(response[:, :, 1:-1], 3 * flat[:, :, None].expand(-1, -1, 5, -1, -1))
    torch.testing.assert_close(response[:, :, 0], 2 * flat)


@pytest.mark.parametrize(("backbone", "time"), [("resnet50", 3), ("inceptionv1", 7)])
def test_the_first_layer_of_i3d_answers_a_still_clip_as_often_as_its_kernel_is_long(backbone, time, request):
    """And away from the clip's ends only: there the kernel hangs over."""
    image_net = request.getfixturevalue(backbone.replace("inceptionv1", "googlenet"))
    net = small(backbone, "i3d", frames=9, width=64)
    load_imagenet(net.trunk, image_net.state_dict())
    conv = net.trunk.conv1 if backbone == "resnet50" else net.trunk.conv1.conv
    flat = image_net.conv1 if backbone == "resnet50" else image_net.conv1.conv
    picture_BCHW, reach = torch.rand(1, 3, 32, 32), time // 2
    with torch.no_grad():
        found = conv(picture_BCHW[:, :, None].expand(-1, -1, 9, -1, -1))
        once = flat(picture_BCHW)
    for frame in range(9):
        seen = sum(0 <= frame + k <= 8 for k in range(-reach, reach + 1))
        assert (seen == time) == (reach <= frame <= 8 - reach)
        torch.testing.assert_close(found[:, :, frame], seen * once, rtol=1e-4, atol=1e-4)


def test_c2d_and_i3d_start_from_the_image_network(resnet50):
    weights = resnet50.state_dict()
    for network in ("c2d", "i3d"):
        net = made(single(network, {"time": gta()}))
        left = load_imagenet(net.trunk, weights, divided=True)
        assert left and all(".block." in name for name in left)
        for name, tensor in net.trunk.state_dict().items():
            if name not in left:
                seen = tensor.sum(2) if tensor.ndim == 5 else tensor
                torch.testing.assert_close(seen, weights[name])


def test_weights_of_another_network_are_a_mistake(resnet18, resnet50):
    net: VideoCnn = on_meta("resnet18", "none", classes=5, frames=2, side=32)
    with pytest.raises(UserError, match="no place for the ImageNet weights"):
        load_imagenet(net.trunk, resnet50.state_dict())
    narrow = small("resnet18", "none")
    with pytest.raises(UserError, match=r"conv1\.weight has shape \(64, 3, 7, 7\), expected \(8, 3, 7, 7\)"):
        load_imagenet(narrow.trunk, resnet18.state_dict())
