"""Events: recorded once, at their time, with their person."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.sandbox.api import Api, bulk_events, errors, event, event_attributes

ANN = {"email": "a@acme.io"}


def test_an_event_makes_its_metric_and_updates_its_profile(api: Api) -> None:
    """202 with an empty body; both are there at once."""
    api.profile(email="a@acme.io", title="Dr")
    person = {**ANN, "first_name": "Ann", "meta": {"patch_properties": {"append": {"skus": "x"}}}}
    assert api.post("/api/events/", event(person, "Viewed", value=3.5), status=202) is None
    state = api.state()
    (ann,) = state["profiles"]
    assert (ann["title"], ann["first_name"], ann["properties"]) == ("Dr", "Ann", {"skus": ["x"]})
    assert [each["name"] for each in state["metrics"]] == ["Viewed"]
    assert state["events"][0]["value"] == 3.5


def test_one_unique_id_is_recorded_once_for_profile_and_metric(api: Api) -> None:
    """The first one wins; another metric or profile is another event."""
    api.post("/api/events", event(ANN, "A", unique_id="1", value=1), status=202)
    api.post("/api/events", event({"email": "A@ACME.IO"}, "A", unique_id="1", value=2), status=202)
    api.post("/api/events", event(ANN, "B", unique_id="1"), status=202)
    api.post("/api/events", event({"email": "b@acme.io"}, "A", unique_id="1"), status=202)
    state = api.state()
    assert [each["value"] for each in state["events"]] == [1, None, None]
    assert state["counts"]["duplicate_events"] == 1


def test_without_a_unique_id_there_is_one_event_a_second(api: Api) -> None:
    """The time to the second stands in."""
    for time in ("2026-11-20T10:00:00.1Z", "2026-11-20T10:00:00.9Z", "2026-11-20T10:00:01Z"):
        api.post("/api/events", event(ANN, time=time), status=202)
    assert len(api.state()["events"]) == 2


def test_events_are_seen_a_little_later(api: Api) -> None:
    """GET shows them after the switch's delay, newest last, with value and unique id."""
    api.post("/api/events", event(ANN, unique_id="1", value=9.5, value_currency="EUR"), status=202)
    assert api.get("/api/events")["data"] == []
    api.clock.advance(1)
    document = api.get("/api/events?include=metric,profile")
    (found,) = document["data"]
    expected = {"$event_id": "1", "$value": 9.5, "$value_currency": "EUR"}
    assert found["attributes"]["event_properties"] == expected
    assert {each["type"] for each in document["included"]} == {"metric", "profile"}
    for part in ("metric", "profile"):
        api.get(f"/api/events/{found['id']}/{part}")
        api.get(f"/api/events/{found['id']}/relationships/{part}")
    metric = document["included"][0]["id"]
    api.get(f"/api/metrics/{metric}")
    assert len(api.get(f'/api/events?filter=equals(metric_id,"{metric}")')["data"]) == 1
    assert api.get("/api/events?filter=greater-than(datetime,2027-01-01T00:00:00Z)")["data"] == []
    assert api.get("/api/metrics")["data"][0]["attributes"]["name"] == "Order Completed"


def nested(depth: int) -> dict[str, Any]:
    """Properties with objects nested ``depth`` deep."""
    held: dict[str, Any] = {"x": 1}
    for _ in range(depth):
        held = {"x": held}
    return held


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"unique_id": ""}, "/unique_id"),
        ({"unique_id": "x" * 256}, "/unique_id"),
        ({"time": "1989-12-31T00:00:00Z"}, "/time"),
        ({"time": "2028-01-01T00:00:00Z"}, "/time"),
        ({"time": "yesterday"}, "/time"),
        ({"time": 1795255200}, "/time"),
        ({"value": "9.5"}, "/value"),
        ({"value_currency": "Euro"}, "/value_currency"),
        ({"metric": "x" * 128}, "/metric/data/attributes/name"),
        ({"properties": {f"p{n}": 1 for n in range(401)}}, "/properties"),
        ({"properties": {"x": "é" * 50_001}}, "/properties/x"),
        ({"properties": {"x": [0] * 4001}}, "/properties/x"),
        ({"properties": {"x": 2**63}}, "/properties/x"),
        ({"properties": nested(11)}, "/properties" + "/x" * 11),
        ({"shape": 1}, "/shape"),
    ],
)
def test_event_limits(api: Api, change: dict[str, Any], place: str) -> None:
    """Each is refused with its place, in both endpoints."""
    found = errors(api.post("/api/events", event(ANN, **change), status=400))
    assert [pointer for _, pointer in found] == ["/data/attributes" + place]
    body = bulk_events((ANN, [event_attributes(), event_attributes(**change)]))
    found = errors(api.post("/api/event-bulk-create-jobs", body, status=400))
    start = "/data/attributes/events-bulk-create/data/0/attributes/events/data/1/attributes"
    assert [pointer for _, pointer in found] == [start + place]
    assert api.state()["events"] == []


def test_events_at_the_limits_pass(api: Api) -> None:
    """400 properties, 100 KB, 4000 items, nesting 10, a name of 127, an id of 255."""
    for properties in (
        {f"p{n}": 1 for n in range(400)},
        {"x": "x" * 100_000},
        {"x": [0] * 4000},
        {"x": 2**63 - 1},
        nested(10),
        {"x": [nested(9)]},
    ):
        body = event({"external_id": "1"}, "x" * 127, properties=properties, unique_id="x" * 255)
        api.post("/api/events", body, status=202)


def test_bulk_events_are_recorded_by_group(api: Api) -> None:
    """Each group is one profile with its events; a request holds 1000 events in all."""
    groups = [
        ({"email": f"p{n}@acme.io"}, [event_attributes(unique_id=f"{n}-{m}") for m in range(2)])
        for n in range(500)
    ]
    assert api.post("/api/event-bulk-create-jobs", bulk_events(*groups), status=202) is None
    assert api.state()["counts"]["events"] == 1000
    assert api.state()["counts"]["profiles"] == 500
    groups[0][1].append(event_attributes(unique_id="more"))
    api.post("/api/event-bulk-create-jobs", bulk_events(*groups), status=400)


def test_a_repeated_event_in_one_request_refuses_it(api: Api) -> None:
    """Or is dropped silently, by the switch."""
    body = bulk_events((ANN, [event_attributes(unique_id="1"), event_attributes(unique_id="1")]))
    ((_, place),) = errors(api.post("/api/event-bulk-create-jobs", body, status=400))
    assert place.endswith("/events/data/1/attributes/unique_id")
    api.switches.update({"duplicate_events": "drop"})
    api.post("/api/event-bulk-create-jobs", body, status=202)
    assert len(api.state()["events"]) == 1


def test_events_need_someone(api: Api) -> None:
    """No identifier is refused, an anonymous id is enough, an unknown id is dropped silently."""
    ((_, place),) = errors(api.post("/api/events", event({"first_name": "A"}), status=400))
    assert place == "/data/attributes/profile/data/attributes"
    api.post("/api/events", event({"anonymous_id": "x"}), status=202)
    body = event({})
    body["data"]["attributes"]["profile"]["data"]["id"] = "01HZZZZZZZZZZZZZZZZZZZZZZZ"
    api.post("/api/events", body, status=202)
    state = api.state()
    assert len(state["events"]) == 1
    assert [each["what"] for each in state["dropped"]] == ["event"]


def test_a_bad_number_in_an_event_is_dropped_with_a_header(api: Api) -> None:
    """As in Create Profile."""
    reply = api.send("POST", "/api/events", event({**ANN, "phone_number": "1"}))
    assert (reply.status, reply.headers["X-Klaviyo-Partial-Failure"]) == (202, "phone_number")
    assert "phone_number" not in api.state()["profiles"][0]


def test_test_domains_may_be_dropped_silently(api: Api) -> None:
    """By a switch that is off by default."""
    api.post("/api/events", event({"email": "a@example.com"}), status=202)
    api.switches.update({"drop_test_domains": True})
    api.post("/api/events", event({"email": "a@test.com"}), status=202)
    state = api.state()
    assert len(state["events"]) == 1
    assert [each["what"] for each in state["dropped"]] == ["event"]
