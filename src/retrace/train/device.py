"""Where a model computes, and how: the same for training, validation and scoring."""

import math
import os
import sys

import torch
from torch import nn

from retrace.errors import UserError
from retrace.plan.spec import Average, Protocol, VideoProtocol, VideoView, View
from retrace.train.memory import halved, if_it_fits


def prepare_device(number: int = 0, wanted: int = 1) -> torch.device:
    """Return GPU `number` if there are any, else the CPU, and ask torch for deterministic algorithms.

    A CPU computes in one thread: the number of threads changes the order of sums and so the bytes.
    Several runs at once keep the cores busy instead.
    Raises UserError if there are GPUs, but fewer than are `wanted` on this machine.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS is not deterministic
    # Some 3D poolings have no such algorithm: warn. (use_deterministic_algorithms imports the compiler.)
    torch.set_deterministic_debug_mode("warn")
    torch.utils.deterministic.fill_uninitialized_memory = False  # a debugging aid that costs time
    if torch.cuda.is_available():
        if torch.cuda.device_count() < wanted:
            raise UserError(
                f"{wanted} ranks were started on this machine, which has {torch.cuda.device_count()} GPUs: "
                "start one for each (torchrun --nproc-per-node)."
            )
        device = torch.device("cuda", number)
        torch.cuda.set_device(device)
        return device
    torch.set_num_threads(1)
    return torch.device("cpu")


def loader_workers(device: torch.device, on_node: int = 1) -> int:
    """Return how many processes make clips: none beside a model on the CPU; for a GPU all cores but one.

    Where `on_node` ranks share the cores of a machine, each has its part of them.
    """
    return max(len(os.sched_getaffinity(0)) // on_node - 1, 0) if device.type == "cuda" else 0


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


class Answers:
    """What a model in evaluation answers: `answer`, in smaller parts once memory has run out.

    As clips do not depend on each other in evaluation, parts change nothing. None is larger than `most`.
    """

    def __init__(
        self,
        model: nn.Module,
        protocol: Protocol,
        classes: int,
        average: Average = "logits",
        most: int | None = None,
    ) -> None:
        self._how = {"protocol": protocol, "classes": classes, "average": average}
        self._model = model
        self._most = most

    def __call__(self, x_BVTCHW: torch.Tensor) -> torch.Tensor:
        """Return float32 logits (B, classes). Raises UserError where a single clip or video does not fit."""
        while True:
            at_once = self._most or len(x_BVTCHW)
            found = if_it_fits(self._parts, x_BVTCHW, at_once)
            if found is not None:
                return found
            self._most = halved(min(at_once, len(x_BVTCHW)), name_of(x_BVTCHW.device))
            print(f"memory ran out: from now on {self._most} at once", file=sys.stderr)

    def _parts(self, x_BVTCHW: torch.Tensor, at_once: int) -> torch.Tensor:
        return torch.cat([answer(self._model, x, **self._how) for x in x_BVTCHW.split(at_once)])


def name_of(device: torch.device) -> str:
    """Return what a GPU is called, or ``this machine``."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "this machine"


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
