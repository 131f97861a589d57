"""Batch normalisation of a step that is computed in several portions, by one rank or by many.

Each portion is normalised by its own statistics, on however many ranks it is. Running statistics move once a
step, by a layer's momentum, towards the mean of the portions' means and unbiased variances, each weighted
by its share of the step's clips: so they depend neither on the order of portions nor on who computed them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules._functions import SyncBatchNorm as SynchronisedOnGpu
from torch.nn.modules.batchnorm import _BatchNorm

from retrace.train.ranks import Ranks


class Now(NamedTuple):
    """The portion under way: the ranks that compute it, if several, and this rank's share of the step."""

    group: dist.ProcessGroup | None
    share: float


class Norms:
    """The batch normalisations of one model; outside of `portion` they are torch's own."""

    def __init__(self, model: nn.Module) -> None:
        self.now: Now | None = None
        self.layers = [layer for layer in model.modules() if isinstance(layer, _BatchNorm)]
        for layer in self.layers:
            layer.__class__ = _with_portions(type(layer))
            layer.norms, layer.seen = self, None

    def __len__(self) -> int:
        return len(self.layers)

    @contextmanager
    def portion(self, group: dist.ProcessGroup | None, share: float) -> Iterator[None]:
        """Within this context a layer in training normalises a portion; see `Now`."""
        self.now = Now(group, share)
        try:
            yield
        finally:
            self.now = None

    def forget(self) -> None:
        """Take the portions since the last `update` for not computed."""
        for layer in self.layers:
            layer.seen = None

    @torch.no_grad()
    def update(self, ranks: Ranks) -> None:
        """Move running statistics by the portions since the last `update`. Every rank has to call it."""
        moving = [layer for layer in self.layers if layer.training and layer.track_running_stats]
        if not moving:
            return
        device = ranks.device
        seen = [_nothing(layer, device) if layer.seen is None else layer.seen for layer in moving]
        self.forget()
        summed = ranks.add_up(torch.cat(seen)).split([len(one) for one in seen])
        shares = torch.stack([one[-1] for one in summed]).tolist()
        for layer, one, share in zip(moving, summed, shares, strict=True):
            if share:  # a layer that the model did not ask stays as it is
                _move(layer, *(one[:-1] / share).chunk(2))


class _InPortions(_BatchNorm):
    """What stands between a batch normalisation and its base class."""

    norms: Norms
    seen: Tensor | None
    """Means, variances and 1 (2 C + 1), each times the share of a portion, added up over portions."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, ...) to the same shape."""
        now = self.norms.now
        if now is None or not self.training:
            return super().forward(x)
        self._check_input_dim(x)
        moments = _nothing(self, x.device)
        moments[-1] = 1.0
        mean, var = moments[:-1].chunk(2)
        if now.group is None:
            y = F.batch_norm(x, mean, var, self.weight, self.bias, True, 1.0, self.eps)
        elif x.is_cuda:
            size = dist.get_world_size(now.group)
            y = SynchronisedOnGpu.apply(x, self.weight, self.bias, mean, var, self.eps, 1.0, now.group, size)
        else:
            y = _synchronised(self, x, mean, var, now.group)
        self.seen = moments * now.share if self.seen is None else self.seen.add_(moments, alpha=now.share)
        return y


@cache
def _with_portions(kind: type[nn.Module]) -> type[nn.Module]:
    """Return the class of layers `kind` with `_InPortions` in front of its last base class.

    The class of a layer is exchanged, not the layer, so its parameters and its name stay as they are, and
    `forward` of a subclass of torch's is still the first to be called.
    """
    return type(kind.__name__, (kind, _InPortions), {})


class _Sum(torch.autograd.Function):
    """The sum over the ranks of a group; each one's gradient is the sum of all gradients."""

    @staticmethod
    def forward(ctx, values: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.group = group
        summed = values.clone()
        dist.all_reduce(summed, group=group)
        return summed

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        summed = gradient.contiguous().clone()
        dist.all_reduce(summed, group=ctx.group)
        return summed, None


def _synchronised(layer: nn.Module, x: Tensor, mean: Tensor, var: Tensor, group: dist.ProcessGroup) -> Tensor:
    """Normalise `x` on CPUs by the statistics of all ranks of `group`; leave these in `mean` and `var`.

    torch has this for GPUs alone. Sums travel in float64: a variance is a small difference of large ones.
    """
    own_var_C, own_mean_C = torch.var_mean(x, [0, *range(2, x.ndim)], correction=0)
    n = x.numel() // x.shape[1]
    own_mean_C, own_var_C = own_mean_C.double(), own_var_C.double()
    own = torch.cat([own_mean_C * n, (own_var_C + own_mean_C**2) * n, own_mean_C.new_tensor([n])])
    sums = _Sum.apply(own, group)
    count = sums[-1].detach()
    mean_C, square_C = (sums[:-1] / count).chunk(2)
    var_C = (square_C - mean_C**2).clamp(min=0)
    mean.copy_(mean_C.detach())
    var.copy_(var_C.detach() * count / (count - 1))
    shape = (-1, *[1] * (x.ndim - 2))
    y = (x - mean_C.float().view(shape)) * (var_C + layer.eps).rsqrt().float().view(shape)
    return torch.addcmul(layer.bias.view(shape), y, layer.weight.view(shape)) if layer.affine else y


def _nothing(layer: nn.Module, device: torch.device) -> Tensor:
    return torch.zeros(2 * layer.num_features + 1, device=device)


def _move(layer: nn.Module, mean: Tensor, var: Tensor) -> None:
    layer.num_batches_tracked += 1
    momentum = layer.momentum if layer.momentum is not None else 1 / layer.num_batches_tracked.item()
    layer.running_mean.lerp_(mean, momentum)
    layer.running_var.lerp_(var, momentum)
