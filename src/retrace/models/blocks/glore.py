"""Global reasoning unit (Chen et al., "Graph-Based Global Reasoning Networks", 2019, section 3)."""

from torch import Tensor, nn

from retrace.models.blocks.inner import Output, Project, inner_width
from retrace.models.blocks.token_sets import Over, from_sets, to_sets


class GloRe(nn.Module):
    """y = x + norm(W_o z): tokens are gathered into nodes, a graph step exchanges, tokens get it back.

    n = C / `reduction` nodes of S = 2 n states. A = W_a x (S), B = W_b x (n), with bias; nodes X = A^T B
    over the tokens of the set; H = W_s ReLU(X W_n + b + X); z = H B. W_s and W_o have no bias. As the
    authors' code has it, the step is without the subtraction of Eq. 6; the norm (eps 1e-4) starts at zero.
    """

    def __init__(self, channels: int, over: Over, *, reduction: int) -> None:
        super().__init__()
        nodes = inner_width(channels, reduction)
        states = 2 * nodes
        self.over = over
        self.states, self.assign = Project(channels, states), Project(channels, nodes)
        self.exchange = nn.Linear(nodes, nodes)
        self.relu = nn.ReLU(inplace=True)
        self.update = nn.Linear(states, states, bias=False)
        self.out = Output(states, channels, bias=False, eps=1e-4)

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        """Map (B, T, C, H, W) to the same shape."""
        a_BMLS, b_BMLN = (to_sets(of(x_BTCHW), self.over) for of in (self.states, self.assign))
        x_BMSN = a_BMLS.transpose(2, 3) @ b_BMLN
        h_BMSN = self.relu(self.exchange(x_BMSN) + x_BMSN)
        h_BMNS = self.update(h_BMSN.transpose(2, 3))
        return x_BTCHW + self.out(from_sets(b_BMLN @ h_BMNS, self.over, *x_BTCHW.shape[3:]))
