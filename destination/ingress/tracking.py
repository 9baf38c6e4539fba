"""Segment's tracking API: ``POST /v1/{identify,track,page,screen,group,alias,batch,import}``."""

from __future__ import annotations

from typing import Any

from destination.errors import Rejected
from destination.ingress.credentials import write_key
from destination.ingress.encoding import read_json, too_large
from destination.ingress.format import Inbound, Limits, Parsed
from destination.ingress.messages import arrival_of, check_count, explode
from destination.ingress.normalise import seen

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
