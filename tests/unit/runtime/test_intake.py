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
    SENDING,
    Counting,
    Entry,
    Intake,
    Target,
    accept_client,
)

TARGETS = (Target("a", "a", 0, 100),)


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
    # 1,000, 1,000 and 200, the large one, the last one; the first call found no script.
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == 5 + 1
    stored = [
        text.partition(b"\n")[2] for text in client.lrange("destination:default:lane:a", 0, -1)
    ]
    assert stored == [
        each.item for number, size in enumerate(sizes) for each in entries(number, size)
    ]


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
