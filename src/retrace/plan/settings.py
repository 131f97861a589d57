"""Settings in words: what a text on a page says with the values of protocols and views filled in."""

import re
from collections.abc import Mapping
from typing import Any

from retrace.plan.cell import SettingCell
from retrace.plan.page import Paper
from retrace.plan.strict import nearest

_VALUE = re.compile(r"\{([^{}]*)\}")


def spelt_out(cell: SettingCell, page: Paper) -> str:
    """Return the text of `cell`, each `{path}` replaced by that value of `page` in the words of the cell.

    Raises ValueError for a path that leads nowhere, or a protocol that is none.
    """
    plans = {**page.protocols, **page.views}
    dumped = {name: plan.model_dump(mode="json") for name, plan in plans.items()}
    if cell.protocol is not None:
        if cell.protocol not in page.protocols:
            hint = nearest(cell.protocol, page.protocols)
            raise ValueError(f"unknown protocol '{cell.protocol}'; {hint}")
        dumped["protocol"] = dumped[cell.protocol]
    if cell.model is not None:
        dumped["model"] = cell.model.model_dump(mode="json")
    return _VALUE.sub(lambda found: _in_words(_value(dumped, found[1]), cell.words), cell.says)


def _value(plans: Mapping[str, Any], path: str) -> Any:
    """Return what the steps of `path` lead to; that of a parent is the parent's protocol."""
    value: Any = plans
    for step in path.split("."):
        known = {str(index): entry for index, entry in enumerate(value)} if isinstance(value, list) else value
        if not isinstance(known, Mapping) or step not in known:
            hint = nearest(step, known) if isinstance(known, Mapping) else "it holds no more"
            raise ValueError(f"'{path}' leads nowhere at '{step}'; {hint}")
        value = known[step]
        if step == "parent" and value is not None:
            value = plans[value["protocol"]]
    return value


def _in_words(value: Any, words: Mapping[str, str]) -> str:
    if isinstance(value, list):
        return ", ".join(_in_words(entry, words) for entry in value)
    plain = "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return words.get(plain, plain)
