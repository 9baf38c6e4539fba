"""Audiences: who is in, and the requests that make their lists."""

from __future__ import annotations

import json
from typing import Any

import pytest

from destination.errors import Rejected
from destination.ingress.audience import computation_key, membership
from destination.ingress.format import Inbound, Options
from destination.ingress.webhooks.segment_audiences import (
    CreateAudience,
    GetAudience,
    found,
    read_create,
    read_get,
)
from tests.unit.ingress.captures import RECEIVED, load


def engage(kind: str = "track", value: Any = True, **personas: Any) -> dict[str, Any]:
    about = {"computation_class": "audience", "computation_key": "vip", **personas}
    place = "traits" if kind == "identify" else "properties"
    return {"type": kind, place: {"vip": value}, "context": {"personas": about}}


def test_membership_in_deliveries_of_segments_own_code() -> None:
    """Entered and exited."""
    entered, exited = load("segment-destination-webhook-actions")["requests"][2]["body"]
    assert computation_key(entered) == "first_time_shopper"
    assert membership(entered) is True
    assert membership(exited) is False


@pytest.mark.parametrize("kind", ["track", "identify"])
@pytest.mark.parametrize(
    ("value", "member"), [(True, True), (False, False), ("true", True), ("False", False), (1, None)]
)
def test_membership_is_the_value_under_the_key(kind: str, value: Any, member: bool | None) -> None:
    """Texts count too: older journeys send them. The event's name can be anything."""
    assert membership(engage(kind, value)) is member


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"context": {"personas": 5}},
        engage(computation_class="trait"),
        engage(computation_key=5),
        engage(computation_key="other"),
        {"type": "track", "properties": {"audience_key": 5}},
        {"type": "track", "event": "new"},
    ],
)
def test_what_says_nothing_of_membership_gives_none(body: dict[str, Any]) -> None:
    """Computed traits and ordinary events."""
    assert membership(body) is None


def test_the_key_may_stand_among_the_properties() -> None:
    """Deliveries without personas."""
    body = {"type": "track", "properties": {"audience_key": "vip", "vip": False}}
    assert membership(body) is False


def test_a_step_of_a_legacy_journey_is_an_entry_if_wanted() -> None:
    """It carries no value at all."""
    body = engage(value=None, computation_class="journey_step")
    assert membership(body) is None
    assert membership(body, journeys_enter=True) is True


@pytest.mark.parametrize(
    ("mode", "event", "member"),
    [
        ("add", "new", True),
        ("add", "updated", None),
        ("update", "updated", True),
        ("upsert", "new", True),
        ("upsert", "deleted", None),
        ("mirror", "updated", True),
        ("mirror", "deleted", False),
        ("delete", "deleted", False),
        ("delete", "new", None),
        ("", "new", None),
    ],
)
def test_rows_tell_membership_by_sync_mode(mode: str, event: str, member: bool | None) -> None:
    """Segment's table for reverse ETL."""
    assert membership({"type": "track", "event": event}, mode) is member


def asked(document: Any) -> Inbound:
    return Inbound("audiences", json.dumps(document).encode(), RECEIVED)


def test_requests_for_a_list_are_read() -> None:
    """The name or the id, and whatever the user added."""
    assert read_create(asked({"team": "x", "audienceName": "VIP"}), Options()) == CreateAudience(
        "VIP", {"team": "x"}
    )
    assert read_get(asked({"externalId": "XyZ123"}), Options()) == GetAudience("XyZ123")
    assert found("XyZ123") == {"externalId": "XyZ123"}


@pytest.mark.parametrize(
    "document",
    [{}, {"audienceName": ""}, {"audienceName": 5}, {"audienceName": "x" * 256}, [], None],
)
def test_a_request_without_a_name_is_rejected(document: Any) -> None:
    """Segment shows the message to its user."""
    with pytest.raises(Rejected, match="audienceName"):
        read_create(asked(document), Options())
