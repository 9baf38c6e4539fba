"""Segment's tracking API: ``POST /v1/{identify,track,page,screen,group,alias,batch,import}``."""

from __future__ import annotations

from typing import Any

from destination.errors import Rejected
from destination.event import Event, encode
from destination.ingress.credentials import write_key
from destination.ingress.encoding import read_json, too_large
from destination.ingress.format import Inbound, Limits, Parsed, Refused
from destination.ingress.normalise import Arrival, Malformed, canonical, seen

SINGLE_CALLS = frozenset(("identify", "track", "page", "screen", "group", "alias"))
BATCH_CALLS = frozenset(("batch", "import"))
CALLS = SINGLE_CALLS | BATCH_CALLS

DEFAULT_LIMITS = Limits()


def parse(inbound: Inbound, call: str, *, limits: Limits = DEFAULT_LIMITS) -> Parsed:
    """The events of one request to ``/v1/{call}``; ``call`` is one of ``CALLS``.

    A bad event is refused by itself, with one of Segment's rejection codes, and never fails those
    beside it: clients drop the whole batch on a 4xx. An empty batch holds nothing and is fine.
    Raises ``Rejected`` for a request that cannot be used as a whole: 400 for what is not a JSON
    object (or has no ``batch`` array), 413 beyond ``limits``.
    """
    if len(inbound.body) > limits.body_bytes:
        raise too_large(limits.body_bytes)
    document = read_json(inbound.body)
    if type(document) is not dict:
        raise Rejected(
            400, "bad_request", f"the body must be a JSON object, not {_kind_of(document)}"
        )
    key = write_key(inbound.headers, inbound.query, document)
    if call in BATCH_CALLS:
        return _batch(document, inbound, limits, key)
    _check_size(inbound.body, limits)
    arrival = Arrival(inbound.received_at, sent_at=document.get("sentAt"), ip=inbound.ip)
    events, refused = explode([document], arrival, call=call)
    return Parsed(events, refused, key)


def explode(
    items: list[Any], arrival: Arrival, *, call: str = "", limits: Limits | None = None
) -> tuple[tuple[Event, ...], tuple[Refused, ...]]:
    """The canonical events of ``items`` and those refused; ``limits`` bounds each event's size."""
    events: list[Event] = []
    refused: list[Refused] = []
    for index, item in enumerate(items):
        try:
            if limits:
                _check_event_size(item, limits)
            events.append(canonical(item, arrival, call))
        except Malformed as problem:
            refused.append(Refused(index, problem.code, problem.message, _given_id(item)))
    return tuple(events), tuple(refused)


def _batch(document: dict[str, Any], inbound: Inbound, limits: Limits, key: str | None) -> Parsed:
    items = document.get("batch")
    if type(items) is not list:
        raise Rejected(
            400,
            "bad_request",
            'a batch needs its events in an array: {"batch": [{"type": "track", ...}]}',
        )
    if len(items) > limits.batch_events:
        raise Rejected(
            413,
            "too_many_events",
            f"the batch has {len(items):,} events, at most {limits.batch_events:,} are taken: "
            "send it in parts",
        )
    arrival = Arrival(
        inbound.received_at,
        sent_at=document.get("sentAt"),
        context=_object(document, "context"),
        integrations=_object(document, "integrations"),
        ip=inbound.ip,
    )
    # An event cannot be larger than its request, so most requests need no look at each event.
    bounded = limits if len(inbound.body) > limits.event_bytes else None
    events, refused = explode(items, arrival, limits=bounded)
    return Parsed(events, refused, key)


def _object(document: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = document.get(name)
    return value if type(value) is dict else None


def _check_size(body: bytes, limits: Limits) -> None:
    if len(body) > limits.event_bytes:
        raise too_large(limits.event_bytes)


def _check_event_size(item: Any, limits: Limits) -> None:
    size = len(encode(item))
    if size > limits.event_bytes:
        raise Malformed(
            "event_too_large",
            f"the event has {size:,} bytes, at most {limits.event_bytes:,} are taken: shorten it",
        )


def _given_id(item: Any) -> str:
    given = item.get("messageId") if type(item) is dict else None
    return given[:100] if type(given) is str else ""


def _kind_of(value: Any) -> str:
    return "an array" if type(value) is list else seen(value)
