"""What the posted messages must come to at Klaviyo, worked out without the product's code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.chaos.traffic import METRICS, Message

Json = dict[str, Any]
Key = tuple[str, str, Any]
"""messageId, metric, line of the order (None)."""


@dataclass(frozen=True, slots=True)
class ExpectedEvent:
    """One event that must be recorded once."""

    metric: str
    email: str
    properties: Json
    time: str


def events(messages: Iterable[Message]) -> dict[Key, ExpectedEvent]:
    """Every event that must be recorded, each order with its products."""
    found: dict[Key, ExpectedEvent] = {}
    for message in messages:
        if message.kind not in {"track", "order"}:
            continue
        posted = message.body["properties"]
        metric, time = METRICS[message.kind], message.body["timestamp"]
        found[message.id, metric, None] = ExpectedEvent(metric, message.email, posted, time)
        if message.kind == "order":
            shared = {name: value for name, value in posted.items() if name != "products"}
            for product in posted["products"]:
                key = (message.id, METRICS["product"], product["line"])
                found[key] = ExpectedEvent(
                    METRICS["product"], message.email, {**shared, **product}, time
                )
    return found


def profiles(messages: Iterable[Message]) -> dict[str, Json]:
    """The properties of each person's profile by address: the fold of the identify calls.

    Who only ever left a list or unsubscribed need not have a profile.
    """
    found: dict[str, Json] = {}
    for message in messages:
        if message.kind in {"leave", "unsubscribe"}:
            continue
        held = found.setdefault(message.email, {})
        if message.kind == "identify":
            traits = message.body["traits"]
            held.update({name: value for name, value in traits.items() if name != "email"})
    return found


def members(messages: Iterable[Message]) -> dict[str, set[str]]:
    """Who is on which list: the last message about the two decides."""
    found: dict[str, set[str]] = {}
    for message in messages:
        if message.kind in {"enter", "leave"}:
            name = message.body["context"]["personas"]["external_audience_id"]
            held = found.setdefault(name, set())
            (held.add if message.kind == "enter" else held.discard)(message.email)
    return found


def consents(messages: Iterable[Message]) -> dict[str, str]:
    """The last word of each person about e-mail: ``subscribe`` or ``unsubscribe``."""
    return {
        message.email: message.kind
        for message in messages
        if message.kind in {"subscribe", "unsubscribe"}
    }


def subscribed_before(messages: Iterable[Message]) -> Mapping[str, bool]:
    """Who has ever subscribed: nobody else may have consent."""
    return {message.email: True for message in messages if message.kind == "subscribe"}
