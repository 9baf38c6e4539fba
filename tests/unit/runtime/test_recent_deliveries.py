"""The log of recent deliveries: its order, how long it gets, and what is taken from it."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from destination.event import decode, encode
from destination.runtime.delivery.lanes import Lane, Record
from destination.runtime.recent_deliveries import (
    RECENT,
    entries_of,
    recent_deliveries,
    recent_key,
    without,
)
from destination.runtime.store import Scripts

KEY = recent_key("acme")


def entry(number: int) -> bytes:
    """An entry that can be told from others."""
    return encode({"id": number})


def numbers(entries: list[bytes]) -> list[int]:
    """The entries' numbers in their order."""
    return [decode(each)["id"] for each in entries]


def raw(client: redis.Redis) -> list[bytes]:
    """The elements as they stand."""
    elements: Any = client.lrange(KEY, 0, -1)
    return list(elements)


def commit(scripts: Scripts, *commits: list[bytes]) -> None:
    """Log these entries, oldest first, a commit for each list."""
    lane = Lane(scripts, "acme", "m", lease=30)
    assert lane.seize()
    for entries in commits:
        record = Record()
        record.log(entries)
        lane.commit(record)
    lane.give_back()


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    sizes=st.lists(
        st.one_of(st.integers(1, 9), st.integers(RECENT - 1, RECENT), st.integers(1, RECENT)),
        max_size=8,
    )
)
def test_the_last_entries_are_kept_newest_first(
    client: redis.Redis, scripts: Scripts, sizes: list[int]
) -> None:
    """As many as asked for at the least, and never twice as many, however many a commit logs."""
    client.flushdb()
    logged = 0
    for size in sizes:
        commit(scripts, [entry(number) for number in range(logged, logged + size)])
        logged += size
        seen = numbers(recent_deliveries(client, "acme"))
        assert seen == list(range(logged - 1, logged - 1 - len(seen), -1))
        assert min(logged, RECENT) <= len(seen) < 2 * RECENT
        assert numbers(recent_deliveries(client, "acme", 7)) == seen[:7]


def test_the_log_of_an_earlier_version_goes(client: redis.Redis, scripts: Scripts) -> None:
    """Its elements were single entries; it could not read those of this one."""
    client.rpush("destination:acme:recent", *[entry(number) for number in range(RECENT)])
    commit(scripts, [entry(RECENT)])
    assert numbers(recent_deliveries(client, "acme")) == [RECENT]
    assert not client.exists("destination:acme:recent")


@pytest.mark.parametrize("gone", [[2], [1, 3], [1, 2, 3]])
def test_entries_are_taken_from_an_element_and_the_count_goes_on(
    client: redis.Redis, scripts: Scripts, gone: list[int]
) -> None:
    """As erasure does: what is left keeps its order, and the next entries follow."""
    commit(scripts, [entry(1), entry(2), entry(3)])
    (element,) = raw(client)
    left = without(element, map(entry, gone))
    assert numbers(entries_of([left])) == [each for each in (3, 2, 1) if each not in gone]
    client.lset(KEY, 0, left.decode())
    commit(scripts, [entry(4)])
    newest, _oldest = raw(client)
    assert newest.split(b"\n") == [b"4", entry(4)]
