"""How waiting requests share script calls, and what they hear when Redis takes none."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis

from destination.errors import Rejected
from destination.runtime.intake.accept import (
    CHUNK,
    ENOUGH,
    SENDING,
    Counting,
    Entry,
    Intake,
    Target,
    accept_client,
)

TARGETS = (Target("a", "a", 0, 100),)

TURNS = 5
"""Turns of the loop after which a call that may begin has been sent."""


def entries(request: int, count: int) -> list[Entry]:
    """The events of one request."""
    return [
        Entry("default", "web", f"{request}-{each}", b"%d-%d" % (request, each), TARGETS)
        for each in range(count)
    ]


def with_intake(url: str, steps: Callable[[Intake], Awaitable[Any]]) -> Any:
    """What ``steps`` give that use an intake."""

    async def run() -> Any:
        client = accept_client(url)
        intake = Intake(client, dedupe_hours=24)
        await intake.start()
        try:
            return await steps(intake)
        finally:
            await intake.stop()
            await client.aclose()

    return asyncio.run(run())


def test_requests_that_wait_together_share_full_calls_and_keep_their_order(
    redis_url: str, client: Any
) -> None:
    """None is divided, and one that is larger than a call may be goes alone."""
    sizes = [100] * 22 + [CHUNK + 1] + [1]

    async def steps(intake: Intake) -> list[str]:
        return await asyncio.gather(
            *(
                intake.store(entries(number, size), Counting("web", size, 0, 0))
                for number, size in enumerate(sizes)
            )
        )

    client.script_flush()
    client.config_resetstat()
    letters = with_intake(redis_url, steps)
    assert letters == ["A" * size for size in sizes]
    # 1,000, 1,000 and 200, the large one, the last one; the first two calls found no script.
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == 5 + 2
    assert stored_in(client) == [
        each.item for number, size in enumerate(sizes) for each in entries(number, size)
    ]


def store(intake: Intake, number: int, size: int) -> asyncio.Task[str]:
    """A request of so many events, which waits for its turn."""
    return asyncio.create_task(intake.store(entries(number, size), Counting("web", size, 0, 0)))


async def until_sent() -> None:
    """Let the intake begin its calls."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


def stored_in(client: Any) -> list[bytes]:
    """The items of all rows."""
    rows = client.lrange("destination:default:lane:a", 0, -1)
    return [row.partition(b"\n")[2] for row in rows]


def test_a_second_call_goes_when_it_has_enough_to_store(redis_url: str, client: Any) -> None:
    """Fewer events wait until the calls under way have ended, and share one call then."""

    async def steps(intake: Intake) -> list[str]:
        await store(intake, 0, 1)
        await asyncio.to_thread(client.config_resetstat)
        client.execute_command("CLIENT", "PAUSE", 300, "WRITE")
        asked = []
        for number, size in enumerate([1, ENOUGH, ENOUGH, 1], 1):
            asked.append(store(intake, number, size))
            await until_sent()
        return await asyncio.gather(*asked)

    letters = with_intake(redis_url, steps)
    assert letters == ["A", "A" * ENOUGH, "A" * ENOUGH, "A"]
    # The first, the second beside it, and what came when two were under way.
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == 3
    sizes = enumerate([1, 1, ENOUGH, ENOUGH, 1])
    assert stored_in(client) == [e.item for number, size in sizes for e in entries(number, size)]


def test_events_of_calls_under_way_are_stored_once_when_the_script_is_forgotten(
    redis_url: str, client: Any
) -> None:
    """The same events in both calls are duplicates in the second one."""

    async def steps(intake: Intake) -> list[str]:
        await store(intake, 0, 1)
        client.script_flush()
        client.execute_command("CLIENT", "PAUSE", 100, "WRITE")
        first = store(intake, 1, ENOUGH)
        await until_sent()
        asked = [first, store(intake, 1, ENOUGH), store(intake, 2, ENOUGH)]
        return await asyncio.gather(*asked)

    letters = with_intake(redis_url, steps)
    assert letters == ["A" * ENOUGH, "D" * ENOUGH, "A" * ENOUGH]
    sizes = enumerate([1, ENOUGH, ENOUGH])
    assert stored_in(client) == [e.item for number, size in sizes for e in entries(number, size)]


def test_trouble_refuses_all_that_is_under_way_and_waits_and_the_next_is_stored(
    redis_url: str, client: Any
) -> None:
    """Nobody waits for the trouble to come in turn."""

    async def steps(intake: Intake) -> str:
        await store(intake, 0, 1)
        client.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
        try:
            asked = []
            for number, size in enumerate([1, ENOUGH, ENOUGH, 1], 1):
                asked.append(store(intake, number, size))
                await until_sent()
            await asyncio.to_thread(
                client.execute_command, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"
            )
            refused = await asyncio.gather(*asked, return_exceptions=True)
        finally:
            await asyncio.to_thread(client.execute_command, "CLIENT", "UNPAUSE")
        assert [each.status for each in refused if isinstance(each, Rejected)] == [503] * 4
        return await store(intake, 5, 2)

    assert with_intake(redis_url, steps) == "AA"
    assert len(stored_in(client)) == 3


def test_stopping_stores_what_is_under_way_and_what_waits(redis_url: str, client: Any) -> None:
    """Their callers hear of it."""

    async def steps(intake: Intake) -> list[str]:
        await store(intake, 0, 1)
        client.execute_command("CLIENT", "PAUSE", 100, "WRITE")
        asked = []
        for number, size in enumerate([1, ENOUGH, ENOUGH, 1], 1):
            asked.append(store(intake, number, size))
            await until_sent()
        await intake.stop()
        assert not intake.alive
        return await asyncio.gather(*asked)

    assert with_intake(redis_url, steps) == ["A", "A" * ENOUGH, "A" * ENOUGH, "A"]
    assert len(stored_in(client)) == 3 + 2 * ENOUGH


def test_who_finds_redis_full_hears_so(redis_url: str, client: Any) -> None:
    """Though nobody has looked at its memory since."""

    async def steps(intake: Intake) -> str:
        await intake.store(entries(0, 1), Counting("web", 1, 0, 0))
        await asyncio.to_thread(client.config_set, "maxmemory", 1)
        try:
            with pytest.raises(Rejected) as refused:
                await intake.store(entries(1, 1), Counting("web", 1, 0, 0))
        finally:
            await asyncio.to_thread(client.config_set, "maxmemory", 0)
        return f"{refused.value.status} {refused.value.code}"

    assert with_intake(redis_url, steps) == "503 queue_full"


def test_the_kernel_takes_a_whole_call_where_redis_is_on_this_machine(
    redis_url: str, client: redis.Redis
) -> None:
    """As many bytes as a socket may be given here, so that Redis need not wait for the rest."""
    with socket.socket(socket.AF_UNIX) as bare:
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SENDING)
        most = bare.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)

    async def steps(_intake: Intake) -> int:
        pool: Any = accept_client(redis_url).connection_pool
        connection = pool.make_connection()
        await connection.connect()
        try:
            told = connection._writer.get_extra_info("socket")
            return int(told.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF))
        finally:
            await connection.disconnect()

    assert with_intake(redis_url, steps) == most
