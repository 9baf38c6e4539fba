"""Shopify's webhooks: customers, orders, refunds and checkouts as events of Segment's spec.

A body is the resource; what happened to it stands in ``X-Shopify-Topic``. Topics without a rule
here become track events under the topic's own name with the resource as their properties, so that
a mapping can use them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from destination.errors import Rejected
from destination.ingress.credentials import write_key
from destination.ingress.format import Format, Inbound, Options, Parsed, Scheme, Verdict
from destination.ingress.messages import arrival_of, explode
from destination.ingress.signature import verify_signature
from destination.ingress.webhooks.messages import read_document
from destination.ingress.webhooks.shopify_resources import checkout, customer, order, refund

SCHEME = Scheme(header="x-shopify-hmac-sha256", encoding="base64")
"""HMAC-SHA256 over the raw body with the app's client secret, in base64."""

Rule = Callable[[dict[str, Any]], dict[str, Any]]
"""From a resource to the parts of its event."""

_ORDER_EVENTS = {
    "create": "Order Completed",
    "updated": "Order Updated",
    "edited": "Order Updated",
    "paid": "Order Paid",
    "fulfilled": "Order Fulfilled",
    "partially_fulfilled": "Order Partially Fulfilled",
    "cancelled": "Order Cancelled",
    "delete": "Order Deleted",
}


def _named(event: str, rule: Rule) -> Rule:
    return lambda resource: {"type": "track", "event": event, **rule(resource)}


RULES: dict[str, Rule] = {
    **{
        f"customers/{verb}": lambda resource: {"type": "identify", **customer(resource)}
        for verb in ("create", "update", "enable", "disable")
    },
    **{f"orders/{verb}": _named(event, order) for verb, event in _ORDER_EVENTS.items()},
    "refunds/create": _named("Order Refunded", refund),
    "checkouts/create": _named("Checkout Started", checkout),
    "checkouts/update": _named("Checkout Updated", checkout),
}


def parse(inbound: Inbound, options: Options) -> Parsed:
    """The event of one delivery. Raises ``Rejected`` 400 without topic or resource."""
    resource = read_document(inbound, options)
    key = write_key(inbound.headers, inbound.query, None)
    if resource is None:
        return Parsed((), (), key)
    topic = inbound.headers.get("x-shopify-topic", "").strip().lower()
    if not topic or type(resource) is not dict:
        raise Rejected(
            400,
            "bad_request",
            "a Shopify webhook needs a JSON object and the header X-Shopify-Topic",
        )
    rule = RULES.get(topic, _named(topic, lambda plain: {"properties": plain}))
    envelope, facts = _envelope(inbound, topic), rule(resource)
    message = {**envelope, **facts, "context": {**envelope["context"], **facts.get("context", {})}}
    return explode([message], arrival_of(inbound, from_client=False), inbound, options.limits, key)


def _envelope(inbound: Inbound, topic: str) -> dict[str, Any]:
    """What the headers say. One act in the shop makes deliveries of several topics under one event
    id, so the topic is part of the messageId; a repeated delivery has the same again.
    """
    headers = inbound.headers
    envelope: dict[str, Any] = {
        "timestamp": headers.get("x-shopify-triggered-at"),
        "channel": "shopify",
        "context": {"shopify": {"shop": headers.get("x-shopify-shop-domain"), "topic": topic}},
    }
    name = headers.get("x-shopify-event-id") or headers.get("x-shopify-webhook-id")
    if name:
        envelope["messageId"] = f"shopify-{topic}-{name}"
    return envelope


def verify(inbound: Inbound, secrets: Sequence[str], now: float, options: Options) -> Verdict:
    """Judge ``X-Shopify-Hmac-SHA256``."""
    return verify_signature(inbound, secrets, now, options, SCHEME)


FORMAT = Format(
    name="shopify",
    description="Shopify: customers, orders, refunds, checkouts",
    parse=parse,
    verify=verify,
)
