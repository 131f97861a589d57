"""Which parameters learn faster, slower or without decay: the groups of TSM's and PySlowFast's code."""

from torch import nn

from retrace.errors import UserError
from retrace.plan.spec import GroupedSgd

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.LayerNorm, nn.GroupNorm)


def parameter_groups(model: nn.Module, sgd: GroupedSgd) -> list[dict]:
    """Return torch's groups of the parameters of `model`, each of which is in exactly one.

    Scale and shift of a normalisation are one kind, the biases of other layers another, and all else is a
    weight, parameters that belong to no layer (temporal matrices, codes of frames) among them. What is
    below `fc` is the classifier.
    Raises UserError if the model has no `fc`, and the classifier shall have a rate of its own.
    """
    if sgd.classifier_lr != 1 and not isinstance(getattr(model, "fc", None), nn.Linear):
        raise UserError(f"classifier_lr: {type(model).__name__} has no classifier with the name 'fc'")
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            rate = sgd.classifier_lr if path == "fc" else 1.0
            decays = True
            if isinstance(module, NORMS):
                decays = sgd.norm_decay
            elif name == "bias":
                rate, decays = rate * sgd.bias_lr, sgd.bias_decay
            decay = sgd.weight_decay if decays else 0.0
            groups.setdefault((sgd.lr * rate, decay), []).append(parameter)
    return [{"params": own, "lr": lr, "weight_decay": decay} for (lr, decay), own in groups.items()]
