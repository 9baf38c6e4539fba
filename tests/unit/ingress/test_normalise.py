"""One canonical event from whatever clients send."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from destination.ingress.normalise import Arrival, Malformed, canonical, wants_klaviyo

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def body(item: dict[str, Any], call: str = "", **about: Any) -> dict[str, Any]:
    return canonical(item, Arrival(NOW, **about), call).body


def code(item: Any, call: str = "", **about: Any) -> str:
    with pytest.raises(Malformed) as caught:
        canonical(item, Arrival(NOW, **about), call)
    assert 10 < len(caught.value.message) < 200
    return caught.value.code


def track(**more: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Bought", "userId": "u", "messageId": "m", **more}


def identify(**more: Any) -> dict[str, Any]:
    return {"type": "identify", "userId": "u", "messageId": "m", **more}


def test_the_canonical_event_is_complete() -> None:
    """Every field that a client left out is there, and the input is untouched."""
    item = track(properties={"a": None})
    assert body(item) == {
        **item,
        "context": {},
        "receivedAt": "2026-11-22T12:00:00.000Z",
        "timestamp": "2026-11-22T12:00:00.000Z",
    }
    assert item == track(properties={"a": None})


def test_null_means_absent_at_the_root_only() -> None:
    """Python clients send null ids; a null property is a value."""
    event = body(track(anonymousId=None, traits=None, context=None, properties={"a": None}))
    assert "anonymousId" not in event
    assert "traits" not in event
    assert event["context"] == {}
    assert event["properties"] == {"a": None}


def test_keys_and_client_notes_are_not_stored() -> None:
    """The write key stays out of queue, mapping and log."""
    event = body(track(writeKey="secret", _metadata={"bundled": []}, channel="server"))
    assert "writeKey" not in event
    assert "_metadata" not in event
    assert event["channel"] == "server"


def test_an_empty_array_is_an_empty_object() -> None:
    """PHP writes empty objects as arrays."""
    event = body(track(properties=[], traits=[], context=[], integrations=[]))
    assert [event[n] for n in ("properties", "traits", "context", "integrations")] == [{}] * 4
    assert body(identify(context={"traits": []}))["context"]["traits"] == {}


def test_identify_has_its_traits_in_both_places() -> None:
    """Mappings read the e-mail address at the root and the phone number in the context."""
    traits = {"email": "a@b.c"}
    for item in (identify(traits=traits), identify(context={"traits": traits}, traits={})):
        event = body(item)
        assert event["traits"] == traits
        assert event["context"]["traits"] == traits
    both = body(identify(traits=traits, context={"traits": {"plan": "Pro"}}))
    assert both["traits"] == traits
    assert both["context"]["traits"] == {"plan": "Pro"}


def test_other_calls_keep_their_traits_where_they_are() -> None:
    """The traits of a group are the group's, those in a track's context the person's."""
    group = body({"type": "group", "userId": "u", "groupId": 7, "traits": {"name": "I"}})
    assert group["groupId"] == "7"
    assert "traits" not in group["context"]
    assert "traits" not in body(track(context={"traits": {"email": "a@b.c"}}))


@pytest.mark.parametrize(("given", "kept"), [(12345, "12345"), (0, "0"), (2**70, str(2**70))])
def test_integer_ids_become_text(given: int, kept: str) -> None:
    """Raw HTTP callers send numbers."""
    assert body(track(userId=given))["userId"] == kept


def test_an_empty_id_is_absent() -> None:
    """An empty string names nobody."""
    event = body(track(userId="", anonymousId="a"))
    assert "userId" not in event
    assert code(track(userId="")) == "no_user_anon_id"


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("text", "event_not_object"),
        ([], "event_not_object"),
        ({}, "type_not_defined"),
        ({"type": ""}, "type_not_defined"),
        ({"type": 5}, "type_not_string"),
        (track(userId=True), "id_not_string"),
        (track(userId=1.5), "id_not_string"),
        (track(anonymousId={}), "id_not_string"),
        (track(userId=None), "no_user_anon_id"),
        (track(event=None), "event_not_defined"),
        (track(event=" "), "event_not_defined"),
        (track(event=5), "event_not_string"),
        (track(properties=["a"]), "properties_not_object"),
        (track(properties="x" * 999), "properties_not_object"),
        (track(context=5), "context_not_object"),
        (track(context={"traits": "x"}), "traits_not_object"),
        (track(integrations=True), "integrations_not_object"),
        (identify(traits=0), "traits_not_object"),
        ({"type": "page", "userId": "u", "name": 5}, "name_not_string"),
        ({"type": "screen", "userId": "u", "category": []}, "category_not_string"),
        ({"type": "alias"}, "no_user_anon_id"),
        ({"type": "record", "action": "merge"}, "action_not_defined"),
        ({"type": "record", "action": [], "fields": {}}, "action_not_defined"),
        ({"type": "record", "action": "insert", "fields": 5}, "properties_not_object"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_code(item: Any, reason: str) -> None:
    """Segment's codes where it has one, and a message of bounded length."""
    assert code(item) == reason


def test_relays_need_not_name_a_person() -> None:
    """Rows of a warehouse come through webhooks without userId."""
    assert "userId" not in body(track(userId=None), from_client=False)


@pytest.mark.parametrize("kind", ["delete", "merge", "audiencelist", "anything"])
def test_unknown_types_are_accepted(kind: str) -> None:
    """Nothing is known about what they need."""
    assert canonical({"type": kind}, Arrival(NOW)).type == kind


def test_a_known_type_in_capitals_is_that_type() -> None:
    """So that triggers match it."""
    assert canonical(track(type="Track"), Arrival(NOW)).type == "track"


def test_the_call_overrules_the_type() -> None:
    """On single-call paths the path tells the type."""
    event = canonical({"type": "identify", "event": "E", "userId": "u"}, Arrival(NOW), "track")
    assert (event.type, event.body["type"]) == ("track", "track")


def test_defaults_of_the_request_give_way_to_the_event() -> None:
    """A batch's context and integrations are merged into each event."""
    event = body(
        track(context={"ip": "1"}, integrations={"All": True}),
        context={"ip": "2", "app": {"name": "x"}},
        integrations={"All": False, "Klaviyo": True},
    )
    assert event["context"] == {"ip": "1", "app": {"name": "x"}}
    assert event["integrations"] == {"All": True, "Klaviyo": True}


def test_a_direct_event_gets_the_address_of_its_caller() -> None:
    """Only when it asks for it and has none."""
    assert body(track(context={"direct": True}), ip="9.9.9.9")["context"]["ip"] == "9.9.9.9"
    assert "ip" not in body(track(context={}), ip="9.9.9.9")["context"]
    assert body(track(context={"direct": True, "ip": "1"}), ip="9")["context"]["ip"] == "1"


def test_times_of_a_client_are_corrected() -> None:
    """The client's clock is an hour slow; its own time is kept as originalTimestamp."""
    event = body(track(timestamp="2026-11-22T10:59:00Z"), sent_at="2026-11-22T11:00:00.000+00:00")
    assert event["timestamp"] == "2026-11-22T11:59:00.000Z"
    assert event["originalTimestamp"] == "2026-11-22T10:59:00Z"
    assert event["sentAt"] == "2026-11-22T11:00:00.000+00:00"


def test_the_events_own_sent_at_counts_first() -> None:
    """Browsers and RudderStack's node client give one per event."""
    event = body(
        track(originalTimestamp="2026-11-22T10:00:00Z", sentAt="2026-11-22T10:01:00Z"),
        sent_at="2026-11-22T11:59:00Z",
    )
    assert event["timestamp"] == "2026-11-22T11:59:00.000Z"
    assert event["sentAt"] == "2026-11-22T10:01:00Z"
    unreadable = body(
        track(timestamp="2026-11-22T11:58:00Z", sentAt="?"), sent_at="2026-11-22T11:59:00Z"
    )
    assert unreadable["timestamp"] == "2026-11-22T11:59:00.000Z"


@pytest.mark.parametrize("garbage", ["soon", [], {"a": 1}, 10**40, True])
def test_an_unreadable_time_is_the_time_of_receipt(garbage: Any) -> None:
    """A mapping always finds a time; the client's own words stay visible."""
    event = body(track(timestamp=garbage))
    assert event["timestamp"] == "2026-11-22T12:00:00.000Z"
    assert event.get("originalTimestamp") == (garbage or None)


def test_times_of_a_relay_stand() -> None:
    """Segment has corrected them already."""
    given = {"timestamp": "2024-05-06T07:08:09.123Z", "receivedAt": "2024-05-06T07:08:10.000Z"}
    event = body(track(**given, sentAt="2020-01-01T00:00:00Z"), from_client=False)
    assert {name: event[name] for name in given} == given
    assert event["sentAt"] == "2020-01-01T00:00:00Z"
    bare = body(track(), from_client=False)
    assert bare["timestamp"] == bare["receivedAt"] == "2026-11-22T12:00:00.000Z"
    number = body(track(timestamp=1714979289), from_client=False)
    assert number["timestamp"] == "2024-05-06T07:08:09.000Z"
    garbage = body(track(timestamp="soon"), from_client=False)
    assert garbage["timestamp"] == "2026-11-22T12:00:00.000Z"
    assert garbage["originalTimestamp"] == "soon"


def test_message_ids_are_opaque() -> None:
    """Any text is kept as it is; a number becomes text."""
    assert canonical(track(messageId="ajs-next-1-ü/ "), Arrival(NOW)).id == "ajs-next-1-ü/ "
    assert canonical(track(messageId=17), Arrival(NOW)).id == "17"


def test_a_very_long_message_id_is_hashed() -> None:
    """Stable, distinct and short: nothing is lost and no key grows."""
    long = canonical(track(messageId="x" * 256), Arrival(NOW))
    assert (
        long.id == long.body["messageId"] == canonical(track(messageId="x" * 256), Arrival(NOW)).id
    )
    assert len(long.id) < 60
    assert long.id != canonical(track(messageId="x" * 257), Arrival(NOW)).id
    assert canonical(track(messageId="x" * 255), Arrival(NOW)).id == "x" * 255


AT = "2026-11-22T11:00:00Z"


@pytest.mark.parametrize("missing", [None, "", [], {}, True])
def test_a_retry_of_an_event_without_id_gets_the_same_one(missing: Any) -> None:
    """Later, from elsewhere, with its keys in another order and a new sentAt."""
    first = canonical(track(messageId=missing, timestamp=AT), Arrival(NOW, sent_at=AT))
    again = canonical(
        {"timestamp": AT, **track(), "messageId": missing, "sentAt": "x", "writeKey": "k"},
        Arrival(datetime(2027, 1, 1, tzinfo=UTC), ip="9.9.9.9"),
    )
    assert first.id == again.id == first.body["messageId"]
    assert first.id.startswith("derived-")
    assert first.id != canonical(track(messageId=missing, timestamp=AT, a=2), Arrival(NOW)).id


def test_without_a_time_too_the_same_minute_is_a_retry_and_a_later_one_is_not() -> None:
    """A plan that goes from Free to Pro, back and up again is three changes, not two."""
    pro = identify(messageId=None, traits={"plan": "Pro"})
    first = canonical(pro, Arrival(NOW)).id
    assert canonical(pro, Arrival(NOW + timedelta(seconds=59))).id == first
    assert canonical(pro, Arrival(NOW + timedelta(seconds=60))).id != first


def test_a_retry_key_makes_attempts_equal_at_any_time() -> None:
    """Callers that number their requests have no need of a clock."""
    bare = track(messageId=None)
    first = canonical(bare, Arrival(NOW, retry_key="r1")).id
    assert canonical(bare, Arrival(NOW + timedelta(hours=5), retry_key="r1")).id == first
    assert canonical(bare, Arrival(NOW, retry_key="r2")).id != first


def test_equal_events_of_one_request_are_told_apart() -> None:
    """Two equal lines of a batch are two events, and a retry of the batch is the same two."""
    ids = []
    for _ in range(2):
        arrival = Arrival(NOW)
        ids.append([canonical(track(messageId=None), arrival).id for _ in range(3)])
    assert len(set(ids[0])) == 3
    assert ids[0] == ids[1]


def test_a_record_becomes_a_row_event() -> None:
    """RudderStack's reverse ETL fires the mappings written for Segment's."""
    item = {
        "type": "record",
        "action": "update",
        "fields": {"plan": "Pro"},
        "identifiers": {"email": "a@b.c"},
        "channel": "sources",
        "recordId": 3,
    }
    event = body(item)
    assert event["type"] == "track"
    assert event["event"] == "updated"
    assert event["properties"] == {"plan": "Pro", "email": "a@b.c"}
    assert event["__segment_id"] == "3"
    assert event["channel"] == "sources"
    assert body({"type": "record", "action": "delete"})["properties"] == {}


@pytest.mark.parametrize(
    ("integrations", "wanted"),
    [
        (None, True),
        ({}, True),
        ({"All": True}, True),
        ({"All": False}, False),
        ({"Segment.io": True}, True),
        ({"All": False, "Klaviyo": True}, True),
        ({"All": False, "Klaviyo": {}}, True),
        ({"All": True, "Klaviyo": False}, False),
        ({"Klaviyo (Actions)": False}, False),
        ({"All": False, "KLAVIYO": {"listId": "x"}}, True),
        ({"All": False, "Klaviyo": None}, False),
        ({"Klaviyo": False, "Klaviyo (Actions)": True}, True),
    ],
)
def test_integrations_choose_destinations(
    integrations: dict[str, Any] | None, wanted: bool
) -> None:
    """A named entry wins over All; what is not said is allowed."""
    assert wants_klaviyo({"integrations": integrations}) is wanted


def test_the_names_of_this_destination_can_be_set() -> None:
    """An installation may call it otherwise."""
    assert wants_klaviyo({"integrations": {"All": False, "Mine": True}}, ("Mine",))
