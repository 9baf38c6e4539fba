"""Events say whether their person is in the audience, where a trigger can find it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from destination.ingress.normalise import Arrival, canonical
from destination.mapping.trigger import compile_trigger

RECEIVED = datetime(2026, 9, 20, tzinfo=UTC)
VIP = {"computation_class": "audience", "computation_key": "vip"}


def told(body: dict[str, Any]) -> Any:
    """What the canonical event says of membership."""
    item = {"userId": "u", **body}
    before = repr(item)
    event = canonical(item, Arrival(RECEIVED))
    assert repr(item) == before
    return event.body["context"].get("membership")


@pytest.mark.parametrize("member", [True, False])
def test_the_value_under_the_audiences_key_is_told(member: bool) -> None:
    """By track under any event name, and by identify."""
    context = {"personas": VIP}
    tracked = {"type": "track", "event": "VIP changed", "properties": {"vip": member}}
    assert told({**tracked, "context": context}) is member
    assert told({"type": "identify", "traits": {"vip": member}, "context": context}) is member
    named = {"type": "track", "event": "x", "properties": {"audience_key": "vip", "vip": member}}
    assert told(named) is member


@pytest.mark.parametrize(
    "context",
    [{}, {"personas": {**VIP, "computation_class": "trait"}}, {"personas": {**VIP, "x": 1}}],
)
def test_other_events_say_nothing_of_membership(context: dict[str, Any]) -> None:
    """Nor do events of an audience without a value."""
    body = {"type": "track", "event": "Done", "properties": {"vip": "perhaps"}, "context": context}
    assert told(body) is None


def test_triggers_find_it() -> None:
    """One trigger serves every audience."""
    body = {"type": "track", "event": "x", "properties": {"vip": "true"}, "userId": "u"}
    event = canonical({**body, "context": {"personas": VIP}}, Arrival(RECEIVED))
    assert compile_trigger("context.membership = true")(event.body)
    assert canonical(event.body, Arrival(RECEIVED, from_client=False)).body == event.body
