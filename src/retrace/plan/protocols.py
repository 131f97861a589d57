"""Protocols that extend one another: a page states what they share once."""

from typing import Any

from retrace.errors import UserError
from retrace.plan.expand import merge
from retrace.plan.load import SOURCED, Assumption, Document, Key
from retrace.plan.page import Paper
from retrace.plan.strict import nearest


def extended(page: Document) -> tuple[Document, dict[str, tuple[Assumption, ...]]]:
    """Return `page` with every protocol spelt out, and for each the values its paper does not print.

    What a protocol takes from another one has that one's lines. Raises UserError if a protocol extends
    one that does not exist, or itself. Whatever is no mapping is left for the types to complain about.
    """
    protocols = page.data.get("protocols")
    if not isinstance(protocols, dict):
        return page, {}
    chains = {name: _chain(page, protocols, name) for name in protocols}
    whole = {name: _spelt_out([protocols[link] for link in chain]) for name, chain in chains.items()}
    lines = dict(page.lines)
    for name, chain in chains.items():
        lines |= {("protocols", name, *key): line for key, line in _lines(page, chain).items()}
    sources = {name: _sources(page, chain) for name, chain in chains.items()}
    return page._replace(data={**page.data, "protocols": whole}, lines=lines), sources


def _chain(page: Document, protocols: dict[str, Any], name: str) -> list[str]:
    """Return `name`, what it extends, what that extends, and so on."""
    chain = [name]
    while isinstance(protocol := protocols[chain[-1]], dict) and "extends" in protocol:
        base, where = protocol["extends"], ("protocols", chain[-1], "extends")
        if base in chain:
            raise UserError(page.problem(where, f"{' extends '.join([*chain, base])}: that never ends"))
        if not isinstance(base, str) or base not in protocols:
            hint = nearest(base, protocols.keys() - set(chain))
            raise UserError(page.problem(where, f"there is no protocol '{base}' to extend; {hint}"))
        chain.append(base)
    return chain


def _spelt_out(links: list[Any]) -> Any:
    if not all(isinstance(link, dict) for link in links):
        return links[0]
    whole = merge(*reversed(links))
    return {key: value for key, value in whole.items() if key != "extends"}


def _lines(page: Document, chain: list[str]) -> dict[Key, int]:
    """Return the line of every key of a chain: where its value stands, or where its mapping first opens."""
    found: dict[Key, int] = {}
    for link in chain:
        own = _below(page, link)
        mappings = {key[:-1] for key in own if key and key[-1] not in SOURCED}
        found |= {key: line for key, line in own.items() if key in mappings or key not in found}
    return found


def _below(page: Document, protocol: str) -> dict[Key, int]:
    """Return the lines of all that `protocol` itself says, by key below it."""
    return {key[2:]: line for key, line in page.lines.items() if key[:2] == ("protocols", protocol)}


def _sources(page: Document, chain: list[str]) -> tuple[Assumption, ...]:
    """The assumptions of a chain, the widest protocol's first, less those that a narrower one replaces."""
    found: list[Assumption] = []
    for link in reversed(chain):
        replaced = _below(page, link)
        found = [a for a in found if a.key[2:] not in replaced]
        found += [a for a in page.assumptions if a.key[:2] == ("protocols", link)]
    return tuple(found)


def check_parents(paper: Paper, page: Document) -> None:
    """Raise UserError for a protocol whose parent is none, or which descends from itself."""
    for name, plan in paper.protocols.items():
        seen = [name]
        while plan.parent is not None:
            where = ("protocols", seen[-1], "parent")
            if plan.parent not in paper.protocols:
                hint = nearest(plan.parent, paper.protocols)
                raise UserError(page.problem(where, f"unknown protocol '{plan.parent}'; {hint}"))
            if plan.parent in seen:
                raise UserError(page.problem(where, f"goes round: {' from '.join([*seen, plan.parent])}"))
            seen.append(plan.parent)
            plan = paper.protocols[plan.parent]
