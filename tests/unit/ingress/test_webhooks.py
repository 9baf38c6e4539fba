"""The webhook formats: what each sender's body becomes, and whose requests are believed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.errors import Rejected
from destination.event import decode, encode
from destination.ingress.format import Inbound, Limits, Options, Parsed, Scheme, accepted
from destination.ingress.webhooks import FORMATS
from destination.ingress.webhooks.segment import statuses
from tests.unit.ingress.captures import RECEIVED, load, lowered, outcome

NOW = RECEIVED.timestamp()
TRACK = {"type": "track", "event": "Bought", "userId": "u", "messageId": "m"}


def of(document: Any, name: str = "segment", **headers: str) -> Inbound:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    names = {key.replace("_", "-"): value for key, value in headers.items()}
    return Inbound(name, body, RECEIVED, names)


def read(
    document: Any, name: str = "segment", options: Options | None = None, **headers: str
) -> Parsed:
    return FORMATS[name].parse(of(document, name, **headers), options or Options())


def test_formats_are_found_by_name() -> None:
    """Each under the name in its address."""
    assert {name: found.name for name, found in FORMATS.items()} == {
        name: name
        for name in ("segment", "rudderstack", "jitsu", "shopify", "standard", "cloudevents")
    }
    assert FORMATS["segment"].methods == ("POST", "PUT", "PATCH")
    assert all(found.description for found in FORMATS.values())


@pytest.mark.parametrize("client", ["actions", "extensible"])
def test_deliveries_of_segments_own_code_are_read(client: str) -> None:
    """One event, an array, an array of wrapped ones: the times stand as Segment corrected them."""
    single, batch, audience = load(f"segment-destination-webhook-{client}")["requests"]
    for request, names in (
        (single, ["Order Completed"]),
        (batch, ["Order Completed"] * 2),
        (audience, ["Audience Entered", "Audience Exited"]),
    ):
        asked = of(request["raw_text"].encode(), **lowered(request))
        found = FORMATS["segment"].parse(asked, Options())
        assert found.refused == ()
        assert [event.body["event"] for event in found.events] == names
        assert FORMATS["segment"].verify(asked, ("TESTSHAREDSECRET",), NOW, Options()).accepted
        for event, sent in zip(found.events, events_of(request["body"]), strict=True):
            assert event.id == sent["messageId"]
            told = event.body["context"].keys() - sent["context"].keys()
            assert told == ({"membership"} if request is audience else set())
            context = {name: event.body["context"][name] for name in sent["context"]}
            assert {**event.body, "context": context} == sent


def events_of(body: Any) -> list[dict[str, Any]]:
    return [item.get("json", item) for item in (body if isinstance(body, list) else [body])]


def test_integrations_of_a_relay_are_kept_and_not_judged() -> None:
    """Engage sends All false: Segment has already decided that we get it."""
    found = read({**TRACK, "integrations": {"All": False}})
    assert found.events[0].body["integrations"] == {"All": False}


def test_a_bad_event_does_not_fail_its_delivery() -> None:
    """A failed answer would make Segment send every event of the batch again."""
    found = read([TRACK, {"type": "track"}, 5, {"json": TRACK}, {"json": 5}])
    assert len(found.events) == 2
    assert [(bad.index, bad.code) for bad in found.refused] == [
        (1, "event_not_defined"),
        (2, "event_not_object"),
        (4, "type_not_defined"),
    ]
    assert accepted(found) == {
        "success": True,
        "received": 5,
        "accepted": 2,
        "rejected": [
            {"index": bad.index, "code": bad.code, "message": bad.message} for bad in found.refused
        ],
    }
    assert [each["status"] for each in statuses(found)] == [200, 400, 400, 200, 400]
    assert "errormessage" in statuses(found)[1]


def test_the_type_is_found_where_a_user_left_it_out() -> None:
    """The parts of an event that a webhook sends are the user's choice."""
    found = read(
        [{"event": "Bought"}, {"traits": {"email": "a@b.c"}}, {"type": "delete", "userId": "u"}]
    )
    assert [event.type for event in found.events] == ["track", "identify", "delete"]


def test_rows_of_segments_reverse_etl_are_read() -> None:
    """They name no person; the row's key stays at the root."""
    row = {"type": "track", "event": "new", "properties": {"email": "a@b.c"}, "__segment_id": "7"}
    [event] = read([row]).events
    assert event.body["__segment_id"] == "7"


def test_only_a_bare_wrapping_is_taken_off() -> None:
    """An event with a field of that name is itself."""
    [event] = read({**TRACK, "json": {"type": "identify"}}).events
    assert (event.type, event.body["json"]) == ("track", {"type": "identify"})


def test_the_address_of_a_relay_is_nobodys() -> None:
    """Only a client's own request can tell a person's address."""
    asked = Inbound(
        "segment", encode({**TRACK, "context": {"direct": True}}), RECEIVED, ip="9.9.9.9"
    )
    [event] = FORMATS["segment"].parse(asked, Options()).events
    assert "ip" not in event.body["context"]


def test_extras_are_not_stored() -> None:
    """Webhook Audiences may carry a secret there."""
    found = read({**TRACK, "secret": "s"}, options=Options(extras=("secret",)))
    assert b"secret" not in encode(found.events[0].body)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_probe_holds_nothing(name: str) -> None:
    """Tools test an address with an empty POST."""
    assert read(b" ", name) == Parsed((), (), None)
    assert accepted(read(b"", name)) == {"success": True, "received": 0, "accepted": 0}


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_limits_hold_for_every_format(name: str) -> None:
    """Bytes and events."""
    with pytest.raises(Rejected) as caught:
        read(TRACK, name, Options(limits=Limits(body_bytes=20)), ce_id="1", x_shopify_topic="a/b")
    assert caught.value.status == 413
    if name not in ("shopify", "standard"):
        with pytest.raises(Rejected) as caught:
            read([TRACK] * 3, name, Options(limits=Limits(batch_events=2)))
        assert caught.value.code == "too_many_events"


def test_a_key_in_the_request_is_found() -> None:
    """Sources may be told apart by key instead of by signature."""
    assert read(TRACK, x_write_key="k").write_key == "k"
    assert read({**TRACK, "writeKey": "k"}).write_key == "k"
    basic = "Basic " + base64.b64encode(b"k:").decode()
    assert read([TRACK], authorization=basic).write_key == "k"


@pytest.mark.parametrize("name", ["rudderstack", "jitsu"])
def test_relays_without_signature_send_segment_shaped_events(name: str) -> None:
    """One or several, with traits in the context, proven by a secret in a header."""
    event = {"type": "identify", "userId": "u", "context": {"traits": {"email": "a@b.c"}}}
    for document in (event, [event]):
        [found] = read(document, name).events
        assert found.body["traits"] == {"email": "a@b.c"}
    verify = FORMATS[name].verify
    assert verify(of(event, authorization="Bearer s"), ("s",), NOW, Options()).accepted
    assert not verify(of(event, authorization="Bearer t"), ("s",), NOW, Options()).accepted


def test_rudderstacks_records_become_row_events() -> None:
    """Its reverse ETL fires the mappings that were written for Segment's."""
    record = {
        "type": "record",
        "action": "insert",
        "fields": {"plan": "Pro"},
        "identifiers": {"email": "a@b.c"},
        "recordId": "3",
        "rudderId": "r",
        "channel": "sources",
        "context": {"sources": {"job_id": "j"}},
    }
    [event] = read(record, "rudderstack").events
    assert (event.type, event.body["event"]) == ("track", "new")
    assert event.body["properties"] == {"plan": "Pro", "email": "a@b.c"}
    assert event.body["context"]["sources"] == {"job_id": "j"}


def test_another_way_of_signing_can_be_set_for_any_format() -> None:
    """One verifier serves every sender."""
    scheme = Scheme(header="x-hub-signature-256", prefix="sha256=")
    options = Options(scheme=scheme)
    body = encode(TRACK)
    good = "sha256=" + hmac.new(b"s", body, hashlib.sha256).hexdigest()
    for found in FORMATS.values():
        assert found.verify(of(body, x_hub_signature_256=good), ("s",), NOW, options).accepted
        assert not found.verify(
            of(body + b" ", x_hub_signature_256=good), ("s",), NOW, options
        ).accepted


def test_standard_webhooks() -> None:
    """Named by type, with data as properties, known by the header's id."""
    document = {"type": "invoice.paid", "timestamp": "2026-11-22T10:00:00Z", "data": {"total": 5}}
    [event] = read(document, "standard", webhook_id="msg_1").events
    assert event.id == "msg_1"
    assert event.body["event"] == "invoice.paid"
    assert event.body["properties"] == {"total": 5}
    assert event.body["timestamp"] == "2026-11-22T10:00:00Z"
    assert read({**document, "data": [1]}, "standard").events[0].body["properties"] == {"data": [1]}
    assert read({"data": {}}, "standard").refused[0].code == "event_not_defined"
    assert read([document], "standard").refused[0].code == "event_not_object"
    assert not FORMATS["standard"].verify(of(document), ("whsec_AAAA",), NOW, Options()).accepted


CLOUD = {
    "specversion": "1.0",
    "id": "1",
    "source": "/shop",
    "type": "order.placed",
    "time": "2026-11-22T10:00:00Z",
    "subject": "u-1",
    "data": {"total": 5},
}


def test_cloudevents_in_three_modes() -> None:
    """Attributes in the body, in a batch of bodies, or in headers."""
    attributes = {name: value for name, value in CLOUD.items() if name != "data"}
    headers = {f"ce-{name}": str(value) for name, value in attributes.items()}
    binary = Inbound("cloudevents", b'{"total":5}', RECEIVED, headers)
    for found in (
        read(CLOUD, "cloudevents", content_type="application/cloudevents+json"),
        read([CLOUD], "cloudevents", content_type="application/cloudevents-batch+json"),
        FORMATS["cloudevents"].parse(binary, Options()),
    ):
        [event] = found.events
        assert event.id == "/shop#1"
        assert event.body["event"] == "order.placed"
        assert event.body["properties"] == {"total": 5}
        assert event.body["timestamp"] == "2026-11-22T10:00:00Z"
        assert event.body["context"]["cloudevent"] == attributes


def test_cloudevents_with_other_data() -> None:
    """Whatever is not an object is put into one."""
    text = Inbound(
        "cloudevents",
        b"hi \xff",
        RECEIVED,
        {"ce-id": "1", "ce-type": "t", "content-type": "text/plain"},
    )
    assert FORMATS["cloudevents"].parse(text, Options()).events[0].body["properties"] == {
        "data": "hi \ufffd"
    }
    plain = {**CLOUD, "data": 5}
    assert read(plain, "cloudevents").events[0].body["properties"] == {"data": 5}
    packed = {name: value for name, value in CLOUD.items() if name != "data"} | {
        "data_base64": "AA=="
    }
    assert read(packed, "cloudevents").events[0].body["properties"] == {"data_base64": "AA=="}
    assert [bad.code for bad in read([1, {}], "cloudevents").refused] == [
        "event_not_object",
        "event_not_defined",
    ]


def test_a_cloudevents_sender_may_ask_first() -> None:
    """The handshake of its webhook specification."""
    shake = FORMATS["cloudevents"].handshake
    assert shake({"webhook-request-origin": "eventemitter.example.com"}) == {
        "WebHook-Allowed-Origin": "eventemitter.example.com",
        "WebHook-Allowed-Rate": "*",
    }
    assert shake({}) == FORMATS["segment"].handshake({}) == {}


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=6)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
PARTS = st.dictionaries(
    st.sampled_from(
        [
            "type", "event", "json", "traits", "properties", "context", "id", "source", "data",
            "data_base64", "time", "timestamp", "customer", "line_items", "email", "billing_address",
            "total_price", "discount_codes", "refund_line_items", "transactions", "fields", "action",
            "default_address", "total_shipping_price_set", "phone", "product_id", "messageId",
        ]
    ),
    JSON,
    max_size=8,
)  # fmt: skip
TOPICS = st.sampled_from(
    ["orders/create", "customers/update", "refunds/create", "checkouts/create", "x/y", ""]
)


@given(
    PARTS | st.lists(PARTS | JSON, max_size=3) | JSON,
    st.sampled_from(sorted(FORMATS)),
    TOPICS,
    st.booleans(),
)
def test_any_json_is_read_or_rejected_by_every_format(
    document: Any, name: str, topic: str, binary: bool
) -> None:
    """Nothing but Rejected is raised, and what is read can be stored."""
    headers = {"x_shopify_topic": topic, **({"ce_id": "1"} if binary else {})}
    found = outcome(lambda: read(encode(document), name, None, **headers))
    if isinstance(found, Rejected):
        assert found.status == 400
    else:
        for event in found.events:
            assert decode(encode(event.body)) == event.body


@given(st.binary(max_size=40), st.sampled_from(sorted(FORMATS)))
def test_any_bytes_are_read_or_rejected_by_every_format(body: bytes, name: str) -> None:
    """Nothing but Rejected is raised."""
    found = outcome(lambda: read(body, name, x_shopify_topic="orders/create"))
    assert isinstance(found, Parsed) or found.status == 400
