"""Temporal aggregation by shifted frames: TAM, and Table 3's "Conv." of "Deep Analysis".

Fan et al., "More Is Less: Learning Efficient Video Representations by Big-Little Network and Depthwise
Temporal Aggregation", 2019.
"""

import math

from torch import Tensor, nn

from retrace.models.blocks.clip_image import from_image, to_image


class TemporalAggregation(nn.Module):
    """y[t] = ReLU(P x[t-1] + Q x[t] + R x[t+1]), zero outside the clip.

    P, Q, R are one number a channel (depthwise: TAM, 3 C parameters) or C x C matrices (Conv., 3 C^2).
    No bias, no norm, no shortcut. With the clip as an image it is one 2D convolution of height 3.
    """

    def __init__(self, channels: int, *, depthwise: bool) -> None:
        super().__init__()
        groups = channels if depthwise else 1
        self.mix = nn.Conv2d(channels, channels, (3, 1), padding=(1, 0), groups=groups, bias=False)
        self.relu = nn.ReLU(inplace=True)
        # What torch gives to each of three 1x1 convolutions, which is how the authors' code has them.
        bound = 1 / math.sqrt(channels // groups)
        nn.init.uniform_(self.mix.weight, -bound, bound)

    def initialise_like_convolutions(self) -> None:
        """Draw P, Q and R by the rule for the convolutions of a ResNet, fan-out of a 1x1 kernel."""
        nn.init.normal_(self.mix.weight, std=math.sqrt(2 / self.mix.out_channels))

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Map (B, T, C, H, W) to the same shape."""
        return from_image(self.relu(self.mix(to_image(x_BTCHW))), *x_BTCHW.shape[3:])
