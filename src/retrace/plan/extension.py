"""Protocols and views that extend one another: a page states what they share once."""

from collections.abc import Mapping
from typing import Any

from retrace.errors import UserError
from retrace.plan.load import SOURCED, Assumption, Document, Key
from retrace.plan.merge import merge
from retrace.plan.page import Paper
from retrace.plan.strict import nearest

SECTIONS = {"protocols": "protocol", "views": "view"}

Sources = Mapping[Key, tuple[Assumption, ...]]
"""By section and name: the values of a protocol or view that its paper does not print."""


def extended(page: Document) -> tuple[Document, Sources]:
    """Return `page` with every protocol and view spelt out, and what they hold that is not printed.

    What one takes from another one has that one's lines. Raises UserError if one extends what does not
    exist, or itself. Whatever is no mapping is left for the types to complain about.
    """
    sources: dict[Key, tuple[Assumption, ...]] = {}
    for section in SECTIONS:
        plans = page.data.get(section)
        if not isinstance(plans, dict):
            continue
        chains = {name: _chain(page, section, plans, name) for name in plans}
        whole = {name: _spelt_out([plans[link] for link in chain]) for name, chain in chains.items()}
        own, lines = _own_lines(page, section), dict(page.lines)
        for name, chain in chains.items():
            lines |= {(section, name, *key): line for key, line in _lines(own, chain).items()}
            sources[section, name] = _sources(page, section, own, chain)
        page = page._replace(data={**page.data, section: whole}, lines=lines)
    return page, sources


def _chain(page: Document, section: str, plans: dict[str, Any], name: str) -> list[str]:
    """Return `name`, what it extends, what that extends, and so on."""
    chain = [name]
    while isinstance(plan := plans[chain[-1]], dict) and "extends" in plan:
        base, where = plan["extends"], (section, chain[-1], "extends")
        if base in chain:
            raise UserError(page.problem(where, f"{' extends '.join([*chain, base])}: that never ends"))
        if not isinstance(base, str) or base not in plans:
            what, hint = SECTIONS[section], nearest(base, plans.keys() - set(chain))
            raise UserError(page.problem(where, f"there is no {what} '{base}' to extend; {hint}"))
        chain.append(base)
    return chain


def _spelt_out(links: list[Any]) -> Any:
    if not all(isinstance(link, dict) for link in links):
        return links[0]
    whole = merge(*reversed(links))
    return {key: value for key, value in whole.items() if key != "extends"}


def _own_lines(page: Document, section: str) -> dict[str, dict[Key, int]]:
    """Return for each protocol or view the lines of all that it says itself, by key below it."""
    found: dict[str, dict[Key, int]] = {name: {} for name in page.data[section]}
    for key, line in page.lines.items():
        if len(key) > 1 and key[0] == section:
            found[str(key[1])][key[2:]] = line
    return found


def _lines(own: Mapping[str, dict[Key, int]], chain: list[str]) -> dict[Key, int]:
    """Return the line of every key of a chain: where its value stands, or where its mapping first opens."""
    found: dict[Key, int] = {}
    for link in chain:
        mappings = {key[:-1] for key in own[link] if key and key[-1] not in SOURCED}
        found |= {key: line for key, line in own[link].items() if key in mappings or key not in found}
    return found


def _sources(
    page: Document, section: str, own: Mapping[str, dict[Key, int]], chain: list[str]
) -> tuple[Assumption, ...]:
    """The assumptions of a chain, those of the widest first, less those that a narrower one replaces."""
    found: list[Assumption] = []
    for link in reversed(chain):
        found = [a for a in found if a.key[2:] not in own[link]]
        found += [a for a in page.assumptions if a.key[:2] == (section, link)]
    return tuple(found)


def check_parents(paper: Paper, page: Document) -> None:
    """Raise UserError for a protocol whose parent is none, or which descends from itself."""
    for name, plan in paper.protocols.items():
        seen = [name]
        while plan.parent is not None:
            where, parent = ("protocols", seen[-1], "parent"), plan.parent.protocol
            if parent not in paper.protocols:
                hint = nearest(parent, paper.protocols)
                raise UserError(page.problem(where, f"unknown protocol '{parent}'; {hint}"))
            if parent in seen:
                raise UserError(page.problem(where, f"goes round: {' from '.join([*seen, parent])}"))
            seen.append(parent)
            plan = paper.protocols[parent]
