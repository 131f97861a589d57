"""Nested mappings laid over one another, and whether one agrees with a pattern."""

from collections.abc import Mapping
from typing import Any

from retrace.plan.cell import Fragment


def merge(*fragments: Fragment) -> Fragment:
    """Return the union of nested mappings; where two disagree, the later one stands.

    A null takes away what an earlier one said, and another `kind` or `family` all that belonged to the one
    before.
    """
    whole: Fragment = {}
    for fragment in fragments:
        for key, value in fragment.items():
            if value is None and key in whole:
                del whole[key]
            elif (
                isinstance(value, dict) and isinstance(whole.get(key), dict) and _same_kind(whole[key], value)
            ):
                whole[key] = merge(whole[key], value)
            else:
                whole[key] = value
    return whole


def _same_kind(before: Fragment, after: Fragment) -> bool:
    return all(before.get(key, after[key]) == after[key] for key in ("kind", "family") if key in after)


def filled(value: Any, keys: Mapping[str, str]) -> Any:
    """Return `value` with the name of each axis in braces, such as ``{x}``, replaced by the key there."""
    if isinstance(value, dict):
        return {name: filled(inner, keys) for name, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, keys) for inner in value]
    if isinstance(value, str):
        for axis, key in keys.items():
            value = value.replace(f"{{{axis}}}", key)
    return value


def agrees(pattern: Any, value: Any) -> bool:
    """Tell whether `value` has all that `pattern` asks; a list in the pattern means any of its entries."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(agrees(p, value.get(key)) for key, p in pattern.items())
    if isinstance(pattern, list | tuple):
        return any(agrees(p, value) for p in pattern)
    return bool(pattern == value)
