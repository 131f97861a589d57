"""CGNL, GCNet and GloRe, set by set: of all tokens, of those of a frame, of those of a place."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from attention_blocks import awake, cgnl, clips, gcnet, glore, unit

OfSet = Callable[[Tensor], Tensor]
PLACES = ["joint", "space", "time"]


def set_by_set(x_BTCHW: Tensor, place: str, of_set: OfSet) -> Tensor:
    """Apply `of_set`, which maps tokens (L, C) to the same, to one set after the other."""
    y = torch.empty_like(x_BTCHW)
    n_clips, frames, channels, height, width = x_BTCHW.shape
    for b in range(n_clips):
        match place:
            case "joint":
                sets = [(slice(None), slice(None), slice(None))]
            case "space":
                sets = [(slice(t, t + 1), slice(None), slice(None)) for t in range(frames)]
            case _:
                sets = [
                    (slice(None), slice(i, i + 1), slice(j, j + 1))
                    for i in range(height)
                    for j in range(width)
                ]
        for t, i, j in sets:
            part = x_BTCHW[b, t, :, i, j]
            tokens = part.permute(0, 2, 3, 1).reshape(-1, channels)
            there = of_set(tokens).view(part.shape[0], *part.shape[2:], channels)
            y[b, t, :, i, j] = there.permute(0, 3, 1, 2)
    return y


def project(layer: nn.Conv2d | nn.Linear, tokens: Tensor) -> Tensor:
    y = tokens @ layer.weight.flatten(1).T
    return y if layer.bias is None else y + layer.bias


def standard(tokens: Tensor, eps: float) -> Tensor:
    return (tokens - tokens.mean()) / (tokens.var(correction=0) + eps).sqrt()


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@torch.no_grad()
@pytest.mark.parametrize("place", PLACES)
def test_cgnl_is_its_definition(place):
    (block,) = awake(unit({place: cgnl(2, groups=4)}, channels=16, frames=3))
    x = clips(2, 3, 16, 3, 2)

    def of_set(tokens: Tensor) -> Tensor:
        t, p, g = project(block.project, tokens).split(8, dim=1)
        out = []
        for group in range(4):  # of 2 channels inside, of 4 outside
            inside, outside = slice(2 * group, 2 * group + 2), slice(4 * group, 4 * group + 4)
            product = sum(p[token, c] * g[token, c] for token in range(len(tokens)) for c in range(8)[inside])
            z = product * t[:, inside] @ block.out.weight[outside].flatten(1).T
            norm = block.norm
            out.append(standard(z, norm.eps) * norm.weight[outside] + norm.bias[outside])
        return tokens + torch.cat(out, 1)

    same(block(x), set_by_set(x, place, of_set))


@torch.no_grad()
@pytest.mark.parametrize("place", PLACES)
def test_gcnet_is_its_definition(place):
    (block,) = awake(unit({place: gcnet(4)}, channels=16, frames=3))
    x = clips(2, 3, 16, 3, 2)
    first, norm, _, last = block.transform

    def of_set(tokens: Tensor) -> Tensor:
        weights = project(block.score, tokens)[:, 0].softmax(0)
        context = sum(weight * token for weight, token in zip(weights, tokens, strict=True))
        hidden = standard(project(first, context), norm.eps) * norm.weight + norm.bias
        return tokens + project(last, hidden.clamp(min=0))

    same(block(x), set_by_set(x, place, of_set))


@torch.no_grad()
@pytest.mark.parametrize("place", PLACES)
def test_glore_is_its_definition(place):
    (block,) = awake(unit({place: glore(4)}, channels=16, frames=3))
    x = clips(2, 3, 16, 3, 2)
    conv, norm = block.out

    def of_set(tokens: Tensor) -> Tensor:
        states, assigned = project(block.states, tokens), project(block.assign, tokens)
        nodes = [sum(a * s for a, s in zip(assigned[:, n], states, strict=True)) for n in range(4)]
        told = [
            node + block.exchange.bias[n] + sum(block.exchange.weight[n, m] * nodes[m] for m in range(4))
            for n, node in enumerate(nodes)
        ]
        updated = [block.update.weight @ node.clamp(min=0) for node in told]
        back = torch.stack([sum(a[n] * updated[n] for n in range(4)) for a in assigned])
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        return tokens + (project(conv, back) - norm.running_mean) * scale + norm.bias

    same(block(x), set_by_set(x, place, of_set))
