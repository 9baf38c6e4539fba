"""Several messages in one request, each accepted or refused by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from destination.errors import Rejected
from destination.event import Event, encode
from destination.ingress.encoding import may_be_deep, read_json
from destination.ingress.format import Inbound, Limits, Parsed, Refused
from destination.ingress.normalise import Arrival, Malformed, canonical
from destination.ingress.sent import Sent, Taken, regular


def arrival_of(inbound: Inbound, *, from_client: bool, **defaults: Any) -> Arrival:
    """What a request says about all of its events; ``defaults`` are further fields of ``Arrival``.

    The caller's address is a person's only when the caller is the client itself.
    """
    return Arrival(
        inbound.received_at,
        from_client=from_client,
        ip=inbound.ip if from_client else "",
        retry_key=inbound.headers.get("idempotency-key", ""),
        **defaults,
    )


def check_count(items: Sequence[Any], limits: Limits) -> None:
    """Raise ``Rejected`` 413 for more events than one request may hold."""
    if len(items) > limits.batch_events:
        raise Rejected(
            413,
            "too_many_events",
            f"the request has {len(items):,} events, at most {limits.batch_events:,} are taken: "
            "send them in parts",
        )


def explode(
    items: Sequence[Any],
    arrival: Arrival,
    inbound: Inbound,
    limits: Limits,
    key: str | None,
    *,
    call: str = "",
    prepare: Callable[[Any], Any] | None = None,
    check: Callable[[Event], None] | None = None,
) -> Parsed:
    """The canonical events of ``items``, in order, and a reason for each that is refused.

    ``prepare`` makes a message of each item first, ``check`` judges its event; both may raise
    ``Malformed``.
    """
    # An event cannot be larger than its request, so most requests need no look at each event.
    bounded = len(inbound.body) > limits.event_bytes
    events: list[Event] = []
    refused: list[Refused] = []
    for index, item in enumerate(items):
        try:
            message = prepare(item) if prepare else item
            if bounded:
                _check_size(message, limits)
            event = canonical(message, arrival, call)
            if check:
                check(event)
            events.append(event)
        except Malformed as problem:
            refused.append(_refused(index, problem, item))
    return Parsed(tuple(events), tuple(refused), key)


def keep(
    texts: Iterable[bytes], arrival: Arrival, sent: Sent, limits: Limits, key: str | None
) -> Parsed:
    """As ``explode``, of events as text: the regular ones are kept as they were sent.

    Raises ``Rejected`` 400 for a text that is not JSON in all its parts.
    """
    events: list[Taken] = []
    refused: list[Refused] = []
    for index, text in enumerate(texts):
        fine = len(text) <= limits.event_bytes and not may_be_deep(text)
        event = regular(text, sent) if fine else None
        if event is not None:
            events.append(event)
            continue
        item = read_json(text)
        try:
            if len(text) > limits.event_bytes:
                _check_size(item, limits)
            events.append(canonical(item, arrival, sent.call))
        except Malformed as problem:
            refused.append(_refused(index, problem, item))
    return Parsed(tuple(events), tuple(refused), key)


def _refused(index: int, problem: Malformed, item: Any) -> Refused:
    return Refused(index, problem.code, problem.message, _given_id(item))


def _check_size(item: Any, limits: Limits) -> None:
    size = len(encode(item))
    if size > limits.event_bytes:
        raise Malformed(
            "event_too_large",
            f"the event has {size:,} bytes, at most {limits.event_bytes:,} are taken: shorten it",
        )


def _given_id(item: Any) -> str:
    given = item.get("messageId") if type(item) is dict else None
    return given[:100] if type(given) is str else ""
