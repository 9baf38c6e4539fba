"""What a change to mappings would change in what is sent: a plan before it is applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal

from destination.action import Destination
from destination.event import decode, encode
from destination.pipeline import Route
from destination.preview.examples import same
from destination.preview.preview import Preview, preview, request_json

Sent = dict[str, Any]
"""A request as ``request_json`` gives it, or ``{"refused": code, "field": field}`` in its place."""


@dataclass(frozen=True, slots=True)
class Change:
    """One request that is ``added``, ``changed`` or ``removed`` for an event.

    ``mapping`` is the mapping that sends it, the one before for what is removed. None in ``before``
    and ``after`` means that nothing is sent.
    """

    kind: Literal["added", "changed", "removed"]
    mapping: str
    before: Sent | None
    after: Sent | None


@dataclass(frozen=True, slots=True)
class Side:
    """The enabled mappings of one side of a comparison, ready to use."""

    routes: Sequence[Route]

    def deliveries(
        self, body: dict[str, Any], destination: Destination, now: float, revision: str
    ) -> dict[str, list[Sent]]:
        """What each mapping that wants the event sends, by the mapping's name."""
        found = (
            preview(body, route, destination, now=now, revision=revision)
            for route in self.routes
            if route.mapping.enabled
        )
        return {each.mapping: _sent(each) for each in found if each.matched}


def compare(
    body: dict[str, Any],
    before: Side,
    after: Side,
    destination: Destination,
    *,
    now: float,
    revision: str,
) -> list[Change]:
    """What is sent otherwise for an event ``after`` than ``before``.

    Mappings are compared by name; one that got another name and sends the same is no change. Ids
    that the rehearsed answers make up are left out of the comparison: they follow from requests.
    """
    old = before.deliveries(body, destination, now, revision)
    new = after.deliveries(body, destination, now, revision)
    _drop_renamed(old, new)
    changes: list[Change] = []
    for name in {**old, **new}:
        for was, is_ in zip_longest(old.get(name, []), new.get(name, [])):
            if was is None:
                changes.append(Change("added", name, None, is_))
            elif is_ is None:
                changes.append(Change("removed", name, was, None))
            elif not same(was, is_):
                changes.append(Change("changed", name, was, is_))
    return changes


def _drop_renamed(old: dict[str, list[Sent]], new: dict[str, list[Sent]]) -> None:
    """Forget deliveries that are equal on both sides under names that only one side knows."""
    for name in [name for name in old if name not in new]:
        twin = next((each for each in new if each not in old and same(new[each], old[name])), None)
        if twin is not None:
            del old[name], new[twin]


def _sent(found: Preview) -> list[Sent]:
    if found.refused:
        return [{"refused": found.refused.code, "field": found.refused.field}]
    listed = [request_json(request) for request in found.requests]
    text = encode(listed)
    for number, made_up in enumerate(dict.fromkeys(found.made_up), 1):
        text = text.replace(made_up.encode(), b"<id %d>" % number)
    plain: list[Sent] = decode(text)
    return plain
