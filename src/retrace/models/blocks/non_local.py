"""Non-local block (Wang et al., "Non-local Neural Networks", 2018, section 3)."""

import torch.nn.functional as F
from torch import Tensor, nn


class NonLocal(nn.Module):
    """z = x + norm(W y), where y = softmax(theta(x) phi(x)^T) g(x) over all places of all frames.

    The embedded Gaussian with C / 2 inner channels and without subsampling. All four projections have a
    bias. The norm starts at zero, and so the block as the identity (Wang et al., section 4.1).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.theta = nn.Conv2d(channels, inner, 1)
        self.phi = nn.Conv2d(channels, inner, 1)
        self.g = nn.Conv2d(channels, inner, 1)
        self.out = nn.Conv2d(inner, channels, 1)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Map (B, T, C, H, W) to the same shape."""
        clips, frames, _, height, width = x_BTCHW.shape
        x_NCHW = x_BTCHW.flatten(0, 1)
        q, k, v = (  # (B, 1, T H W, C / 2): the fused kernels want a dimension for heads
            project(x_NCHW).unflatten(0, (clips, frames)).permute(0, 1, 3, 4, 2).flatten(1, 3)[:, None]
            for project in (self.theta, self.phi, self.g)
        )
        y_BSC = F.scaled_dot_product_attention(q, k, v, scale=1.0)[:, 0]
        y_NCHW = y_BSC.unflatten(1, (frames, height, width)).flatten(0, 1).permute(0, 3, 1, 2)
        return x_BTCHW + self.norm(self.out(y_NCHW)).unflatten(0, (clips, frames))
