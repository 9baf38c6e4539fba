"""JSON:API documents: resources, links, relationships, sparse fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from destination.sandbox.calls.call import Answer, Call


def resource(
    call: Call,
    kind: str,
    identifier: str,
    attributes: Mapping[str, Any] | None,
    relationships: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A resource object; ``relationships`` maps a name to its data, or to None for links alone."""
    link = address(call, kind, identifier)
    document: dict[str, Any] = {"type": kind, "id": identifier}
    if attributes is not None:
        document["attributes"] = sparse(attributes, call.asked(f"fields[{kind}]"))
    if relationships:
        document["relationships"] = {
            name: related(link, name, found) for name, found in relationships.items()
        }
    document["links"] = {"self": link}
    return document


def address(call: Call, kind: str, identifier: str) -> str:
    """The URL of a resource."""
    return f"{call.link_base}/api/{kind}s/{identifier}"


def related(link: str, name: str, found: Any) -> dict[str, Any]:
    """A relationship; a list or a single identifier as ``found`` is given as its data."""
    links = {"self": f"{link}/relationships/{name}", "related": f"{link}/{name}"}
    return {"links": links} if found is None else {"data": found, "links": links}


def reference(kind: str, identifier: str) -> dict[str, str]:
    """``{"type": ..., "id": ...}``."""
    return {"type": kind, "id": identifier}


def references(kind: str, identifiers: Sequence[str]) -> list[dict[str, str]]:
    """References to several resources of a kind."""
    return [reference(kind, each) for each in identifiers]


def single(
    call: Call,
    status: int,
    found: Mapping[str, Any],
    included: Sequence[Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """An answer with one resource."""
    document: dict[str, Any] = {"data": found}
    if included is not None:
        document["included"] = list(included)
    link = found.get("links", {}).get("self") or f"{call.link_base}{call.operation.path}"
    document["links"] = {"self": link}
    return Answer(status, document, headers or {})


def sparse(attributes: Mapping[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
    """Only the wanted attributes, ``location.city`` reaching into objects; all when none is named."""
    if not wanted:
        return dict(attributes)
    chosen: dict[str, Any] = {}
    for path in wanted:
        source: Any = attributes
        target = chosen
        *parents, last = path.split(".")
        for step in parents:
            source = source.get(step) if isinstance(source, Mapping) else None
            if isinstance(source, Mapping):
                target = target.setdefault(step, {})
        if isinstance(source, Mapping) and last in source:
            target[last] = source[last]
    return chosen
