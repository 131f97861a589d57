"""Global context block (Cao et al., "GCNet: Non-local Networks Meet Squeeze-Excitation Networks and
Beyond", 2019, section 4.3)."""

from torch import Tensor, nn

from retrace.models.blocks.inner import Project, inner_width
from retrace.models.blocks.token_sets import Over, from_sets, to_sets


class GlobalContext(nn.Module):
    """y = x + W_2 ReLU(norm(W_1 ctx)), ctx = sum over the tokens of softmax(w x) x: one vector a set.

    w gives one score a token. W_1 has C / `reduction` channels; the norm is a layer normalisation over
    them. All have a bias. W_2 and its bias start at zero.
    """

    def __init__(self, channels: int, over: Over, *, reduction: int) -> None:
        super().__init__()
        inner = inner_width(channels, reduction)
        self.over = over
        self.score = Project(channels, 1)
        nn.init.kaiming_normal_(self.score.weight, mode="fan_in")
        last = nn.Linear(inner, channels)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.transform = nn.Sequential(
            nn.Linear(channels, inner), nn.LayerNorm(inner), nn.ReLU(inplace=True), last
        )

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Map (B, T, C, H, W) to the same shape."""
        x_BMLC = to_sets(x_BTCHW, self.over)
        weights_BM1L = to_sets(self.score(x_BTCHW), self.over).softmax(2).transpose(2, 3)
        context_BM1C = weights_BM1L @ x_BMLC
        return from_sets(x_BMLC + self.transform(context_BM1C), self.over, *x_BTCHW.shape[3:])
