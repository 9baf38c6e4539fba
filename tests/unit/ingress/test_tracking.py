"""The tracking API: real clients' requests, and everyone else's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from destination.errors import Rejected
from destination.event import decode, encode
from destination.ingress.format import SEGMENT, Inbound, Limits, Parsed
from destination.ingress.sent import Taken
from destination.ingress.tracking import CALLS, parse
from tests.unit.ingress.captures import KEY, RECEIVED, clients, inbound, outcome, posts

TRACK = {"type": "track", "event": "Bought", "userId": "u"}
# What each client calls by its own language, or adds of its own accord.
OWN = {"name", "category", "createdAt", "address", "currency", "products"}


def of(document: Any, call: str = "batch", **about: Any) -> Inbound:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Inbound(call, body, RECEIVED, **about)


def read(document: Any, call: str = "batch", limits: Limits | None = None, **about: Any) -> Parsed:
    asked = of(document, call, **about)
    return parse(asked, call, limits=limits) if limits else parse(asked, call)


def replay(name: str) -> Iterator[Parsed]:
    for request in posts(name):
        asked = inbound(request)
        yield parse(asked, asked.path)


def essence(event: Taken) -> dict[str, Any]:
    """What all clients must agree on."""
    body = event.body
    kept = ("type", "event", "userId", "groupId", "name", "category")
    facts = {name: body[name] for name in kept if name in body}
    if body["type"] == "page":
        facts.pop("name")
    for name in ("properties", "traits"):
        facts[name] = {k: v for k, v in body.get(name, {}).items() if k not in OWN}
    return facts


SPECIFICATION = [
    {
        "type": "identify",
        "userId": "user-1",
        "properties": {},
        "traits": {"email": "ann@example.com", "firstName": "Ann"},
    },
    {
        "type": "track",
        "event": "Order Completed",
        "userId": "user-1",
        "properties": {"order_id": "o-1", "revenue": 39.95},
        "traits": {},
    },
    {"type": "track", "event": "Signed Up", "properties": {"plan": "Pro"}, "traits": {}},
    {
        "type": "page",
        "userId": "user-1",
        "category": "Docs",
        "properties": {"url": "https://ex.test/docs"},
        "traits": {},
    },
    {
        "type": "screen",
        "userId": "user-1",
        "category": "Settings",
        "name": "Brightness",
        "properties": {"from": "widget"},
        "traits": {},
    },
    {
        "type": "group",
        "userId": "user-1",
        "groupId": "group-1",
        "properties": {},
        "traits": {"employees": 320},
    },
    {"type": "alias", "userId": "user-1", "properties": {}, "traits": {}},
]

SERVER_CLIENTS = [
    name for name in clients() if "next" not in name and name != "segment-analytics-node-2.1.0"
]


@pytest.mark.parametrize("name", SERVER_CLIENTS)
def test_every_client_gives_the_same_seven_events(name: str) -> None:
    """This is the specification of the canonical event: who sent it makes no difference."""
    events = [event for parsed in replay(name) for event in parsed.events]
    assert len(events) in (7, 16)  # Python's captures repeat the seven compressed, and add two
    for start in range(0, len(events) - 6, 7):
        seven = events[start : start + 7]
        assert [essence(event) for event in seven] == SPECIFICATION
        identify, order, anonymous, *_, alias = (event.body for event in seven)
        assert identify["context"]["traits"] == identify["traits"]
        assert identify["context"]["ip"] == "203.0.113.9"
        assert identify["traits"]["address"] == {"city": "Łódź", "country": "PL"}
        assert order["context"]["traits"]["email"] == "ann@example.com"
        assert order["originalTimestamp"].startswith("2024-05-06T07:08:09.123")
        assert order["properties"]["products"][0]["quantity"] == 2
        assert anonymous["anonymousId"] == "anon-1"
        assert "userId" not in anonymous
        assert alias["previousId"] == "old-id"


@pytest.mark.parametrize("name", clients())
def test_every_request_of_every_client_is_accepted_whole(name: str) -> None:
    """Each with its key, nothing refused, ids kept, nothing of the key in what is stored."""
    parsed = list(replay(name))
    assert {found.write_key for found in parsed} == {KEY}
    assert not [refused for found in parsed for refused in found.refused]
    events = [event for found in parsed for event in found.events]
    sent = [
        item for request in posts(name) for item in request["body"].get("batch", [request["body"]])
    ]
    assert [event.id for event in events] == [item["messageId"] for item in sent]
    for event in events:
        assert decode(encode(event.body)) == event.body
        assert KEY.encode() not in encode(event.body)
        assert None not in event.body.values()
        assert event.body["messageId"] == event.id
        assert event.body["receivedAt"] == "2026-11-22T11:00:00.250Z"


@pytest.mark.parametrize("name", clients())
def test_the_clock_of_every_client_is_corrected(name: str) -> None:
    """What was sent at once happened at receipt, less the moment it waited."""
    for found in replay(name):
        for event in found.events:
            happened = datetime.fromisoformat(event.body["timestamp"])
            if not event.body["originalTimestamp"].startswith("2024"):
                assert RECEIVED - timedelta(seconds=1) < happened <= RECEIVED


def test_numbers_as_ids_come_out_as_text() -> None:
    """The clients make text of them, callers without a client do not."""
    assert read({**TRACK, "userId": 12345}, "track").events[0].body["userId"] == "12345"


@pytest.mark.parametrize("call", ["identify", "track", "page", "screen", "group", "alias"])
def test_single_calls_take_their_type_from_the_path(call: str) -> None:
    """With or without one in the body."""
    [event] = read({"userId": "u", "event": "E"}, call).events
    assert event.type == event.body["type"] == call


@pytest.mark.parametrize("call", ["batch", "import"])
def test_a_bad_event_does_not_fail_its_batch(call: str) -> None:
    """Clients drop a whole batch on a 4xx, so the good events go through."""
    found = read({"batch": [TRACK, {"type": "track", "messageId": "m"}, None, TRACK]}, call)
    assert len(found.events) == 2
    assert [(bad.index, bad.code, bad.message_id) for bad in found.refused] == [
        (1, "no_user_anon_id", "m"),
        (2, "event_not_object", ""),
    ]


def test_a_bad_single_event_is_refused_not_rejected() -> None:
    """Segment answers 200 to everything but broken JSON and excess size."""
    found = read({"userId": "u"}, "track")
    assert found.events == ()
    assert found.refused[0].code == "event_not_defined"


def test_an_empty_batch_is_fine() -> None:
    """Clients flush empty queues."""
    assert read({"batch": [], "writeKey": "k"}) == Parsed((), (), "k")


def test_defaults_of_a_batch_reach_every_event() -> None:
    """Context and integrations may stand beside the batch."""
    found = read(
        {
            "batch": [TRACK, {**TRACK, "context": {"ip": "1"}}],
            "context": {"direct": True},
            "integrations": {"All": False},
            "sequence": 1,
        },
        ip="9.9.9.9",
    )
    assert [event.body["context"]["ip"] for event in found.events] == ["9.9.9.9", "1"]
    assert all(event.body["integrations"] == {"All": False} for event in found.events)


@pytest.mark.parametrize("document", [[], "text", 5, None, True, [TRACK]])
@pytest.mark.parametrize("call", ["batch", "track"])
def test_a_body_that_is_no_object_is_rejected(document: Any, call: str) -> None:
    """400 with the shape that was expected."""
    with pytest.raises(Rejected) as caught:
        read(document, call)
    assert (caught.value.status, caught.value.code) == (400, "bad_request")


@pytest.mark.parametrize("batch", [{}, {"batch": {}}, {"batch": None}, {"events": []}])
def test_a_batch_needs_its_array(batch: Any) -> None:
    """400 with an example."""
    with pytest.raises(Rejected, match='"batch"'):
        read(batch)


def test_a_body_beyond_its_limit_is_too_large() -> None:
    """413, for the body and for the one event of a single call."""
    for call, limits in (("batch", Limits(body_bytes=50)), ("track", Limits(event_bytes=50))):
        with pytest.raises(Rejected) as caught:
            read({**TRACK, "batch": [TRACK]}, call, limits)
        assert caught.value.status == 413


def test_too_many_events_are_too_large() -> None:
    """2,500 under Segment's limits."""
    assert len(read({"batch": [TRACK] * 2_500}, limits=SEGMENT).events) == 2_500
    with pytest.raises(Rejected, match="2,501 events"):
        read({"batch": [TRACK] * 2_501}, limits=SEGMENT)


def test_a_large_event_in_a_batch_is_refused_alone() -> None:
    """32 KiB under Segment's limits; its neighbours pass."""
    room = SEGMENT.event_bytes - len(encode({**TRACK, "properties": {"a": ""}}))
    fits = {**TRACK, "properties": {"a": "x" * room}}
    large = {**TRACK, "properties": {"a": "x" * (room + 1)}}
    found = read(encode({"batch": [fits, large, TRACK]}), limits=SEGMENT)
    assert [bad.index for bad in found.refused] == [1]
    assert found.refused[0].code == "event_too_large"
    assert "32,769 bytes" in found.refused[0].message


def test_a_retry_gives_the_same_ids() -> None:
    """The same bytes some minutes later are the same events, with or without ids."""
    timed = {**TRACK, "timestamp": "2026-11-22T10:00:00Z"}
    asked = of(
        {"batch": [timed, timed, {**TRACK, "messageId": "m"}, TRACK], "sentAt": "2026-01-01"},
        headers={"idempotency-key": "request-1"},
    )
    later = replace(asked, received_at=asked.received_at + timedelta(minutes=5), ip="1.2.3.4")
    first, again = parse(asked, "batch"), parse(later, "batch")
    assert [event.id for event in first.events] == [event.id for event in again.events]
    assert len({event.id for event in first.events}) == 4


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
NAMES = st.sampled_from(
    [
        "type",
        "userId",
        "anonymousId",
        "event",
        "properties",
        "traits",
        "context",
        "integrations",
        "timestamp",
        "sentAt",
        "originalTimestamp",
        "messageId",
        "name",
        "category",
        "previousId",
        "groupId",
        "action",
        "fields",
        "identifiers",
        "writeKey",
        "_metadata",
        "receivedAt",
        "recordId",
    ]
)
TYPES = st.sampled_from(["identify", "track", "page", "screen", "group", "alias", "record", "x"])
MESSAGES = (
    st.builds(
        lambda kind, rest: {**rest, "type": kind}, TYPES, st.dictionaries(NAMES, JSON, max_size=8)
    )
    | JSON
)


@given(st.lists(MESSAGES, max_size=4), JSON, JSON, JSON)
def test_any_json_gives_events_that_can_be_stored(
    batch: list[Any], context: Any, integrations: Any, sent: Any
) -> None:
    """Every event is accepted or refused, comes out of the store as it went in, and keeps its id."""
    document = {"batch": batch, "context": context, "integrations": integrations, "sentAt": sent}
    asked = of(encode(document))
    found = parse(asked, "batch")
    assert len(found.events) + len(found.refused) == len(batch)
    for event in found.events:
        assert decode(encode(event.body)) == event.body
        assert event.body["messageId"] == event.id
        assert event.body["type"] == event.type
        datetime.fromisoformat(event.body["timestamp"])
    assert found == parse(asked, "batch")


@given(st.binary(max_size=80), st.sampled_from(sorted(CALLS)))
def test_any_bytes_are_parsed_or_rejected(body: bytes, call: str) -> None:
    """Nothing but Rejected is raised."""
    asked = Inbound(call, body, datetime(2026, 1, 1, tzinfo=UTC))
    found = outcome(lambda: parse(asked, call))
    assert isinstance(found, Parsed) or found.status in (400, 413)
