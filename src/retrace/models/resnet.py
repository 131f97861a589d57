"""ResNets (He et al., 2016) in torchvision's layout, 2D or 3D, with places for blocks.

Positions: ``layer<stage>.<block>.branch`` on the input of a residual branch (the shortcut keeps the input
as it is) and ``layer<stage>.<block>`` after a block. Stages are numbered from 1, blocks from 0.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from retrace.models.layers import Layers, inflated

Kernels = tuple[int, int]
"""The sizes along time of a block's first two convolutions, where the network is 3D."""

DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}


def branches(name: str) -> tuple[str, ...]:
    """Return the positions on the residual branches of the network `name`."""
    return tuple(
        f"layer{stage}.{index}.branch"
        for stage, depth in enumerate(DEPTHS[name], start=1)
        for index in range(depth)
    )


class ResNet(nn.Sequential):
    """The network up to its last feature map of `features` channels; the first has `width`.

    3D: the first convolution is 3x7x7, every 3x3 becomes 3x3x3, and each stage but the first may halve the
    frames by the stride of its first such kernel. 2D: a pool over time may follow each stage but the last.
    """

    def __init__(self, name: str, layers: Layers, *, width: int, channels: int) -> None:
        super().__init__()
        block = BasicBlock if name == "resnet18" else Bottleneck
        if layers.volume:
            self.conv1: nn.Module = inflated(channels, width, 7, stride=2, time=3)
            pool: nn.Module = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        else:
            self.conv1 = layers.conv(channels, width, 7, stride=2)
            pool = nn.MaxPool2d(3, 2, 1)
        self.bn1, self.relu, self.maxpool = layers.norm(width), nn.ReLU(inplace=True), pool
        self.features = width
        for stage, depth in enumerate(DEPTHS[name], start=1):
            inner = width * 2 ** (stage - 1)
            kernels = [block.kernels] * depth
            self.add_module(
                f"layer{stage}", residual_stage(layers, block, stage, self.features, inner, kernels)
            )
            self.features = inner * block.expansion
            if stage < len(DEPTHS[name]) and (over_time := layers.pool_time()):
                self.add_module(f"pool{stage}", over_time)
        layers.check_positions()


def residual_stage(
    layers: Layers,
    block: type["BasicBlock | Bottleneck"],
    stage: int,
    c_in: int,
    inner: int,
    kernels: Sequence["Kernels"],
) -> nn.Sequential:
    """Return the blocks of a stage, one for each of `kernels`, and what is inserted among them.

    `inner` is the width of a block inside. All stages but the first halve the sides.
    """
    blocks = nn.Sequential()
    for index, times in enumerate(kernels):
        first = index == 0 and stage > 1
        stride, time_stride = (2, layers.time_stride) if first else (1, 1)
        position, c_out = f"layer{stage}.{index}", inner * block.expansion
        branch = layers.insert(f"{position}.branch", c_in)
        blocks.add_module(str(index), block(layers, c_in, inner, stride, time_stride, branch, times))
        layers.frames = -(-layers.frames // time_stride)
        if (after := layers.insert(position, c_out)) is not None:
            blocks.add_module(f"after{index}", after)
        c_in = c_out
    return blocks


class _Residual(nn.Module):
    """ReLU(shortcut(x) + convolutions(block(x))): the inserted block stands on the branch alone."""

    def __init__(self, branch: nn.Module | None) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.branch = branch
        self.downsample: nn.Module | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Map (B T, C, H, W) or (B, C, T, H, W) to the same layout."""
        out = self.convolved(x if self.branch is None else self.branch(x))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)

    def convolved(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class BasicBlock(_Residual):
    """Two 3x3 convolutions."""

    expansion = 1
    kernels: Kernels = (3, 3)

    def __init__(
        self,
        layers: Layers,
        c_in: int,
        inner: int,
        stride: int,
        time_stride: int,
        branch: nn.Module | None,
        kernels: Kernels,
    ) -> None:
        super().__init__(branch)
        self.conv1 = layers.conv(c_in, inner, 3, stride=stride, time=kernels[0], time_stride=time_stride)
        self.bn1 = layers.norm(inner)
        self.conv2 = layers.conv(inner, inner, 3, time=kernels[1])
        self.bn2 = layers.norm(inner)
        if c_in != inner or stride > 1:
            self.downsample = _downsample(layers, c_in, inner, stride, time_stride)

    def convolved(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))


class Bottleneck(_Residual):
    """1x1, 3x3 and 1x1 convolutions; the stride is that of the 3x3 (ResNet "v1.5")."""

    expansion = 4
    kernels: Kernels = (1, 3)

    def __init__(
        self,
        layers: Layers,
        c_in: int,
        inner: int,
        stride: int,
        time_stride: int,
        branch: nn.Module | None,
        kernels: Kernels,
    ) -> None:
        super().__init__(branch)
        c_out = inner * self.expansion
        self.conv1 = layers.conv(c_in, inner, 1, time=kernels[0])
        self.bn1 = layers.norm(inner)
        self.conv2 = layers.conv(inner, inner, 3, stride=stride, time=kernels[1], time_stride=time_stride)
        self.bn2 = layers.norm(inner)
        self.conv3 = layers.conv(inner, c_out, 1)
        self.bn3 = layers.norm(c_out)
        if c_in != c_out or stride > 1:
            self.downsample = _downsample(layers, c_in, c_out, stride, time_stride)

    def convolved(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.bn3(self.conv3(x))


def _downsample(layers: Layers, c_in: int, c_out: int, stride: int, time_stride: int) -> nn.Sequential:
    conv = layers.conv(c_in, c_out, 1, stride=stride, time_stride=time_stride)
    return nn.Sequential(conv, layers.norm(c_out))
