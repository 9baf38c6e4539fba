"""An unchanged Segment SDK posts events; the sandbox tells what arrived."""

from __future__ import annotations

from typing import Any

from segment.analytics.client import Client

from tests.acceptance.stack import KEY, Stack


def person(number: int) -> str:
    """An address whose events Klaviyo would keep."""
    return f"person{number}@acme.io"


def send_everything(client: Client, people: int) -> dict[str, int]:
    """One of each call for each of ``people``; how many of which."""
    for n in range(people):
        traits = {"email": person(n), "firstName": f"P{n}", "plan": "pro"}
        context = {"traits": {"email": person(n)}}
        client.identify(f"u-{n}", traits)
        client.track(f"u-{n}", "Signed Up", {"plan": "pro"}, context=context)
        order: dict[str, Any] = {
            "order_id": f"o-{n}",
            "total": 25.5,
            "products": [{"sku": "a", "price": 10}, {"sku": "b", "price": 5.5}],
        }
        client.track(f"u-{n}", "Order Completed", order, context=context)
        audience = {"audience_key": "vip", "vip": True}
        client.track(f"u-{n}", "Audience Entered", audience, context=context)
        client.page(f"u-{n}", "Docs", "Home")
        client.group(f"u-{n}", "g-1", {"name": "Acme"})
        client.alias(f"anon-{n}", f"u-{n}")
        client.screen(f"u-{n}", "App", "Start")
    client.flush()
    client.join()
    return {"events": people * 8, "unmatched": people * 4}


def metric_counts(held: dict[str, Any]) -> dict[str, int]:
    """How many events of each metric the sandbox holds."""
    counts: dict[str, int] = held["counts"]["events_by_metric"]
    return counts


def test_every_event_of_the_sdk_arrives_once(stack: Stack) -> None:
    """Profiles, events, orders with their products, list members; counts add up exactly."""
    sent = send_everything(stack.sdk(), 20)
    counts = stack.settle()
    source = counts["sources"]["default"]
    assert source["received"] == sent["events"]
    assert source["unmatched"] == sent["unmatched"]
    assert source["duplicate"] == source["refused"] == 0
    connection = counts["connections"]["default"]
    assert (connection["accepted"], connection["delivered"], connection["dead"]) == (80, 80, 0)
    held = stack.held()
    assert metric_counts(held) == {"Signed Up": 20, "Order Completed": 20, "Ordered Product": 40}
    profiles = {each["email"]: each for each in held["profiles"]}
    assert set(profiles) == {person(n) for n in range(20)}
    assert profiles[person(3)]["external_id"] == "u-3"
    assert profiles[person(3)]["properties"]["plan"] == "pro"
    (vip,) = held["lists"]
    assert (vip["name"], len(vip["members"])) == ("vip", 20)


def test_no_request_is_throttled(stack: Stack) -> None:
    """The shared limiter keeps a well-behaved run inside Klaviyo's windows."""
    send_everything(stack.sdk(), 30)
    stack.settle()
    assert {each["status"] for each in stack.requests()} <= {200, 201, 202, 204, 409}


def test_an_event_posted_twice_is_delivered_once(stack: Stack) -> None:
    """A client that did not hear the answer posts again with the same messageId."""
    for _ in range(2):
        client = stack.sdk(sync_mode=True)
        client.track("u-1", "Signed Up", {}, {"traits": {"email": person(1)}}, message_id="m-1")
    counts = stack.settle()
    assert counts["sources"]["default"]["duplicate"] == 1
    assert metric_counts(stack.held()) == {"Signed Up": 1}


def test_gzip_and_bad_events_in_a_batch(stack: Stack) -> None:
    """The good ones arrive; the bad one is refused by name and fails nobody."""
    batch = [
        {"type": "identify", "userId": "u-1", "traits": {"email": person(1)}},
        {"type": "track", "userId": "u-1", "properties": {}},
        {"type": "identify", "userId": "u-2", "traits": {"email": person(2)}},
    ]
    answer = stack.http.post(f"{stack.server}/v1/batch", json={"batch": batch}, auth=(KEY, ""))
    assert answer.status_code == 200
    assert [each["code"] for each in answer.json()["rejected"]] == ["event_not_defined"]
    client = stack.sdk(gzip=True)
    client.identify("u-3", {"email": person(3)})
    client.join()
    counts = stack.settle()
    assert counts["sources"]["default"]["refused"] == 1
    assert len(stack.held()["profiles"]) == 3
