"""Attention rollout: how much of each patch of each frame is in what the cls token knows in the end.

Abnar and Zuidema, "Quantifying Attention Flow in Transformers", 2020, over space and time (TimeSformer,
supplement, section 3, which does not say how the two are joined). The weights of a layer are averaged over
heads, joined to one matrix W from all tokens to all tokens, and mixed with what the residual carries on:
A = W / 2 + I / 2. The rollout is the product of A over layers, the last in front. What the MLP and the linear
map behind the attention over time do is left out. Shapes as in `retrace.models.timesformer_vit`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

from retrace.models.timesformer_vit import Attention, DividedBlock, TimeSformerVit


@torch.no_grad()
def heat(model: TimeSformerVit, x_BTCHW: Tensor) -> Tensor:
    """Return the shares (B, T, rows, columns of patches) that the cls token draws from a clip.

    With what cls draws from itself they sum to 1. A model over space only has a cls token for each frame,
    of which it takes the mean. Put the model in evaluation mode first.
    """
    shares_GS = rollout(layer_weights(model, x_BTCHW))[:, 0, 1:]
    if model.attention == "space-only":
        shares_BTN = shares_GS.unflatten(0, x_BTCHW.shape[:2]) / model.frames
    else:
        shares_BTN = shares_GS.unflatten(1, (-1, model.frames)).transpose(1, 2)
    return shares_BTN.unflatten(2, (model.grid, model.grid))


def rollout(layers_BSS: Sequence[Tensor]) -> Tensor:
    """Return the product over layers of W / 2 + I / 2, (B, S, S), the last layer in front.

    `layers_BSS` are the W, first layer first. Where their rows sum to 1, so do those of the result.
    """
    product_BSS = torch.eye(layers_BSS[0].shape[-1]).to(layers_BSS[0])
    for layer_BSS in layers_BSS:
        product_BSS = (product_BSS + layer_BSS @ product_BSS) / 2
    return product_BSS


@torch.no_grad()
def layer_weights(model: TimeSformerVit, x_BTCHW: Tensor) -> list[Tensor]:
    """Return W of each layer, (B, S, S), space only (B T, 1 + N, 1 + N); their rows sum to 1."""
    with _weights_kept(model) as kept:
        model(x_BTCHW)
    layers = []
    for block in model.blocks:
        weights_GLL = kept[block.attn]
        if isinstance(block, DividedBlock):
            space_BTLL = weights_GLL.unflatten(0, (-1, block.frames))
            time_BNTT = kept[block.temporal_attn].unflatten(0, (len(x_BTCHW), -1))
            weights_GLL = join(space_BTLL, time_BNTT, block.order)
        layers.append(weights_GLL)
    return layers


def join(space_BTLL: Tensor, time_BNTT: Tensor, order: str) -> Tensor:
    """Return W of a layer of divided attention, (B, S, S), from the weights of its two steps.

    One after the other, W is the product of the steps, the later one in front: with time first, patch p of
    frame t draws space_t[p, q] * time_q[t, u] from patch q of frame u. Both from the same input, a patch
    draws half of what it draws in each, and cls, which takes no part over time, all of it over space.
    """
    over_space, over_time = _over_space(space_BTLL), _over_time(time_BNTT)
    if order == "time-first":
        return over_space @ over_time
    if order == "space-first":
        return over_time @ over_space
    over_time[:, 0] = over_space[:, 0]
    return (over_space + over_time) / 2


@contextmanager
def _weights_kept(model: TimeSformerVit) -> Iterator[dict[Attention, Tensor]]:
    """While open, keep the attention weights (G, L, L), mean over heads, of every forward pass."""
    kept: dict[Attention, Tensor] = {}

    def keep(attention: Attention, inputs: tuple[Tensor]) -> None:
        kept[attention] = attention.weights(*inputs).mean(1)

    hooks = [m.register_forward_pre_hook(keep) for m in model.modules() if isinstance(m, Attention)]
    try:
        yield kept
    finally:
        for hook in hooks:
            hook.remove()


def _over_space(space_BTLL: Tensor) -> Tensor:
    """Spread the weights within frames over all tokens, (B, S, S); that of cls is the mean of frames."""
    frames, same_frame = space_BTLL.shape[1], torch.eye(space_BTLL.shape[1]).to(space_BTLL)
    cls_to_cls = space_BTLL[:, :, 0, 0].mean(1, keepdim=True)
    cls_to_patches = space_BTLL[:, :, 0, 1:].mT.flatten(1) / frames
    to_cls = space_BTLL[:, :, 1:, 0].mT.flatten(1)
    to_patches = torch.einsum("btpq,tu->bptqu", space_BTLL[:, :, 1:, 1:], same_frame)
    first_row = torch.cat([cls_to_cls, cls_to_patches], 1)
    rows = torch.cat([to_cls[..., None], to_patches.flatten(3).flatten(1, 2)], 2)
    return torch.cat([first_row[:, None], rows], 1)


def _over_time(time_BNTT: Tensor) -> Tensor:
    """Spread the weights within patches over all tokens of the clip, (B, S, S); cls stays as it is."""
    same_patch = torch.eye(time_BNTT.shape[1]).to(time_BNTT)
    patches = torch.einsum("bptu,pq->bptqu", time_BNTT, same_patch).flatten(3).flatten(1, 2)
    whole = F.pad(patches, (1, 0, 1, 0))
    whole[:, 0, 0] = 1
    return whole
