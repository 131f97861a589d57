"""The recurrence of a convolutional LSTM followed by 2x2 max-pooling, with its own backward pass.

One autograd node stands for all time steps of a layer. Four things make it fast on a CPU, and none
changes what is computed:

- clips do not depend on each other, so a few at a time run through all steps and stay in the cache;
- activations lie channels-last, h and x side by side, so a step is one convolution;
- tanh(a) = 1 - 2 sigmoid(-2a), so one call serves all four gates (ATen's tanh is five times slower).
  Hence s = sigmoid(-2g) stands for tanh(g), and the state is z = -2c:
  z_t = f z_{t-1} + i (4s - 2), h_t = o (1 - 2 sigmoid(z_t));
- what the backward pass reads lies in memory that the next training step uses again.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import repeat
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from retrace.models.tape import Kind, Shelf, Tape

_PIXELS = 8192
"""Pixels of a step that a CPU takes at a time: with 16 hidden units their gates fill 2 MiB."""

_PLAIN_3X3: tuple[Any, ...] = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)
"""Stride, padding, dilation, transposed, output padding, groups."""

_aten = torch.ops.aten


def recur_and_pool(x_BTHWC: Tensor, weight: Tensor, bias: Tensor, shelf: Shelf) -> Tensor:
    """Run a convolutional LSTM over T steps from a zero state; return its h, max-pooled by 2x2.

    `weight` (4N, N + C, 3, 3) has the rows of gates i, f, o, g and the columns of h, then of x; `bias`
    is (4N). The result is (B, T, H // 2, W // 2, N). Shi et al., "Convolutional LSTM Network", 2015,
    equation 3 without peepholes: c_t = f c_{t-1} + i tanh(g), h_t = o tanh(c_t).

    Under autocast, convolutions and gates have its precision, and the state keeps that of x. After a
    backward pass that retains the graph, the next forward pass may overwrite what a second one needs;
    then that raises RuntimeError.
    """
    hidden = len(bias) // 4
    scale = torch.cat([bias.new_ones(3 * hidden), bias.new_full((hidden,), -2)])
    scaled = weight * scale.view(-1, 1, 1, 1), bias * scale
    return _RecurAndPool.apply(x_BTHWC, *scaled, _convolution_dtype(x_BTHWC), shelf)


def _convolution_dtype(x: Tensor) -> torch.dtype:
    device = x.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return x.dtype


class _RecurAndPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x_BTHWC, weight, bias, dtype, shelf):
        weight, bias = weight.to(dtype).contiguous(memory_format=torch.channels_last), bias.to(dtype)
        kind = Kind.of(x_BTHWC, len(bias) // 4, dtype)
        clips = _clips_at_a_time(kind)
        tapes: Iterable[Tape]
        if any(ctx.needs_input_grad):
            tape = shelf.take(kind)
            ctx.save_for_backward(weight, *tape)  # so PyTorch notices if another pass takes the tape
            ctx.kind, ctx.shelf = kind, shelf
            tapes = tape.split(clips)
        else:
            tapes = repeat(Tape.blank(replace(kind, steps=1, clips=clips)))
        pooled = x_BTHWC.new_empty(kind.clips, kind.steps, kind.height // 2, kind.width // 2, kind.hidden)
        for x, tape, out in zip(x_BTHWC.split(clips), tapes, pooled.split(clips), strict=False):
            _forward(x, weight, bias, tape, out)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx, dpooled_BTHWN):
        weight, *parts = ctx.saved_tensors
        kind, tape = ctx.kind, Tape(*parts)
        clips = _clips_at_a_time(kind)
        dweight = torch.zeros_like(weight, dtype=kind.state)
        dbias = dpooled_BTHWN.new_zeros(len(weight))
        dx, dxs = None, repeat(None)
        if ctx.needs_input_grad[0]:
            dx = dpooled_BTHWN.new_empty(kind.clips, kind.steps, kind.height, kind.width, kind.channels)
            dxs = dx.split(clips)
        for dpooled, tape_part, dx_part in zip(
            dpooled_BTHWN.split(clips), tape.split(clips), dxs, strict=False
        ):
            _backward(dpooled, weight, tape_part, dx_part, dweight, dbias)
        ctx.shelf.give(kind, tape)
        return dx, dweight, dbias, None, None


def _clips_at_a_time(kind: Kind) -> int:
    return max(1, _PIXELS // (kind.height * kind.width)) if kind.device.type == "cpu" else kind.clips


def _forward(x_BTHWC: Tensor, weight: Tensor, bias: Tensor, tape: Tape, pooled_BTHWN: Tensor) -> None:
    """Run some clips through all steps: fill `pooled_BTHWN` and `tape`, whose steps go round if they are few."""
    clips, steps, *_ = x_BTHWC.shape
    hidden = len(bias) // 4
    h = z = torch.zeros_like(tape.state[0, :clips])
    for t in range(steps):
        fed, gates, state, winner = (part[t % len(part), :clips] for part in tape)
        fed[..., :hidden] = h
        fed[..., hidden:] = x_BTHWC[:, t]
        torch.sigmoid(_nhwc(F.conv2d(_nchw(fed), weight, bias, padding=1)), out=gates)
        i, f, o, s = gates.split(hidden, -1)
        z = torch.mul(f, z, out=state).addcmul_(i, s, value=4).sub_(i, alpha=2)
        h = torch.addcmul(o, o, torch.sigmoid(z), value=-2)
        pooled, index = F.max_pool2d(_nchw(h), 2, return_indices=True)
        pooled_BTHWN[:, t] = _nhwc(pooled)
        winner[...] = _nhwc(index)


def _backward(
    dpooled_BTHWN: Tensor, weight: Tensor, tape: Tape, dx_BTHWC: Tensor | None, dweight: Tensor, dbias: Tensor
) -> None:
    """Take some clips back through all steps: fill `dx_BTHWC`, add to `dweight` and `dbias`."""
    hidden = len(dbias) // 4
    back = weight
    if dx_BTHWC is None:
        back = weight[:, :hidden].contiguous(memory_format=torch.channels_last)
    like_dfed = torch.empty_like(tape.fed[0, ..., : back.shape[1]])
    dgates = torch.empty_like(tape.gates[0])
    zero, dz, dh = torch.zeros_like(tape.state[0]), torch.zeros_like(tape.state[0]), 0
    for t in reversed(range(len(tape.state))):
        fed, gates, state, winner = (part[t] for part in tape)
        dh = _unpool(dpooled_BTHWN[:, t], winner, state).add_(dh)
        _backward_cell(dh, dz, gates, state, tape.state[t - 1] if t else zero, dgates)
        dbias += dgates.sum((0, 1, 2), dtype=dbias.dtype)
        dweight += _convolution_backward(dgates, fed, weight, (False, True, False))[1]
        if t or dx_BTHWC is not None:
            dfed = _nhwc(_convolution_backward(dgates, like_dfed, back, (True, False, False))[0])
            dh = dfed[..., :hidden]
        if dx_BTHWC is not None:
            dx_BTHWC[:, t] = dfed[..., hidden:]


def _backward_cell(
    dh: Tensor, dz: Tensor, gates: Tensor, state: Tensor, before: Tensor, dgates: Tensor
) -> None:
    """From dL/dh_t and dL/dz_t, fill `dgates` and turn `dz` into dL/dz_{t-1}; `before` is z_{t-1}."""
    i, f, o, s = gates.split(dh.shape[-1], -1)
    di, df, do, ds = dgates.split(dh.shape[-1], -1)
    r = torch.sigmoid(state)
    torch.addcmul(dh, dh, r, value=-2, out=do)
    dz.sub_(_aten.sigmoid_backward(dh * o, r), alpha=2)
    dz4 = dz * 4
    torch.mul(dz4, s - 0.5, out=di)
    torch.mul(dz, before, out=df)
    torch.mul(dz4, i, out=ds)
    dz.mul_(f)
    _aten.sigmoid_backward(dgates, gates, grad_input=dgates)


def _convolution_backward(
    dout_NHWC: Tensor, x_NHWC: Tensor, weight: Tensor, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of a 3x3 convolution's input (NCHW), weight and bias, as far as wanted."""
    return _aten.convolution_backward(_nchw(dout_NHWC), _nchw(x_NHWC), weight, None, *_PLAIN_3X3, wanted)


def _unpool(dpooled_NHWC: Tensor, winner_NHWC: Tensor, like_NHWC: Tensor) -> Tensor:
    """Return the gradient of what was pooled: each value goes to the pixel that won."""
    return _nhwc(
        _aten.max_pool2d_with_indices_backward(
            _nchw(dpooled_NHWC), _nchw(like_NHWC), [2, 2], [2, 2], [0, 0], [1, 1], False, _nchw(winner_NHWC)
        )
    )


def _nchw(x_NHWC: Tensor) -> Tensor:
    return x_NHWC.permute(0, 3, 1, 2)


def _nhwc(x_NCHW: Tensor) -> Tensor:
    return x_NCHW.permute(0, 2, 3, 1)
