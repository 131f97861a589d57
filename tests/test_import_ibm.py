"""Checkpoints of "Deep Analysis" in our networks: they answer as plain networks with their names do."""

import pytest
import torch
from plain_video_cnns import plain
from torch import Tensor, nn

from retrace.errors import UserError
from retrace.models.imports.registry import translated
from retrace.models.registry import build
from video_cnns import kind, on_meta, used

FRAMES, SIDE, CLASSES = 4, 64, 5
RELEASED = [
    *(("resnet18", temporal) for temporal in ("none", "i3d", "s3d", "tam", "conv")),
    *(("resnet50", temporal) for temporal in ("s3d", "tam")),
    *(("inceptionv1", temporal) for temporal in ("none", "i3d", "s3d", "tam")),
]


def theirs(backbone: str, temporal: str) -> nn.Module:
    torch.manual_seed(0)
    net = plain(backbone, temporal, classes=CLASSES, frames=FRAMES)
    used(net)
    return net.eval()


def checkpoint(net: nn.Module) -> dict[str, Tensor]:
    return {f"module.{name}": tensor for name, tensor in net.net.state_dict().items()}


@torch.no_grad()
@pytest.mark.parametrize(("backbone", "temporal"), RELEASED, ids=map("-".join, RELEASED))
def test_imported_weights_answer_as_in_the_network_they_come_from(backbone, temporal):
    net = theirs(backbone, temporal)
    ours = build(kind(backbone, temporal), classes=CLASSES, channels=3, frames=FRAMES, side=SIDE).eval()
    weights, left_out = translated("ibm", "video-cnn", checkpoint(net), ours.state_dict())
    assert left_out == {}
    ours.load_state_dict(weights)
    x_BTCHW = torch.rand(2, FRAMES, 3, SIDE, SIDE)
    expected = net(x_BTCHW)
    expected /= (scale := expected.abs().max())
    torch.testing.assert_close(ours(x_BTCHW) / scale, expected, rtol=0, atol=1e-5)


def fresh(backbone: str, temporal: str, **changes) -> dict[str, Tensor]:
    state = on_meta(backbone, temporal, classes=CLASSES, frames=FRAMES, side=SIDE, **changes).state_dict()
    return {name: torch.empty(tensor.shape, dtype=tensor.dtype) for name, tensor in state.items()}


def test_what_does_not_fit_is_refused_by_name():
    tam, wanted = checkpoint(theirs("resnet18", "tam")), fresh("resnet18", "tam")

    def refused(file: dict[str, Tensor], into: dict[str, Tensor], message: str) -> None:
        with pytest.raises(UserError, match=message):
            translated("ibm", "video-cnn", file, into)

    refused(
        tam,
        fresh("resnet18", "none"),
        r"trunk\.layer1\.0\.branch\.block\.mix\.weight: found \(64, 1, 3, 1\), expected nothing",
    )
    refused(checkpoint(theirs("resnet18", "none")), wanted, r"(?s)8 tensors .*mix\.weight: found nothing")
    refused(
        checkpoint(theirs("resnet18", "conv")), wanted, r"found \(64, 64, 3, 1\), expected \(64, 1, 3, 1\)"
    )
    half = {name: tensor for name, tensor in tam.items() if name != "module.layer1.0.tam.next_se.fc1.weight"}
    refused(half, wanted, r"layer1\.0\.tam\.prev_se\.fc1\.weight: found \(64, 1, 1, 1\), expected nothing")
    refused(tam | {"module.extra": torch.ones(1)}, wanted, r"trunk\.extra: found \(1,\), expected nothing")
    more_classes = {**tam, "module.fc.weight": torch.ones(7, 512), "module.fc.bias": torch.ones(7)}
    refused(more_classes, wanted, r"fc\.bias: found \(7,\), expected \(5,\)")
    refused(tam | {"module.fc.bias": torch.full((5,), torch.nan)}, wanted, "not finite, in fc.bias")


def test_a_long_list_of_misfits_is_cut(tmp_path):
    with pytest.raises(UserError, match=r"and \d+ more$"):
        translated("ibm", "video-cnn", {"module.a": torch.ones(1)}, fresh("resnet18", "none"))


def test_counts_of_batches_may_be_missing_and_half_precision_becomes_ours():
    net = theirs("resnet18", "none")
    old = {n: t.half() for n, t in checkpoint(net).items() if not n.endswith("num_batches_tracked")}
    weights, _ = translated("ibm", "video-cnn", old, fresh("resnet18", "none"))
    assert weights["trunk.bn1.num_batches_tracked"] == 0
    assert weights["fc.weight"].dtype == torch.float32


def test_unknown_releases_and_other_families_are_mistakes():
    with pytest.raises(UserError, match="no release of weights is called 'ibn'; did you mean 'ibm'"):
        translated("ibn", "video-cnn", {}, {})
    with pytest.raises(UserError, match="families video-cnn, the run's is 'convlstm'"):
        translated("ibm", "convlstm", {}, {})
