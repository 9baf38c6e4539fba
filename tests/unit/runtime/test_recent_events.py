"""The sample of recent events: what is in it, how large it gets, and that it harms nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import redis
from redis.asyncio import Redis

from destination.event import Event
from destination.runtime.recent_events import (
    KEPT,
    LARGEST,
    Recorder,
    recorded_events,
    recorded_key,
)
from destination.settings import Source
from tests.unit.runtime.serving import KEY, serving

TOML = f'[sources.shop]\nwrite_keys = ["{KEY}"]\n'
SHOP = Source(name="shop")
AUTH = {"x-write-key": KEY}


def event(number: int, **more: Any) -> Event:
    body = {"type": "track", "event": "Seen", "messageId": f"m-{number}", "userId": "u", **more}
    return Event(f"m-{number}", "track", body)


def ids(client: redis.Redis) -> list[str]:
    return [each.event["messageId"] for each in recorded_events(client, "default")]


def record(url: str, keep: int, *requests: list[Event], from_client: bool = True) -> None:
    """Note events as the server does, request by request, and wait until they are written."""

    async def run() -> None:
        client = Redis.from_url(url)
        recorder = Recorder(client, keep, pause=0)
        for events in requests:
            recorder.note(SHOP, events, from_client=from_client)
        await recorder.settled()
        await client.aclose()

    asyncio.run(run())


def test_nothing_is_recorded_unless_asked_for(
    tmp_path: Path, redis_url: str, client: redis.Redis
) -> None:
    """Personal data is not kept by default."""
    with serving(tmp_path, redis_url, TOML) as server:
        server.post("/v1/track", event(1).body, headers=AUTH)
    assert client.exists(recorded_key("default")) == 0


def test_what_is_taken_in_is_recorded_with_its_source(
    tmp_path: Path, redis_url: str, client: redis.Redis
) -> None:
    """Also an event that no mapping wants: another mapping might. A refused one is none."""
    batch = [
        event(1).body,
        {"type": "page", "messageId": "m-2", "userId": "u"},
        {"type": "track", "messageId": "m-3", "userId": "u"},
    ]
    with serving(tmp_path, redis_url, TOML, DESTINATION_RECORD_EVENTS="10") as server:
        answer = server.post("/v1/batch", {"batch": batch}, headers=AUTH)
        assert answer.status_code == 200
    found = recorded_events(client, "default")
    assert [each.event["messageId"] for each in found] == ["m-1", "m-2"]
    assert {each.source for each in found} == {"shop"}
    assert found[0].event["receivedAt"]


def test_events_that_their_client_keeps_away_are_left_out(
    redis_url: str, client: redis.Redis
) -> None:
    """No mapping sees them. On webhooks `integrations` is about another destination."""
    away = event(1, integrations={"All": False})
    record(redis_url, 5, [away, event(2)])
    assert ids(client) == ["m-2"]
    record(redis_url, 5, [away], from_client=False)
    assert ids(client) == ["m-2", "m-1"]


def test_the_sample_holds_the_newest_events(redis_url: str, client: redis.Redis) -> None:
    """However they arrive, and for a week after the last one."""
    record(redis_url, 3, [event(1), event(2)], [event(3)])
    record(redis_url, 3, [event(4)])
    assert ids(client) == ["m-2", "m-3", "m-4"]
    record(redis_url, 3, [event(number) for number in range(10, 20)])
    assert ids(client) == ["m-17", "m-18", "m-19"]
    assert 0 < client.ttl(recorded_key("default")) <= KEPT


def test_an_event_of_unusual_size_is_not_kept(redis_url: str, client: redis.Redis) -> None:
    """The sample is bounded in bytes as well."""
    record(redis_url, 3, [event(1, properties={"text": "x" * LARGEST}), event(2)])
    assert ids(client) == ["m-2"]


def test_a_failing_redis_is_nobodys_trouble(redis_url: str, client: redis.Redis) -> None:
    """Recording goes on when Redis does."""
    client.set(recorded_key("default"), "not a list")
    record(redis_url, 3, [event(1)])
    client.delete(recorded_key("default"))
    record(redis_url, 3, [event(2)])
    assert ids(client) == ["m-2"]


def test_what_cannot_be_read_is_passed_over(redis_url: str, client: redis.Redis) -> None:
    """Such as what another version wrote."""
    record(redis_url, 5, [event(1)])
    client.rpush(recorded_key("default"), "{}", "nonsense", '{"source": "shop", "event": 5}')
    assert ids(client) == ["m-1"]
