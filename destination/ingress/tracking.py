"""Segment's tracking API: ``POST /v1/{identify,track,page,screen,group,alias,batch,import}``."""

from __future__ import annotations

from typing import Any

import msgspec

from destination.errors import Rejected
from destination.ingress.credentials import write_key
from destination.ingress.encoding import read_json, too_large
from destination.ingress.format import Inbound, Limits, Parsed
from destination.ingress.messages import arrival_of, check_count, explode, keep
from destination.ingress.normalise import SINGLE_CALLS, seen
from destination.ingress.sent import Sent, milliseconds, regular

BATCH_CALLS = frozenset(("batch", "import"))
CALLS = SINGLE_CALLS | BATCH_CALLS

DEFAULT_LIMITS = Limits()


class _Batch(msgspec.Struct):
    """A batch whose events are not read."""

    batch: list[msgspec.Raw]
    sentAt: str | None = None  # noqa: N815 the request's own names
    context: Any = None
    integrations: Any = None
    writeKey: Any = None  # noqa: N815


_batch_of_texts = msgspec.json.Decoder(_Batch).decode


def parse(inbound: Inbound, call: str, *, limits: Limits = DEFAULT_LIMITS) -> Parsed:
    """The events of one request to ``/v1/{call}``; ``call`` is one of ``CALLS``.

    A bad event is refused by itself, with one of Segment's rejection codes, and never fails those
    beside it: clients drop the whole batch on a 4xx. An empty batch holds nothing and is fine.
    Raises ``Rejected`` for a request that cannot be used as a whole: 400 for what is not a JSON
    object (or has no ``batch`` array), 413 beyond ``limits``.
    """
    if len(inbound.body) > limits.body_bytes:
        raise too_large(limits.body_bytes)
    kept = _kept_batch(inbound, limits) if call in BATCH_CALLS else None
    return kept or _read(inbound, call, limits)


def _kept_batch(inbound: Inbound, limits: Limits) -> Parsed | None:
    """A batch that says nothing about its events but when they were sent."""
    try:
        document = _batch_of_texts(inbound.body)
    except (ValueError, RecursionError):  # it is refused, or read in full
        return None
    if document.context or document.integrations or not _is_utf8(inbound.body):
        return None
    check_count(document.batch, limits)
    key = write_key(inbound.headers, inbound.query, {"writeKey": document.writeKey})
    arrival = arrival_of(inbound, from_client=True, sent_at=document.sentAt)
    sent = Sent(milliseconds(inbound.received_at), sent_at=document.sentAt)
    return keep(map(bytes, document.batch), arrival, sent, limits, key)


def _is_utf8(body: bytes) -> bool:
    """Whether it is UTF-8, which is not seen where values are passed over."""
    try:
        return body.isascii() or body.decode() is not None
    except UnicodeDecodeError:
        return False


def _read(inbound: Inbound, call: str, limits: Limits) -> Parsed:
    document = read_json(inbound.body)
    if type(document) is not dict:
        raise Rejected(
            400, "bad_request", f"the body must be a JSON object, not {_kind_of(document)}"
        )
    key = write_key(inbound.headers, inbound.query, document)
    if call in BATCH_CALLS:
        return _batch(document, inbound, limits, key)
    _check_size(inbound.body, limits)
    event = regular(inbound.body, Sent(milliseconds(inbound.received_at), call))
    if event:
        return Parsed((event,), (), key)
    arrival = arrival_of(inbound, from_client=True, sent_at=document.get("sentAt"))
    return explode([document], arrival, inbound, limits, key, call=call)


def _batch(document: dict[str, Any], inbound: Inbound, limits: Limits, key: str | None) -> Parsed:
    items = document.get("batch")
    if type(items) is not list:
        raise Rejected(
            400,
            "bad_request",
            'a batch needs its events in an array: {"batch": [{"type": "track", ...}]}',
        )
    check_count(items, limits)
    arrival = arrival_of(
        inbound,
        from_client=True,
        sent_at=document.get("sentAt"),
        context=_object(document, "context"),
        integrations=_object(document, "integrations"),
    )
    return explode(items, arrival, inbound, limits, key)


def _object(document: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = document.get(name)
    return value if type(value) is dict else None


def _check_size(body: bytes, limits: Limits) -> None:
    if len(body) > limits.event_bytes:
        raise too_large(limits.event_bytes)


def _kind_of(value: Any) -> str:
    return "an array" if type(value) is list else seen(value)
