"""Starting from torchvision's ImageNet weights, which torchvision fetches and keeps in its own cache."""

from urllib.error import URLError

from torch import nn

from retrace.errors import UserError
from retrace.models.attention_cnn import AttentionCnn
from retrace.models.imagenet import load_imagenet
from retrace.models.slowfast import SinglePathway
from retrace.models.video_cnn import VideoCnn
from retrace.plan.model import Model

NAMES = {"inceptionv1": "googlenet"}
"""What torchvision calls a backbone, where it differs."""


def start_from_imagenet(model: nn.Module, kind: Model) -> None:
    """Copy ImageNet weights (version 1, as the papers had) into the backbone of `model`.

    Raises UserError where the model has none, or where the weights cannot be had.
    """
    if not isinstance(model, VideoCnn | AttentionCnn | SinglePathway):
        raise UserError(f"weights: imagenet: there are none for the family '{kind.family}'")
    from torchvision.models import get_model_weights  # slow to import, and few runs need it

    name = NAMES.get(kind.backbone, kind.backbone)
    weights = get_model_weights(name)["IMAGENET1K_V1"]
    try:
        state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (URLError, OSError, RuntimeError) as error:
        raise not_to_be_had(name, weights.url, error) from error
    load_imagenet(model.trunk, state, divided=isinstance(model, SinglePathway))


def not_to_be_had(name: str, url: str, error: Exception) -> UserError:
    """Return what to say where the ImageNet weights of `name`, which lie at `url`, cannot be fetched."""
    return UserError(
        f"the ImageNet weights of {name} cannot be had ({error}). On a machine without internet put "
        f"{url.rpartition('/')[2]} into the folder hub/checkpoints of torch's cache ($TORCH_HOME)."
    )
