"""Events kept as they were sent: nobody can tell them from those that were read in full."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.errors import Rejected
from destination.event import Event, encode, person
from destination.ingress.credentials import write_key
from destination.ingress.format import Inbound, Limits, Parsed
from destination.ingress.messages import arrival_of, explode
from destination.ingress.normalise import SINGLE_CALLS, wants_klaviyo
from destination.ingress.sent import Sent, SentEvent, glimpsed, regular
from destination.ingress.tracking import _read, parse

NOW = datetime(2026, 11, 20, 10, 10, 10, 123_000, tzinfo=UTC)
USUAL = {
    "type": "track",
    "messageId": "m-1",
    "userId": "u-1",
    "event": "Product Viewed",
    "timestamp": "2026-11-20T10:00:00Z",
    "properties": {"total": 5, "note": "a \\ b"},
    "context": {"source": {"object": "order"}, "library": {"name": "analytics.js"}},
    "integrations": {"All": True},
}

VALUES: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", " ", "u-1", "2026-11-20T10:00:00Z", "x" * 256, "é\\u0061"])
    | st.text(max_size=3)
    | st.just([])
)
INNER = st.dictionaries(
    st.sampled_from(["email", "audience_key", "a", "b"]), VALUES | st.just({"c": 1}), max_size=3
)
IN_CONTEXT_VALUES = {
    "source": VALUES | INNER,
    "personas": VALUES | st.just({"computation_class": "audience", "computation_key": "a"}),
    "membership": VALUES,
    "mappedToDestination": VALUES,
    "direct": VALUES,
    "traits": VALUES | INNER,
    "ip": VALUES,
}
KINDS = st.sampled_from([*SINGLE_CALLS, "Track", "record", "delete", "", None, 5])
TIMES = st.sampled_from([None, "2026-11-20T10:00:01.5Z", "yesterday", 1_700_000_000, ""])


@st.composite
def some(draw: st.DrawFn, values: dict[str, st.SearchStrategy[Any]]) -> dict[str, Any]:
    """A few of these members: with many, hardly an event would be regular."""
    names = draw(st.lists(st.sampled_from(sorted(values)), max_size=2, unique=True))
    return {name: draw(values[name]) for name in names}


CONTEXT = some(IN_CONTEXT_VALUES)
CHANGES = some(
    {
        "type": KINDS,
        "messageId": VALUES,
        "userId": VALUES,
        "anonymousId": VALUES,
        "groupId": VALUES,
        "previousId": VALUES,
        "event": VALUES,
        "name": VALUES,
        "category": VALUES,
        "properties": VALUES | INNER,
        "traits": VALUES | INNER,
        "context": VALUES | CONTEXT,
        "integrations": VALUES | st.dictionaries(st.sampled_from(["All", "Klaviyo"]), VALUES),
        "timestamp": TIMES,
        "originalTimestamp": TIMES,
        "sentAt": TIMES,
        "__segment_id": VALUES,
        "writeKey": st.sampled_from([None, "k", "k:***"]),
        "_metadata": INNER,
    }
)
MESSAGES = st.builds(lambda changes: {**USUAL, **changes}, CHANGES)
GLIMPSES: tuple[str, ...] = ("type", "event", "name", "category", "messageId", "__segment_id")
GLIMPSES += ("userId", "anonymousId", "groupId", "previousId")
IN_CONTEXT = ("source", "personas", "membership", "mappedToDestination")


def inbound(body: bytes) -> Inbound:
    """A request of a client."""
    return Inbound("", body, NOW, {"x-write-key": "k"}, {}, "203.0.113.9")


def same(kept: Parsed, read: Parsed) -> None:
    """What a request held is the same, whichever way it was read."""
    assert (kept.refused, kept.write_key) == (read.refused, read.write_key)
    assert [(each.id, each.type) for each in kept.events] == [
        (each.id, each.type) for each in read.events
    ]
    for mine, theirs in zip(kept.events, read.events, strict=True):
        assert mine.body == theirs.body
        names = ("Klaviyo",)
        assert wants_klaviyo(mine.glimpse, names) is wants_klaviyo(theirs.body, names)
        if isinstance(mine, SentEvent):
            assert mine.person == person(theirs.body)
            for name in GLIMPSES:
                assert glimpsed((name,))
                assert mine.glimpse.get(name) == theirs.body.get(name)
            shown, whole = mine.glimpse.get("context") or {}, theirs.body["context"]
            for name in IN_CONTEXT:
                assert glimpsed(("context", name, "more"))
                assert shown.get(name) == whole.get(name)


@given(st.lists(MESSAGES, max_size=3), TIMES, CONTEXT | st.none(), st.booleans())
def test_a_batch_holds_the_same_either_way(
    messages: list[Any], sent_at: Any, context: Any, ascii_only: bool
) -> None:
    """Ids, types, persons, refusals, bodies, and what triggers see."""
    document = {"batch": messages, "sentAt": sent_at, "context": context}
    body = json.dumps(document, ensure_ascii=ascii_only).encode()
    same(parse(inbound(body), "batch"), _read(inbound(body), "batch", Limits()))


@given(MESSAGES, st.sampled_from(sorted(SINGLE_CALLS)))
def test_a_single_event_is_the_same_either_way(message: Any, call: str) -> None:
    """Its address tells its type."""
    asked = inbound(encode(message))
    arrival = arrival_of(asked, from_client=True, sent_at=message.get("sentAt"))
    key = write_key(asked.headers, {}, message)
    same(parse(asked, call), explode([message], arrival, asked, Limits(), key, call=call))


@pytest.mark.parametrize("kind", ["track", "page", "screen", "group"])
def test_the_usual_event_is_kept(kind: str) -> None:
    """Else all this would be for nothing."""
    (event,) = parse(inbound(encode({"batch": [{**USUAL, "type": kind}]})), "batch").events
    assert isinstance(event, SentEvent)
    assert event.text == encode({**USUAL, "type": kind})


def test_an_identify_with_traits_is_kept() -> None:
    """One whose traits stand in its context is not: they are moved."""
    traits = {"traits": {"plan": "gold"}}
    usual = {name: value for name, value in USUAL.items() if name != "event"}
    message = {**usual, **traits, "type": "identify"}
    elsewhere = {**usual, "context": traits, "type": "identify"}
    events = parse(inbound(encode({"batch": [message, elsewhere]})), "batch").events
    assert [type(event) for event in events] == [SentEvent, Event]
    assert events[0].body["context"]["traits"] == {"plan": "gold"}


@pytest.mark.parametrize(
    "part",
    [
        b'"properties":{"audience_key":"a","a":true}',
        b'"properties":{"audience_\\u006bey":"a","a":true}',
        b'"context":{"direct":true}',
        b'"writeKey":"k"',
        b'"_metadata":{"writeKey":"k"}',
        b'"userId":5,"anonymousId":null',
    ],
)
def test_what_a_glimpse_cannot_judge_is_read_in_full(part: bytes) -> None:
    """Audiences, addresses, keys, odd ids."""
    text = encode(USUAL)[:-1] + b"," + part + b"}"
    assert regular(text, Sent(0)) is None


def test_what_may_be_too_deep_is_read_in_full() -> None:
    """Whoever has so many brackets: they may stand beside each other."""
    beside = {**USUAL, "properties": {name: json.loads("[" * 60 + "]" * 60) for name in "ab"}}
    (event,) = parse(inbound(encode({"batch": [beside]})), "batch").events
    assert isinstance(event, Event)
    inside = encode({"batch": [USUAL]}).replace(b'"total":5', b'"a":' + b"[" * 101 + b"]" * 101)
    with pytest.raises(Rejected, match="nests deeper"):
        parse(inbound(inside), "batch")


@pytest.mark.parametrize("end", [b"1e999", b"-1e999", b"9" * 5000])
def test_a_number_that_no_double_holds_is_found_when_it_is_read(end: bytes) -> None:
    """Where the whole event is wanted: there it is refused with the remedy."""
    text = encode(USUAL)[:-1] + b',"more":' + end + b"}"
    event = regular(text, Sent(0))
    assert event is not None
    with pytest.raises(Rejected, match="as strings"):
        _ = event.body


def test_text_that_is_not_utf_8_is_refused() -> None:
    """Also where nobody looks at it."""
    body = encode({"batch": [USUAL]}).replace(b"analytics.js", b"analytics\xff")
    with pytest.raises(Rejected, match="is not UTF-8"):
        parse(inbound(body), "batch")


@given(st.integers(0, 2**42), st.sampled_from(["", "track"]), st.none() | st.text())
def test_what_the_request_said_survives_being_written(
    received: int, call: str, sent_at: str | None
) -> None:
    """It stands in Redis until somebody reads the event."""
    sent = Sent(received, call, sent_at)
    assert msgspec.json.decode(encode(sent), type=Sent) == sent
