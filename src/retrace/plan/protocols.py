"""Protocols that extend one another: a page states what they share once."""

from retrace.errors import UserError
from retrace.plan.expand import merge
from retrace.plan.load import Assumption, Document
from retrace.plan.strict import nearest


def extended(page: Document) -> tuple[Document, dict[str, tuple[Assumption, ...]]]:
    """Return `page` with every protocol spelt out, and for each the values its paper does not print.

    Raises UserError if a protocol extends one that does not exist, or itself.
    """
    protocols = page.data.get("protocols") or {}
    whole = {name: _spelt_out(page, protocols, name, ()) for name in protocols}
    sources = {name: _sources(page, protocols, name) for name in protocols}
    return page._replace(data={**page.data, "protocols": whole}), sources


def _spelt_out(page: Document, protocols: dict, name: str, below: tuple[str, ...]) -> dict:
    protocol = protocols[name]
    if not isinstance(protocol, dict) or "extends" not in protocol:
        return protocol
    base = protocol["extends"]
    if base not in protocols or base == name or base in below:
        where = ("protocols", name, "extends")
        hint = nearest(base, protocols.keys() - {name, *below})
        raise UserError(page.problem(where, f"there is no protocol '{base}' to extend; {hint}"))
    own = {key: value for key, value in protocol.items() if key != "extends"}
    return merge(_spelt_out(page, protocols, base, (*below, name)), own)


def _sources(page: Document, protocols: dict, name: str) -> tuple[Assumption, ...]:
    """The assumptions of `name` and of what it extends, less those that it replaces."""
    own = [a for a in page.assumptions if a.key[:2] == ("protocols", name)]
    protocol = protocols[name]
    if not isinstance(protocol, dict) or "extends" not in protocol:
        return tuple(own)
    replaced = {key[2:] for key in page.lines if key[:2] == ("protocols", name)}
    inherited = _sources(page, protocols, protocol["extends"])
    return (*(a for a in inherited if a.key[2:] not in replaced), *own)
