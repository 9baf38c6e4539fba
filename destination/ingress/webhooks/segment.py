"""Segment's webhooks: Webhooks (Actions), Extensible Webhook, classic, Functions, Engage.

A body is an event, an array of events, or an array of ``{"json": event}`` (Extensible, batched).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from destination.ingress.format import Format, Inbound, Options, Parsed, Scheme, Verdict
from destination.ingress.signature import verify_signature
from destination.ingress.webhooks.messages import read_messages

SCHEME = Scheme(header="x-signature", algorithm="sha1", payload="segment_first")
"""HMAC-SHA1 in hexadecimal; what it covers depends on the delivery, see ``spans``."""


def parse(inbound: Inbound, options: Options) -> Parsed:
    """The events of one delivery, without the members that ``options.extras`` names."""
    return read_messages(inbound, options, lambda item: _unwrapped(item, options.extras))


def verify(inbound: Inbound, secrets: Sequence[str], now: float, options: Options) -> Verdict:
    """Judge ``X-Signature``. It has no time, so a replay is caught by its messageIds alone."""
    return verify_signature(inbound, secrets, now, options, SCHEME)


def statuses(parsed: Parsed) -> list[dict[str, Any]]:
    """One status per event, as a Segment Function's ``onBatch`` may return it: Segment then sends
    only the failed ones again and shows each event's own message.
    """
    refused = {bad.index: bad for bad in parsed.refused}
    return [
        {"status": 400, "errormessage": refused[place].message}
        if place in refused
        else {"status": 200}
        for place in range(len(parsed.events) + len(parsed.refused))
    ]


def _unwrapped(item: Any, extras: Sequence[str]) -> Any:
    if type(item) is not dict:
        return item
    inner = item.get("json")
    if type(inner) is dict and len(item) == 1:
        item = inner
    if extras:
        return {name: value for name, value in item.items() if name not in extras}
    return item


FORMAT = Format(
    name="segment",
    description="Segment: Webhooks (Actions), Extensible Webhook, classic webhooks, Functions",
    parse=parse,
    verify=verify,
    methods=("POST", "PUT", "PATCH"),
)
