"""Where a model computes, and how: the same for training, validation and scoring."""

import math
import os

import torch
from torch import nn

from retrace.errors import UserError
from retrace.plan.spec import Average, Protocol, VideoProtocol, VideoView, View


def prepare_device() -> torch.device:
    """Return the GPU if there is one, else the CPU, and ask torch for deterministic algorithms.

    A CPU computes in one thread: the number of threads changes the order of sums and so the bytes.
    Several runs at once keep the cores busy instead.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS is not deterministic
    # Some 3D poolings have no such algorithm: warn. (use_deterministic_algorithms imports the compiler.)
    torch.set_deterministic_debug_mode("warn")
    torch.utils.deterministic.fill_uninitialized_memory = False  # a debugging aid that costs time
    if torch.cuda.is_available():
        return torch.device("cuda")
    torch.set_num_threads(1)
    return torch.device("cpu")


def loader_workers(device: torch.device) -> int:
    """Return how many processes make clips: all cores but one for a GPU, none beside a model on the CPU."""
    return len(os.sched_getaffinity(0)) - 1 if device.type == "cuda" else 0


def norm_batch(protocol: Protocol) -> int:
    """Return how many clips go through a model in training together, under one batch normalisation."""
    own = protocol.norm_batch if isinstance(protocol, VideoProtocol) else None
    return own or protocol.batch


def videos_at_once(protocol: Protocol, view: View | VideoView) -> int:
    """Return of how many videos the clips of `view` fit where the clips of a training step do."""
    shown = view.clip.shown if isinstance(view, VideoView) else 1
    return max(1, norm_batch(protocol) // shown)


def answer(
    model: nn.Module, x_BVTCHW: torch.Tensor, protocol: Protocol, classes: int, average: Average = "logits"
) -> torch.Tensor:
    """Return float32 logits (B, classes): the mean over the views of each clip or video.

    With `softmax` the mean is of probabilities, and what is returned is its logarithm.
    """
    views = x_BVTCHW.shape[1]
    logits_NK = forward(model, x_BVTCHW.flatten(0, 1), protocol, classes)
    logits_BVK = logits_NK.unflatten(0, (-1, views))
    if average == "softmax":
        return logits_BVK.log_softmax(2).logsumexp(1) - math.log(views)
    return logits_BVK.mean(1)


def forward(model: nn.Module, x_BTCHW: torch.Tensor, protocol: Protocol, classes: int) -> torch.Tensor:
    """Return float32 logits (B, classes), under the protocol's autocast on a GPU.

    Raises UserError where the model answers in another shape.
    """
    device = x_BTCHW.device.type
    enabled = device == "cuda" and protocol.autocast == "bfloat16"
    with torch.autocast(device, dtype=torch.bfloat16, enabled=enabled):
        logits_BK = model(x_BTCHW)
    expected = (len(x_BTCHW), classes)
    if tuple(logits_BK.shape) != expected:
        raise UserError(f"the model answers logits of shape {tuple(logits_BK.shape)}, expected {expected}.")
    return logits_BK.float()
