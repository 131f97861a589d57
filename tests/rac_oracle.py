"""Figures of "Recur, Attend or Convolve?", and a training that its authors' code went through too."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retrace.models.registry import build
from retrace.plan.model import Cnn3d, ConvLstm, Model, TimeSformer

CLIP = {"channels": 1, "frames": 20, "side": 64}
"""A clip of Temporal Shape; it has one of five classes."""

HIDDEN = (2, 4, 6, 8, 10, 12, 16, 24, 32, 48)

# Supplementary Table 8. Not printed there: the whole row of 10 hidden units, counted with the authors'
# code. Misprinted there: TimeSformer-8 with 2 hidden units, 20451 for 20421 (see test_timesformer).
PARAMETERS = {
    "cnn3d": (1573, 3573, 6005, 8869, 12165, 15893, 24645, 47333, 76933, 156869),
    "convlstm": (1497, 4429, 8801, 14613, 21865, 30557, 52261, 112949, 196677, 433253),
    "timesformer-8": (20421, 71557, 153413, 265989, 409285, 583301, 1023493, 2272517, 4013061, 8968709),
    "timesformer-1": (877, 2229, 4061, 6373, 9165, 12437, 20421, 42149, 71557, 153413),
}


def spec_of(name: str, hidden: int) -> Model:
    """Return the model that Table 8 calls `name`."""
    if name == "cnn3d":
        return Cnn3d(family="cnn3d", hidden=hidden, layers=3)
    if name == "convlstm":
        return ConvLstm(family="convlstm", hidden=hidden, layers=3)
    heads = int(name.removeprefix("timesformer-"))
    return TimeSformer(family="timesformer", hidden=hidden, heads=heads, layers=3, patch=16)


def table_8(name: str) -> list[tuple[int, int]]:
    """Return pairs of hidden units and parameters."""
    return list(zip(HIDDEN, PARAMETERS[name], strict=True))


def model_on_meta(name: str, hidden: int) -> nn.Module:
    """Return a model at the paper's size, without memory."""
    with torch.device("meta"):
        return build(spec_of(name, hidden), classes=5, **CLIP)


def losses(model: nn.Module, steps: int) -> list[float]:
    """Train a model on four clips in float64, from parameters and clips that are sine waves."""
    model.double()
    _fill(model)
    clips, labels = _clips(), torch.arange(4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9, weight_decay=1e-5)
    history = []
    for _ in range(steps):
        loss = F.cross_entropy(model(clips), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    return history


def assert_runs_under_bfloat16_autocast(model: nn.Module, x_BTCHW: Tensor) -> None:
    """In reduced precision the logits stay near those of float32, and every gradient is finite."""
    exact = model(x_BTCHW)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(x_BTCHW)
    logits.float().square().sum().backward()
    torch.testing.assert_close(logits.float(), exact, atol=0.1, rtol=0)
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def _fill(model: nn.Module) -> None:
    norms = (nn.BatchNorm3d, nn.LayerNorm)
    scales = {id(module.weight) for module in model.modules() if isinstance(module, norms)}
    with torch.no_grad():
        for k, parameter in enumerate(model.parameters()):
            wave = 0.2 * torch.sin(0.37 * torch.arange(parameter.numel()).double() + 1.3 * k + 0.5)
            parameter.copy_(wave.view_as(parameter) + (id(parameter) in scales))


def _clips() -> Tensor:
    shape = (4, CLIP["frames"], CLIP["side"], CLIP["side"])
    b, t, h, w = torch.meshgrid(*(torch.arange(n).double() for n in shape), indexing="ij")
    return (0.5 + 0.5 * torch.sin(0.3 * b + 0.7 * t + 0.11 * h + 0.05 * w))[:, :, None]
