"""What goes first where both wait, on a real Redis."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest
import redis

from destination.klaviyo.actions.order_completed import ACTION as ORDER
from destination.klaviyo.actions.track_event import ACTION as TRACK
from destination.klaviyo.actions.upsert_profile import ACTION as PROFILE
from destination.mapping.file import BatchOptions, Mapping
from destination.pipeline import Route
from destination.runtime.delivery.precedence import HELD_BACK, PATIENCE, Precedence, leaders
from destination.runtime.store import PREFIX, Row
from tests.unit.runtime.accepting import accept


def route(name: str, action: Any, **fields: Any) -> Route:
    """A mapping of an action."""
    mapping = Mapping(
        name=name,
        description="",
        action=action.name,
        trigger="",
        enabled=True,
        fields=fields,
        batch=BatchOptions(),
        examples=(),
        matches=lambda _body: True,
        resolve=lambda body: body,
        version="v1",
        source="test",
    )
    return Route(mapping, action, dict)


ROUTES = {
    each.mapping.name: each
    for each in (
        route("profile", PROFILE),
        route("joins", PROFILE, list_id="LIST"),
        route("track", TRACK),
        route("order", ORDER),
    )
}


def row(at: int) -> Row:
    """An event that was accepted then."""
    return Row(msgspec.Raw(b"{}"), str(at), "web", "ann", at=at)


class Clock:
    """Time that passes when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def precedence(client: redis.Redis, clock: Clock) -> Precedence:
    """On an empty Redis."""
    return Precedence(client, clock)


def first(precedence: Precedence, *at: int) -> int:
    """How many events accepted then may go before what waits in the lane ``profile``."""
    return precedence.first("default", "track", ["profile"], [row(each) for each in at])


def test_events_go_behind_profiles_and_nothing_else_behind_anything() -> None:
    """A lane that several actions share is waited for by none."""
    assert leaders("track", ROUTES) == leaders("order", ROUTES) == ["profile"]
    assert leaders("profile", ROUTES) == leaders("lists", ROUTES) == []


def test_a_disabled_mapping_is_not_waited_for() -> None:
    """Its rows may wait for days."""
    disabled = dataclasses.replace(ROUTES["profile"].mapping, enabled=False)
    changed = {**ROUTES, "profile": dataclasses.replace(ROUTES["profile"], mapping=disabled)}
    assert leaders("track", changed) == []


def test_an_event_waits_for_what_was_accepted_before_it(
    redis_url: str, client: redis.Redis, precedence: Precedence
) -> None:
    """And with it; what is older goes, and all of it when nothing waits."""
    assert first(precedence, 100, 200, 300) == 3
    accept(redis_url, ("i", "ann", "profile"), at=200)
    assert first(precedence, 100, 200, 300) == 1
    assert first(precedence, 300) == 0
    client.delete(f"{PREFIX}default:lane:profile")
    assert first(precedence, 300) == 1


def test_a_lane_that_must_wait_itself_delays_nobody(
    redis_url: str, client: redis.Redis, precedence: Precedence
) -> None:
    """For the rate limit, or after a failure."""
    accept(redis_url, ("i", "ann", "profile"), at=200)
    client.set(f"{PREFIX}default:hold:profile", "throttled", px=5000)
    assert first(precedence, 300) == 1


def test_a_lane_that_stands_still_delays_others_for_seconds_only(
    redis_url: str, client: redis.Redis, precedence: Precedence, clock: Clock
) -> None:
    """Its worker may have died; as soon as it moves it is waited for again."""
    accept(redis_url, ("i", "ann", "profile"), at=200)
    accept(redis_url, ("j", "ann", "profile"), at=210)
    assert first(precedence, 300) == 0
    clock.now += PATIENCE
    assert first(precedence, 300) == 1
    client.lpop(f"{PREFIX}default:lane:profile")
    assert first(precedence, 300) == 0


def test_a_long_load_of_profiles_delays_events_for_half_a_minute_only(
    redis_url: str, client: redis.Redis, precedence: Precedence, clock: Clock
) -> None:
    """Though its lane moves all the time; once it has been caught up with, events wait again."""
    for at in range(200, 300):
        accept(redis_url, (f"i{at}", "ann", "profile"), at=at)
    assert first(precedence, 300) == 0
    freed = []
    for _ in range(10):
        clock.now += HELD_BACK / 10
        client.lpop(f"{PREFIX}default:lane:profile")
        freed.append(first(precedence, 300, 301))
    assert freed == [0] * 9 + [2]
    assert first(precedence, 302) == 1
    client.delete(f"{PREFIX}default:lane:profile")
    assert first(precedence, 400) == 1
    accept(redis_url, ("j", "ann", "profile"), at=500)
    assert first(precedence, 500) == 0


def test_a_lane_that_is_let_go_on_is_held_back_anew(
    redis_url: str, client: redis.Redis, precedence: Precedence, clock: Clock
) -> None:
    """After an outage both work their backlogs off, in turns, for however long it takes."""
    for at in range(200, 300):
        accept(redis_url, (f"i{at}", "ann", "profile"), at=at)
    for _ in range(10):
        assert first(precedence, 300) == 0
        clock.now += HELD_BACK / 2
        client.lpop(f"{PREFIX}default:lane:profile")
        assert first(precedence, 199, 300) == 1


def test_rows_of_an_unknown_time_neither_wait_nor_are_waited_for(
    redis_url: str, precedence: Precedence
) -> None:
    """As an earlier version left them, or a replay made them."""
    accept(redis_url, ("i", "ann", "profile"))
    assert first(precedence, 300) == 1
    assert first(precedence, 0) == 1
