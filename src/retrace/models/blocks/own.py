"""Blocks of one's own: classes that a page names by their module (docs/add-a-block.md)."""

import importlib
from collections.abc import Mapping

from torch import nn

from retrace.errors import UserError
from retrace.models.insert import Site
from retrace.plan.strict import nearest


def own(path: str, options: Mapping[str, bool | int | float | str], site: Site) -> nn.Module:
    """Return the block that ``module:Class`` in `path` makes of the site's channels and frames and `options`.

    Raises UserError if there is no such module or class, if the class does not take the options, or if what
    it makes is no module of torch.
    """
    module_name, _, class_name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UserError(f"block '{path}': {module_name} cannot be imported: {error}") from error
    if not hasattr(module, class_name):
        classes = [name for name, value in vars(module).items() if isinstance(value, type)]
        raise UserError(f"block '{path}': there is no class '{class_name}'; {nearest(class_name, classes)}")
    try:
        block = getattr(module, class_name)(site.channels, site.frames, **options)
    except TypeError as error:
        raise UserError(f"block '{path}' is made of channels, frames and its options: {error}") from error
    if not isinstance(block, nn.Module):
        raise UserError(f"block '{path}': expected a torch.nn.Module, got {type(block).__name__}")
    return block
