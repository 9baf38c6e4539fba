"""Recorded cases of trigger, mapping and action together; and our actions' default triggers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from destination.action import Action
from destination.errors import TriggerError
from destination.klaviyo import KLAVIYO
from destination.mapping.trigger import compile_trigger
from tests.unit.klaviyo.segment_cases import run
from tests.unit.klaviyo.segment_forms import recorded, same, seen
from tests.unit.klaviyo.segment_rules import deviate


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each recorded case, from the folder that ``--vectors`` names."""
    if "case" in metafunc.fixturenames:
        folder: Path = metafunc.config.getoption("--vectors")
        cases = json.loads((folder / "subscription.json").read_text())
        metafunc.parametrize("case", cases, ids=[case["id"] for case in cases])


def wanted(trigger: Any, events: list[Any]) -> list[Any]:
    """The events that a trigger wants; none if it cannot be read."""
    try:
        matches = compile_trigger(trigger)
    except TriggerError:
        return []
    return [each for each in events if matches(each)]


def test_the_same_is_sent_for_the_events_that_the_trigger_wants(case: dict[str, Any]) -> None:
    """Where it is not the settings, the action or the missing bulk form that stops Segment."""
    subscription = case["subscription"]
    action = KLAVIYO.actions.get(subscription["partnerAction"])
    reason = (case["result"].get("error") or {}).get("reason")
    if action is None or reason == "batch_not_supported" or not case["settings"].get("api_key"):
        assert not case["requests"]
        return
    whole = {
        **case,
        "action": action.name,
        "mapping": subscription["mapping"],
        "events": wanted(subscription["subscribe"], case["events"]),
    }
    done = run(whole)
    asked, theirs = list(map(seen, done.requests)), list(map(recorded, case["requests"]))
    ours, theirs = deviate(whole, asked, theirs)
    assert same(ours, theirs), (ours, theirs)


IDENTIFY = {"type": "identify", "traits": {}}
TRACK = {"type": "track", "event": "Product Viewed", "properties": {}}


@pytest.mark.parametrize("action", KLAVIYO.actions.values(), ids=lambda action: action.name)
def test_every_default_trigger_can_be_read(action: Action) -> None:
    """And wants something."""
    matches = compile_trigger(action.trigger)
    kinds = ("identify", "track", "alias", "delete")
    names = ("", "Order Completed", "Audience Entered", "Audience Exited")
    named = [
        f"User {what}" for what in ("Subscribed", "Unsubscribed", "Suppressed", "Unsuppressed")
    ]
    events = [{"type": kind, "event": name} for kind in kinds for name in (*names, *named)]
    assert any(map(matches, events))


@pytest.mark.parametrize(
    ("name", "event", "matches"),
    [
        ("removeProfile", IDENTIFY, True),  # Segment's "Identify" is no event's type
        ("orderCompleted", TRACK, False),  # Segment's default makes every track event an order
        ("orderCompleted", {**TRACK, "event": "Order Completed"}, True),
        ("trackEvent", TRACK, True),
    ],
)
def test_default_triggers_want_what_they_should(
    name: str, event: dict[str, Any], matches: bool
) -> None:
    """Segment's, but for two that cannot have been meant."""
    assert compile_trigger(KLAVIYO.actions[name].trigger)(event) is matches


def test_every_country_can_be_chosen() -> None:
    """Segment lacks Taiwan, Palestine and South Georgia, and lists the United Nations."""
    (field,) = [
        each for each in KLAVIYO.actions["upsertProfile"].fields if each.name == "country_code"
    ]
    assert {"TW", "PS", "GS", "US"} <= set(field.choices)
    assert "UN" not in field.choices
    assert len(field.choices) == 249


@pytest.mark.parametrize("action", KLAVIYO.actions.values(), ids=lambda action: action.name)
def test_fields_are_described_and_named_once(action: Action) -> None:
    """The console and the docs show them."""
    names = [field.name for field in action.fields]
    assert len(names) == len(set(names))
    assert all(field.description.endswith(".") for field in action.fields)
