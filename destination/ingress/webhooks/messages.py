"""Reading webhooks whose bodies are Segment-shaped messages: one, or an array of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from destination.errors import Rejected
from destination.ingress.credentials import write_key
from destination.ingress.encoding import read_json, too_large
from destination.ingress.format import Inbound, Options, Parsed
from destination.ingress.messages import arrival_of, check_count, explode
from destination.ingress.normalise import seen


def read_document(inbound: Inbound, options: Options) -> Any:
    """The body as JSON, None for the empty body of a probe. Raises ``Rejected`` 400 or 413."""
    if len(inbound.body) > options.limits.body_bytes:
        raise too_large(options.limits.body_bytes)
    return read_json(inbound.body) if inbound.body.strip() else None


def read_messages(
    inbound: Inbound, options: Options, prepare: Callable[[Any], Any] = lambda item: item
) -> Parsed:
    """The events of a body that is one message or an array of messages.

    ``prepare`` takes each off its wrapping first. Their times and ``integrations`` are taken as
    they are: the relay that sends them has applied its own rules already.
    """
    document = read_document(inbound, options)
    if document is None:
        return Parsed((), (), write_key(inbound.headers, inbound.query, None))
    if type(document) not in (dict, list):
        raise Rejected(
            400, "bad_request", f"the body must be an event or an array, not {seen(document)}"
        )
    items = document if type(document) is list else [document]
    check_count(items, options.limits)
    return explode(
        items,
        arrival_of(inbound, from_client=False),
        inbound,
        options.limits,
        write_key(inbound.headers, inbound.query, document),
        prepare=lambda item: with_type(prepare(item)),
    )


def with_type(item: Any) -> Any:
    """A message with its ``type``: one that has an event's name is a track, one with traits an
    identify. Users choose which parts of an event their webhook sends, and may leave it out.
    """
    if type(item) is dict and item.get("type") is None:
        if "event" in item:
            return {**item, "type": "track"}
        if "traits" in item:
            return {**item, "type": "identify"}
    return item


def as_properties(data: Any) -> dict[str, Any] | None:
    """What any JSON value is as an event's properties, which must be an object."""
    return data if data is None or type(data) is dict else {"data": data}
