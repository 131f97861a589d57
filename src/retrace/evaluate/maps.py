"""Maps: what a trained model does with some videos, as numbers over the frames that it is shown.

A new kind of map is a type in `retrace.plan.maps` and a function here, in `_KINDS`. It gets the model and
one clip x_BTCHW (B = 1) as the model takes it, and returns maps over the T frames by name: R x C cells a
frame, (T, R, C), of any size; 1 x 1 where a number belongs to the frame as a whole. `retrace figure` draws
whatever it finds, stretched over the frames.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from retrace.data import loader
from retrace.data.feed import videos_of
from retrace.data.transforms import normalise
from retrace.errors import UserError
from retrace.evaluate.attention_maps import looks, regions, temporal_matrix
from retrace.evaluate.pictures import Pictures
from retrace.evaluate.rollout import heat
from retrace.evaluate.score import asked_weights, load_trained
from retrace.models.timesformer_vit import TimeSformerVit
from retrace.plan import maps as kinds
from retrace.plan.spec import Run
from retrace.plan.video import VideoSplit
from retrace.train.device import forward, prepare_device

ByName = dict[str, Tensor]


def draw_maps(run: Run, folder: Path, maps: kinds.Maps, out: Path) -> None:
    """Show the model trained in `folder` the videos of `maps`; write maps.npz (`Pictures`) into `out`.

    Raises UserError where weights, run and maps do not belong together, or videos are missing.
    """
    split = maps.view.domains[maps.domain]
    if split.classes != run.task.classes:
        raise UserError(f"{out}: the videos have other classes than those that the run was trained on.")
    device = prepare_device()
    model = load_trained(run, asked_weights(folder, maps.view)).to(device)
    videos = videos_of(split)
    shown = first_of_each_class(videos.labels_N, videos.ids, maps.videos, split)
    x_BVTCHW = loader.Test(videos, maps.view.clip, maps.view.order)[0, shown].x
    x_BTCHW = x_BVTCHW[:, x_BVTCHW.shape[1] // 2]
    answers, drawn = [], []
    for x_1TCHW in normalise(maps.view.clip, x_BTCHW.to(device)).split(1):
        with torch.inference_mode():
            logits_1K = forward(model, x_1TCHW, run.protocol, len(split.classes))
            drawn.append(_KINDS[type(maps.map)](model, maps.map, x_1TCHW))
        answers.append(logits_1K.argmax().item())
    Pictures(
        tuple(videos.ids[number] for number in shown),
        videos.labels_N[shown],
        np.array(answers),
        x_BTCHW.permute(0, 1, 3, 4, 2).contiguous().numpy(),
        {name: torch.stack([one[name] for one in drawn]).float().cpu().numpy() for name in drawn[0]},
    ).write(out / "maps.npz")


def first_of_each_class(labels_N: np.ndarray, ids: list[str], wanted: int, split: VideoSplit) -> np.ndarray:
    """Return the numbers of the first video by id of each of the first `wanted` classes that have one."""
    in_order = sorted(range(len(ids)), key=ids.__getitem__)
    first = [next((n for n in in_order if labels_N[n] == label), None) for label in range(len(split.classes))]
    found = [number for number in first if number is not None]
    if len(found) < wanted:
        raise UserError(
            f"{split.dataset}, {split.split}: {len(found)} classes have a video, maps ask for {wanted}."
        )
    return np.array(found[:wanted])


def _rollout(model: nn.Module, kind: kinds.Rollout, x_BTCHW: Tensor) -> ByName:
    if not isinstance(model, TimeSformerVit):
        raise UserError(f"a rollout needs a model of family timesformer-vit, not a {type(model).__name__}.")
    return {"attention rollout": heat(model, x_BTCHW)[0]}


def _attention(model: nn.Module, kind: kinds.Attention, x_BTCHW: Tensor) -> ByName:
    return looks(model, kind.stage, x_BTCHW, swapped=kind.swapped)


def _regions(model: nn.Module, kind: kinds.Regions, x_BTCHW: Tensor) -> ByName:
    return regions(model, kind.stage, x_BTCHW, shown=kind.shown)


def _temporal_matrix(model: nn.Module, kind: kinds.TemporalMatrix, x_BTCHW: Tensor) -> ByName:
    return {"temporal matrix": temporal_matrix(model, kind.stage, x_BTCHW)}


_KINDS: dict[type, Callable[[nn.Module, Any, Tensor], ByName]] = {
    kinds.Rollout: _rollout,
    kinds.Attention: _attention,
    kinds.Regions: _regions,
    kinds.TemporalMatrix: _temporal_matrix,
}
