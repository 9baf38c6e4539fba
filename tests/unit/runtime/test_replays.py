"""Replaying dead letters: quiet where they are old, with any mapping, slowly, once."""

from __future__ import annotations

from typing import Any

import pytest

from destination.event import encode
from destination.mapping.file import Mapping, read_mapping_file
from destination.pipeline import LATE, late, plan, route
from destination.registry import DESTINATIONS

KLAVIYO = DESTINATIONS["klaviyo"]
NOW = 1_790_000_000.0
HOUR_AGO, JUST_NOW = "2026-09-21T13:06:39+00:00", "2026-09-21T14:06:00Z"


def mapping(action: str = "trackEvent", **fields: Any) -> Mapping:
    """A mapping of this action."""
    fields = {
        "profile": {"external_id": {"@path": "$.userId"}},
        "properties": {"@path": "$.properties"},
        "time": {"@path": "$.timestamp"},
    } | fields
    if action == "trackEvent":
        fields["metric_name"] = {"@path": "$.event"}
    entry = {
        "name": "events",
        "action": action,
        "trigger": 'type = "track"',
        "fields": fields,
    }
    text = encode({"name": "test", "mappings": [entry]})
    (found,), _problems = read_mapping_file(text, "test", KLAVIYO.actions)
    return found


def body(**members: Any) -> dict[str, Any]:
    """A track event."""
    return {
        "type": "track",
        "messageId": "m-1",
        "event": "Done",
        "userId": "u-1",
        "properties": {},
    } | members


@pytest.mark.parametrize(
    ("members", "is_late"),
    [
        ({"timestamp": HOUR_AGO}, True),
        ({"timestamp": JUST_NOW}, False),
        ({"receivedAt": JUST_NOW}, False),
        ({"timestamp": HOUR_AGO, "receivedAt": JUST_NOW}, True),
        ({"timestamp": "yesterday"}, True),
        ({"timestamp": 12}, True),
        ({}, True),
    ],
)
def test_an_event_is_late_by_its_own_time(members: dict[str, Any], is_late: bool) -> None:
    """An hour after it happened, or when nobody can tell."""
    assert late(body(**members), NOW) is is_late
    assert LATE == 3600


@pytest.mark.parametrize("action", ["trackEvent", "orderCompleted"])
def test_a_late_replay_sets_nothing_off(action: str) -> None:
    """Its event is recorded as one of the past; no new event is, nor a prompt replay."""
    ready = route(mapping(action), KLAVIYO.actions)
    assert plan(body(timestamp=HOUR_AGO), ready, NOW, replayed=True)["backfill"] is True
    assert "backfill" not in plan(body(timestamp=HOUR_AGO), ready, NOW)
    assert "backfill" not in plan(body(timestamp=JUST_NOW), ready, NOW, replayed=True)


def test_the_mapping_decides_where_it_says_something() -> None:
    """Whoever maps the field knows why."""
    ready = route(mapping(backfill=False), KLAVIYO.actions)
    assert plan(body(timestamp=HOUR_AGO), ready, NOW, replayed=True)["backfill"] is False


def test_other_actions_are_replayed_as_they_are() -> None:
    """A profile has no such thing."""
    text = encode(
        {
            "name": "test",
            "mappings": [
                {
                    "name": "profiles",
                    "action": "upsertProfile",
                    "trigger": 'type = "track"',
                    "fields": {"external_id": {"@path": "$.userId"}},
                }
            ],
        }
    )
    (found,), _problems = read_mapping_file(text, "test", KLAVIYO.actions)
    ready = route(found, KLAVIYO.actions)
    old = body(timestamp=HOUR_AGO)
    assert plan(old, ready, NOW, replayed=True) == plan(old, ready, NOW)
