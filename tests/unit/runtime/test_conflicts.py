"""Two events under one id: the first counts, and the other is told of."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from destination.event import Event, encode
from destination.ingress.sent import Sent, regular
from destination.runtime.conflicts import KEPT, LARGEST, Conflicts, conflicts, content_of
from destination.runtime.intake.accept import accept_client
from destination.runtime.store import PREFIX, SEEN_BUCKETS
from destination.settings import Source, load_settings
from tests.unit.runtime.serving import TOKEN, Server, serving

ADMIN = {"authorization": f"Bearer {TOKEN}"}
FIRST = {
    "type": "track",
    "event": "Order Placed",
    "messageId": "order-1",
    "userId": "u-1",
    "properties": {"total": 5, "currency": "EUR"},
    "context": {"ip": "198.51.100.1"},
    "timestamp": "2026-11-20T10:00:00Z",
}
SECOND = {**FIRST, "event": "Order Shipped"}


@pytest.fixture
def server(tmp_path: Path, redis_url: str, client: redis.Redis) -> Iterator[Server]:
    """A server on an empty Redis."""
    with serving(tmp_path, redis_url, DESTINATION_WRITE_KEY="k") as found:
        yield found


def post(server: Server, *events: dict[str, Any], **about: Any) -> None:
    """Post events as one batch; every one of them hears 200."""
    answer = server.post("/v1/batch", {"batch": events, **about}, auth=("k", ""))
    assert (answer.status_code, answer.json()) == (200, {"success": True})


def told(server: Server) -> tuple[int, int, int]:
    """accepted, duplicate, conflicting of the source."""
    counts = server.ask("GET", "/admin/counts", headers=ADMIN).json()
    assert counts["imbalance"] == []
    source = counts["sources"]["default"]
    return source["accepted"], source["duplicate"], source["conflicting"]


def test_the_first_of_two_events_with_one_id_counts(server: Server, client: redis.Redis) -> None:
    """The other is answered 200 as well, counted, and shown as it came."""
    post(server, FIRST)
    post(server, SECOND)
    assert told(server) == (1, 1, 1)
    rows: Any = client.lrange(f"{PREFIX}default:lane:test/events", 0, -1)
    (row,) = rows
    assert b"Order Placed" in row
    shown = server.ask("GET", "/admin/conflicts", headers=ADMIN).json()
    (found,) = shown["conflicts"]
    assert (found["source"], found["id"]) == ("default", "order-1")
    assert found["event"]["event"] == "Order Shipped"
    metrics = server.ask("GET", "/metrics", headers=ADMIN).text
    assert 'destination_conflicts_total{source="default"} 1.0' in metrics
    assert 'state="conflicting"' not in metrics


def test_two_in_one_batch_are_known_too(server: Server) -> None:
    """In the order in which they stand there, among others."""
    post(server, {**FIRST, "messageId": "other"}, FIRST, SECOND, FIRST)
    assert told(server) == (2, 2, 1)


def test_a_repetition_is_no_conflict(server: Server) -> None:
    """Whatever time it is sent at, by which address and in which order its members stand."""
    post(server, FIRST, sentAt="2026-11-20T10:00:01Z")
    again = {**dict(reversed(FIRST.items())), "context": {"ip": "203.0.113.9"}}
    post(server, again, sentAt="2026-11-20T11:00:00Z")
    assert told(server) == (1, 1, 0)
    assert server.ask("GET", "/admin/conflicts", headers=ADMIN).json() == {"conflicts": []}


def test_an_event_told_in_two_forms_is_no_conflict(server: Server) -> None:
    """Once kept as it was sent, once read in full since its batch has a context: not comparable."""
    post(server, FIRST)
    post(server, FIRST, context={"app": {"name": "shop"}})
    assert told(server) == (1, 1, 0)


def test_ids_of_an_earlier_release_conflict_with_nothing(
    server: Server, client: redis.Redis
) -> None:
    """They were kept without what their events said."""
    post(server, FIRST)
    for key in client.scan_iter(f"{PREFIX}default:seen:*"):
        fields: Any = client.hgetall(key)
        client.hset(key, mapping=dict.fromkeys(fields, b""))
    post(server, SECOND)
    assert told(server) == (1, 1, 0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


PROPERTIES = st.dictionaries(st.text(max_size=3), JSON)


@given(PROPERTIES, PROPERTIES)
def test_what_an_event_says_is_its_content(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Equal for equal properties, and for hardly any others; 32 bits are enough for that."""
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    mine, theirs = (Event("x", "track", {**FIRST, "properties": each}) for each in (one, other))
    assert (content_of(mine) == content_of(theirs)) is same


@given(PROPERTIES, PROPERTIES)
def test_of_an_event_kept_as_sent_it_is_the_text(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    """Of its properties and traits, and what names it; not of its context and times."""
    mine = regular(encode({**FIRST, "properties": one}), Sent(1))
    theirs = regular(encode({**FIRST, "properties": other, "context": {}}), Sent(2, sent_at="now"))
    assert mine is not None and theirs is not None
    assert (content_of(mine) == content_of(theirs)) is (encode(one) == encode(other))
    named = regular(encode({**FIRST, "properties": one, "event": "Another"}), Sent(1))
    assert named is not None
    assert content_of(named) != content_of(mine)


def test_the_sample_is_bounded(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """In number, in size, in time, and to one a second of each server."""
    source: Source = load_settings(folder=tmp_path, environ={}).sources["default"]

    async def note() -> None:
        asking = accept_client(redis_url)
        for number in range(KEPT + 5):
            mine = Conflicts(asking)
            await mine.note(source, [event(f"m-{number}")])
            await mine.note(source, [event("too-soon")])
        await Conflicts(asking).note(source, [event("large", "a" * LARGEST)])
        await asking.aclose()

    asyncio.run(note())
    found = conflicts(client, "default")
    assert [each.id for each in found] == [f"m-{n}" for n in range(KEPT + 4, 4, -1)]
    assert 0 < int(client.ttl(f"{PREFIX}default:conflicts")) <= 7 * 86_400


def event(name: str, text: str = "") -> Event:
    """An event of this id."""
    body = {**FIRST, "messageId": name, "properties": {"text": text}}
    return Event(id=name, type="track", body=body)


def test_knowing_what_an_event_said_costs_four_bytes(client: redis.Redis) -> None:
    """Of each id, in a bucket as full as it gets."""

    def used(value: bytes) -> int:
        client.delete("x")
        for number in range(100):
            client.hset("x", number.to_bytes(16), value)
        return int(client.memory_usage("x"))  # type: ignore[arg-type]  # sync client

    assert used(b"abcd") - used(b"") <= 100 * 8
    assert SEEN_BUCKETS == 4096
