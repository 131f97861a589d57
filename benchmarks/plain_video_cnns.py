"""The networks of "Deep Analysis" as one writes them down from the paper: torchvision's, with stock modules.

What `retrace.models.video_cnn` is timed and tested against. Names of tensors are those of the authors'
released checkpoints. Without temporal pooling; a network maps clips (B, T, 3, H, W) to logits (B, K).
"""

from collections import OrderedDict
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.googlenet import BasicConv2d, GoogLeNet
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}
MixTime = Callable[[int, int], nn.Module]
"""Makes what stands between frames, of so many channels and so many frames."""


class Conv3dTam(nn.Module):
    """TAM's definition as a depthwise 3D convolution, on frames in the batch dimension."""

    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.mix = nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0), groups=channels, bias=False)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        x_BCTHW = x_NCHW.unflatten(0, (-1, self.frames)).transpose(1, 2)
        return self.mix(x_BCTHW).relu().transpose(1, 2).flatten(0, 1)


class ShiftedTam(nn.Module):
    """TAM's definition as three 1x1 convolutions, whose outputs are shifted and summed; `full`: Conv."""

    def __init__(self, channels: int, frames: int, *, full: bool = False) -> None:
        super().__init__()
        self.frames = frames
        self.prev_se, self.curr_se, self.next_se = (
            nn.Sequential(
                OrderedDict(fc1=nn.Conv2d(channels, channels, 1, groups=1 if full else channels, bias=False))
            )
            for _ in range(3)
        )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        last, same, next_ = (
            tap(x_NCHW).unflatten(0, (-1, self.frames)) for tap in (self.prev_se, self.curr_se, self.next_se)
        )
        last = F.pad(last[:, :-1], (0, 0, 0, 0, 0, 0, 1, 0))
        next_ = F.pad(next_[:, 1:], (0, 0, 0, 0, 0, 0, 0, 1))
        return torch.stack([last, same, next_]).sum(0).relu().flatten(0, 1)


class PlainTsm(nn.Module):
    """TSM's definition by slices."""

    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        self.frames, self.fold = frames, channels // 8

    def forward(self, x_NCHW: Tensor) -> Tensor:
        x_BTCHW, fold = x_NCHW.unflatten(0, (-1, self.frames)), self.fold
        y_BTCHW = torch.zeros_like(x_BTCHW)
        y_BTCHW[:, :-1, :fold] = x_BTCHW[:, 1:, :fold]
        y_BTCHW[:, 1:, fold : 2 * fold] = x_BTCHW[:, :-1, fold : 2 * fold]
        y_BTCHW[:, :, 2 * fold :] = x_BTCHW[:, :, 2 * fold :]
        return y_BTCHW.flatten(0, 1)


class MixedBasicBlock(BasicBlock):
    """A basic block whose residual branch sees what `tam` makes of the input."""

    tam: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(self.tam(x))))
        return self.relu(self.bn2(self.conv2(out)) + shortcut)


class MixedBottleneck(Bottleneck):
    """A bottleneck whose residual branch sees what `tam` makes of the input."""

    tam: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(self.tam(x))))
        out = self.relu(self.bn2(self.conv2(out)))
        return self.relu(self.bn3(self.conv3(out)) + shortcut)


class S3dBasicBlock(BasicBlock):
    """A basic block with a convolution over time after each one over space."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)
        self.conv1_t, self.bn1_t = (
            _over_time(self.conv1.out_channels),
            nn.BatchNorm3d(self.conv1.out_channels),
        )
        self.conv2_t, self.bn2_t = (
            _over_time(self.conv2.out_channels),
            nn.BatchNorm3d(self.conv2.out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1_t(self.conv1_t(self.relu(self.bn1(self.conv1(x))))))
        return self.relu(self.bn2_t(self.conv2_t(self.relu(self.bn2(self.conv2(out))))) + shortcut)


class S3dBottleneck(Bottleneck):
    """A bottleneck with a convolution over time after the one over space."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)
        self.conv2_t, self.bn2_t = (
            _over_time(self.conv2.out_channels),
            nn.BatchNorm3d(self.conv2.out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2_t(self.conv2_t(self.relu(self.bn2(self.conv2(out))))))
        return self.relu(self.bn3(self.conv3(out)) + shortcut)


class S3dConv(nn.Module):
    """InceptionV1's convolution, split into space and time."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        channels = conv.out_channels
        self.conv, self.bn = conv, nn.BatchNorm3d(channels, 1e-3)
        self.conv_t, self.bn_t = _over_time(channels, bias=True), nn.BatchNorm3d(channels, 1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn_t(self.conv_t(self.bn(self.conv(x)).relu())).relu()


def _over_time(channels: int, *, bias: bool = False) -> nn.Conv3d:
    return nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0), bias=bias)


class PerFrame(nn.Module):
    """An image network on every frame; the mean of their logits."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        return self.net(x_BTCHW.flatten(0, 1)).unflatten(0, x_BTCHW.shape[:2]).mean(1)


class OnVolume(nn.Module):
    """A 3D network on the whole clip."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        return self.net(x_BTCHW.transpose(1, 2))


def plain(backbone: str, temporal: str, *, classes: int, frames: int, tam: MixTime = ShiftedTam) -> nn.Module:
    """Return a network; `net` in it has the names of the authors' checkpoints. `tam` is the form of TAM."""
    mix: dict[str, MixTime] = {
        "tam": tam,
        "conv": lambda channels, frames: ShiftedTam(channels, frames, full=True),
        "tsm": PlainTsm,
    }
    net = _resnet if backbone in DEPTHS else _inception
    if temporal in ("i3d", "s3d"):
        return OnVolume(net(backbone, temporal, classes, frames, None))
    return PerFrame(net(backbone, temporal, classes, frames, mix.get(temporal)))


def _resnet(backbone: str, temporal: str, classes: int, frames: int, mix: MixTime | None) -> nn.Module:
    deep = backbone != "resnet18"
    block = {
        "s3d": (S3dBasicBlock, S3dBottleneck),
        "none": (BasicBlock, Bottleneck),
        "i3d": (BasicBlock, Bottleneck),
    }.get(temporal, (MixedBasicBlock, MixedBottleneck))[deep]
    net = ResNet(block, list(DEPTHS[backbone]), num_classes=classes)
    for module in net.modules():
        if mix is not None and isinstance(module, block):
            module.tam = mix(module.conv1.in_channels, frames)
    if temporal in ("i3d", "s3d"):
        _make_volume(net, 3, 3 if temporal == "i3d" else 1)
    return net


def _inception(backbone: str, temporal: str, classes: int, frames: int, mix: MixTime | None) -> nn.Module:
    net = GoogLeNet(num_classes=classes, aux_logits=False, init_weights=False)
    if mix is not None:
        _insert(net, mix, frames)
    if temporal == "s3d":
        _factorise(net)
    if temporal in ("i3d", "s3d"):
        _make_volume(net, 7 if temporal == "i3d" else 3, 3 if temporal == "i3d" else 1)
        net.maxpool2, net.maxpool3 = (nn.MaxPool3d(3, (1, 2, 2), 1) for _ in range(2))
        net.maxpool4 = nn.MaxPool3d(3, (1, 2, 2), 1) if temporal == "i3d" else nn.MaxPool3d(2, (1, 2, 2))
        for name, module in net.named_children():
            if name.startswith("inception"):
                module.branch4[0] = nn.MaxPool3d(3, 1, 1)
    return net


def _insert(net: GoogLeNet, mix: MixTime, frames: int) -> None:
    """Put TAM behind the convolutions of the stem and behind every module."""
    widths = dict(zip(("conv1", "conv2", "conv3"), (64, 64, 192), strict=True))
    modules = [name for name, _ in net.named_children() if name.startswith("inception")]
    widths |= dict(zip(modules, (256, 480, 512, 512, 512, 528, 832, 832, 1024), strict=True))
    for name, channels in widths.items():
        tam = mix(channels, frames)
        net.add_module(name.replace("conv", "tam").replace("inception", "tam"), tam)
        net.get_submodule(name).register_forward_hook(lambda _module, _in, out, tam=tam: tam(out))


def _factorise(net: GoogLeNet) -> None:
    for path, module in list(net.named_modules()):
        if isinstance(module, BasicConv2d) and module.conv.kernel_size == (3, 3):
            parent, _, name = path.rpartition(".")
            setattr(net.get_submodule(parent), name, S3dConv(module.conv))


def _make_volume(net: nn.Module, first_time: int, time: int) -> None:
    """Make a network 3D: its first kernel is `first_time` long in time, every other but 1x1 `time`."""
    for path, module in list(net.named_modules()):
        parent, _, name = path.rpartition(".")
        if isinstance(module, nn.Conv2d):
            length = (
                first_time if module.kernel_size == (7, 7) else time if module.kernel_size > (1, 1) else 1
            )
            new: nn.Module = nn.Conv3d(
                module.in_channels,
                module.out_channels,
                (length, *module.kernel_size),
                (1, *module.stride),
                (length // 2, *module.padding),
                bias=False,
            )
        elif isinstance(module, nn.BatchNorm2d):
            new = nn.BatchNorm3d(module.num_features, module.eps)
        elif isinstance(module, nn.MaxPool2d):
            new = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        elif isinstance(module, nn.AdaptiveAvgPool2d):
            new = nn.AdaptiveAvgPool3d(1)
        else:
            continue
        setattr(net.get_submodule(parent), name, new)
