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

from dataclasses import replace
from itertools import cycle, repeat

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from retrace.models.tape import Kind, Shelf, Step, Tape

_GATES_AT_A_TIME = 2**20
"""How many values of gates a CPU works on before it goes on: in float32 they fill 4 MiB of its cache."""

_aten = torch.ops.aten


def recur_and_pool(x_BTHWC: Tensor, weight: Tensor, bias: Tensor, shelf: Shelf) -> Tensor:
    """Run a convolutional LSTM over T steps from a zero state; return its h, max-pooled by 2x2.

    `weight` (4N, N + C, k, k), k odd, has the rows of gates i, f, o, g and the columns of h, then of x;
    `bias` is (4N). The result is (B, T, H // 2, W // 2, N). Shi et al., "Convolutional LSTM Network", 2015,
    equation 3 without peepholes: c_t = f c_{t-1} + i tanh(g), h_t = o tanh(c_t).

    Under autocast, convolutions and gates have its precision, and the state keeps that of x. After a
    backward pass that retains the graph, the next forward pass may overwrite what a second one needs;
    then that raises RuntimeError.
    """
    return _RecurAndPool.apply(
        x_BTHWC, _scaled(weight), _scaled(bias), _convolution_dtype(x_BTHWC), shelf, None
    )


def recur_strided_and_pool(
    x_BTHWC: Tensor, recurrent: Tensor, of_input: Tensor, bias: Tensor, stride: int, shelf: Shelf
) -> Tensor:
    """Do as `recur_and_pool`, but with a stride in the convolution of x, so the state is smaller than x.

    That one then runs over all steps at once, beforehand. `recurrent` (4N, N, k, k) and `of_input`
    (4N, C, k, k) are the columns of h and those of x.
    """
    frames_NCHW = _nchw(x_BTHWC.flatten(0, 1))
    driven = F.conv2d(frames_NCHW, _scaled(of_input), None, stride, of_input.shape[-1] // 2)
    drive_BTHWG = _nhwc(driven).unflatten(0, x_BTHWC.shape[:2])
    nothing_BTHW0 = x_BTHWC.new_empty(*drive_BTHWG.shape[:-1], 0)
    dtype = _convolution_dtype(x_BTHWC)
    return _RecurAndPool.apply(nothing_BTHW0, _scaled(recurrent), _scaled(bias), dtype, shelf, drive_BTHWG)


def _scaled(rows: Tensor) -> Tensor:
    """Return a weight or bias (4N, ...) with the rows of gate g times -2 (see above)."""
    hidden = len(rows) // 4
    scale = torch.cat([rows.new_ones(3 * hidden), rows.new_full((hidden,), -2)])
    return rows * scale.view(-1, *[1] * (rows.dim() - 1))


def _convolution_dtype(x: Tensor) -> torch.dtype:
    device = x.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return x.dtype


class _RecurAndPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x_BTHWC, weight, bias, dtype, shelf, drive_BTHWG):
        weight, bias = weight.to(dtype).contiguous(memory_format=torch.channels_last), bias.to(dtype)
        kind = Kind.of(x_BTHWC, len(bias) // 4, dtype)
        xs = x_BTHWC.split(_clips_at_a_time(kind))
        drives = repeat(None) if drive_BTHWG is None else drive_BTHWG.split(len(xs[0]))
        if any(ctx.needs_input_grad):
            tape = shelf.take(kind)
            tapes = tape.split(len(xs[0]))
            ctx.kind, ctx.shelf = kind, shelf
            ctx.save_for_backward(weight, *tape)  # thus PyTorch notices if another pass has taken the tape
        else:
            tapes = (Tape.blank(replace(kind, steps=1, clips=len(x))) for x in xs)
        pooled = x_BTHWC.new_empty(kind.clips, kind.steps, kind.height // 2, kind.width // 2, kind.hidden)
        for x, drive, tape, out in zip(xs, drives, tapes, pooled.split(len(xs[0])), strict=False):
            _forward(x, drive, weight, bias, tape, out)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx, dpooled_BTHWN):
        weight, *parts = ctx.saved_tensors
        kind, tape, clips = ctx.kind, Tape(*parts), _clips_at_a_time(ctx.kind)
        plane = kind.clips, kind.steps, kind.height, kind.width
        dx_BTHWC = dpooled_BTHWN.new_empty(*plane, kind.channels) if ctx.needs_input_grad[0] else None
        ddrive_BTHWG = tape.gates.new_empty(*plane, 4 * kind.hidden) if ctx.needs_input_grad[5] else None
        dweight, dbias = torch.zeros_like(weight, dtype=kind.state), dpooled_BTHWN.new_zeros(len(weight))
        dxs, ddrives = (
            repeat(None) if whole is None else whole.split(clips) for whole in (dx_BTHWC, ddrive_BTHWG)
        )
        own = zip(dpooled_BTHWN.split(clips), tape.split(clips), dxs, ddrives, strict=False)
        for dpooled, part, dx, ddrive in own:
            _backward(dpooled, weight, part, dx, ddrive, dweight, dbias)
        ctx.shelf.give(kind, tape)
        return dx_BTHWC, dweight, dbias, None, None, ddrive_BTHWG


def _clips_at_a_time(kind: Kind) -> int:
    if kind.device.type != "cpu":
        return kind.clips
    return max(1, _GATES_AT_A_TIME // (4 * kind.hidden * kind.height * kind.width))


def _forward(
    x_BTHWC: Tensor,
    drive_BTHWG: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    tape: Tape,
    pooled_BTHWN: Tensor,
) -> None:
    """Run some clips through all steps: fill `pooled_BTHWN`, and `tape`, round and round if it is short."""
    h = z = torch.zeros_like(tape.state[0])
    drives = repeat(None) if drive_BTHWG is None else drive_BTHWG.unbind(1)
    steps = zip(x_BTHWC.unbind(1), drives, pooled_BTHWN.unbind(1), cycle(tape.steps()), strict=False)
    for x, drive, out, step in steps:
        step.h.copy_(h)
        step.x.copy_(x)
        gates = _nhwc(F.conv2d(_nchw(step.fed), weight, bias, padding=_half(weight)))
        torch.sigmoid(gates if drive is None else gates.add_(drive), out=step.gates)
        z = torch.mul(step.f, z, out=step.state).addcmul_(step.i, step.s, value=4).sub_(step.i, alpha=2)
        h = torch.addcmul(step.o, step.o, torch.sigmoid(z), value=-2)
        pooled, winner = F.max_pool2d(_nchw(h), 2, return_indices=True)
        out.copy_(_nhwc(pooled))
        step.winner.copy_(_nhwc(winner))


def _backward(
    dpooled_BTHWN: Tensor,
    weight: Tensor,
    tape: Tape,
    dx_BTHWC: Tensor | None,
    ddrive_BTHWG: Tensor | None,
    dweight: Tensor,
    dbias: Tensor,
) -> None:
    """Take some clips back through all steps: fill the gradients of x and drive, add to the other two."""
    steps, hidden = tape.steps(), len(dbias) // 4
    back = weight
    if dx_BTHWC is None:  # then h alone has a gradient
        back = weight[:, :hidden].contiguous(memory_format=torch.channels_last)
    like_dfed = torch.empty_like(tape.fed[0, ..., : back.shape[1]])
    dgates, before = torch.empty_like(tape.gates[0]), torch.zeros_like(tape.state[0])
    dz, dh = before.clone(), before
    for t in reversed(range(len(steps))):
        step = steps[t]
        dh = _unpool(dpooled_BTHWN[:, t], step.winner, step.state).add_(dh)
        _backward_gates(dh, dz, step, steps[t - 1].state if t else before, dgates)
        dbias += dgates.sum((0, 1, 2), dtype=dbias.dtype)
        dweight += _convolution_backward(dgates, step.fed, weight, (False, True, False))[1]
        if ddrive_BTHWG is not None:
            ddrive_BTHWG[:, t] = dgates
        if t or dx_BTHWC is not None:
            dfed = _nhwc(_convolution_backward(dgates, like_dfed, back, (True, False, False))[0])
            dh = dfed[..., :hidden]
        if dx_BTHWC is not None:
            dx_BTHWC[:, t] = dfed[..., hidden:]


def _backward_gates(dh: Tensor, dz: Tensor, step: Step, before: Tensor, dgates: Tensor) -> None:
    """From dL/dh_t and dL/dz_t, fill `dgates` and turn `dz` into dL/dz_{t-1}; `before` is z_{t-1}."""
    di, df, do, ds = dgates.chunk(4, -1)
    r = torch.sigmoid(step.state)
    torch.addcmul(dh, dh, r, value=-2, out=do)
    dz.sub_(_aten.sigmoid_backward.default(dh * step.o, r), alpha=2)
    dz4 = dz * 4
    torch.mul(dz4, step.s - 0.5, out=di)
    torch.mul(dz, before, out=df)
    torch.mul(dz4, step.i, out=ds)
    dz.mul_(step.f)
    _aten.sigmoid_backward.grad_input(dgates, step.gates, grad_input=dgates)


def _convolution_backward(
    dout_NHWC: Tensor, x_NHWC: Tensor, weight: Tensor, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of a convolution's input (NCHW), weight and bias, as far as wanted."""
    inputs, padding = (_nchw(dout_NHWC), _nchw(x_NHWC), weight), [_half(weight)] * 2
    geometry = (
        [1, 1],
        padding,
        [1, 1],
        False,
        [0, 0],
        1,
    )  # stride, dilation, transposed, output padding, groups
    return _aten.convolution_backward.default(*inputs, None, *geometry, wanted)


def _unpool(dpooled_NHWC: Tensor, winner_NHWC: Tensor, like_NHWC: Tensor) -> Tensor:
    """Return the gradient of what was pooled: each value goes to the pixel that won."""
    inputs = _nchw(dpooled_NHWC), _nchw(like_NHWC)
    geometry = [2, 2], [2, 2], [0, 0], [1, 1], False  # kernel, stride, padding, dilation, round up
    return _nhwc(_aten.max_pool2d_with_indices_backward.default(*inputs, *geometry, _nchw(winner_NHWC)))


def _half(weight: Tensor) -> int:
    """Return the padding with which a convolution keeps the size."""
    return weight.shape[-1] // 2


def _nchw(x_NHWC: Tensor) -> Tensor:
    return x_NHWC.permute(0, 3, 1, 2)


def _nhwc(x_NCHW: Tensor) -> Tensor:
    return x_NCHW.permute(0, 2, 3, 1)
