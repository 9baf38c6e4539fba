"""The accept path's own connection to Redis, through all that may happen to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.exceptions import ResponseError

from destination.runtime.intake.accept import accept_client
from destination.runtime.intake.line import Line

COUNT = "return redis.call('INCRBY', 'count', ARGV[1])"
FAIL = "return redis.call('INCR', 'text')"

TURNS = 5
"""Turns of the loop after which it has seen that a connection has ended."""

Steps = Callable[[Line], Awaitable[Any]]


def on_a_line(url: str, steps: Steps, script: str = COUNT, timeout: float = 5) -> Any:
    """What ``steps`` give that use a line."""

    async def run() -> Any:
        client = accept_client(url)
        line = Line(client, script, timeout)
        try:
            return await steps(line)
        finally:
            await line.close()
            await client.aclose()

    return asyncio.run(run())


def _hang_up(client: Any) -> None:
    client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


@pytest.mark.parametrize("trouble", [_hang_up, redis.Redis.script_flush])
def test_a_line_goes_on_when_redis_has_hung_up_or_forgotten_the_script(
    redis_url: str, client: redis.Redis, trouble: Callable[[redis.Redis], Any]
) -> None:
    """Nothing that came before the call fails it, and it is carried out once."""

    async def steps(line: Line) -> list[int]:
        first = await line.call([1])
        trouble(client)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        return [first, await line.call([b"10"]), await line.call([100])]

    assert on_a_line(redis_url, steps) == [1, 11, 111]


def test_a_call_that_takes_too_long_fails_and_its_answer_is_nobody_elses(
    redis_url: str, client: Any
) -> None:
    """It may have been carried out."""

    async def steps(line: Line) -> Any:
        await line.call([1])
        client.execute_command("CLIENT", "PAUSE", 300, "ALL")
        with pytest.raises(TimeoutError):
            await line.call([10])
        await asyncio.to_thread(client.ping)  # answered when the pause is over
        return await line.call([100])

    assert on_a_line(redis_url, steps, timeout=0.15) in {101, 111}


def test_calls_under_way_together_are_answered_in_their_order(
    redis_url: str, client: redis.Redis
) -> None:
    """The first ones meet while there is no connection yet."""

    async def steps(line: Line) -> list[int]:
        return list(await asyncio.gather(*(line.call([by]) for by in (1, 10, 100, 1000))))

    assert on_a_line(redis_url, steps) == [1, 11, 111, 1111]
    assert client.get("count") == b"1111"


def test_calls_under_way_together_are_carried_out_once_when_the_script_is_forgotten(
    redis_url: str, client: Any
) -> None:
    """All of them find it missing, and none is passed by another one."""

    async def steps(line: Line) -> list[int]:
        await line.call([1])
        client.script_flush()
        return list(await asyncio.gather(*(line.call([by]) for by in (10, 100, 1000))))

    assert on_a_line(redis_url, steps) == [11, 111, 1111]
    assert client.get("count") == b"1111"


def test_a_call_given_up_fails_the_others_under_way_and_the_next_one_works(
    redis_url: str, client: Any
) -> None:
    """What comes would be taken for an answer to them."""

    async def steps(line: Line) -> Any:
        await line.call([1])
        client.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
        try:
            first, second = (asyncio.create_task(line.call([by])) for by in (10, 100))
            for _ in range(TURNS):
                await asyncio.sleep(0)
            first.cancel()
            await asyncio.wait([first, second])
        finally:
            await asyncio.to_thread(client.execute_command, "CLIENT", "UNPAUSE")
        assert first.cancelled()
        assert isinstance(second.exception(), redis.ConnectionError)
        return await line.call([0])

    assert on_a_line(redis_url, steps, timeout=30) in {1, 11, 101, 111}


def test_redis_hanging_up_fails_all_calls_under_way_and_the_next_one_works(
    redis_url: str, client: Any
) -> None:
    """At once: none waits for the end of its time."""

    async def steps(line: Line) -> list[Any]:
        await line.call([1])
        client.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
        try:
            both = asyncio.create_task(together(line))
            for _ in range(TURNS):
                await asyncio.sleep(0)
            await asyncio.to_thread(_hang_up, client)
            failed = await both
        finally:
            await asyncio.to_thread(client.execute_command, "CLIENT", "UNPAUSE")
        assert await line.call([1000]) == 1001
        return failed

    failed = on_a_line(redis_url, steps, timeout=30)
    assert [type(each) for each in failed] == [redis.ConnectionError] * 2


async def together(line: Line) -> list[Any]:
    """What becomes of two calls under way at once."""
    calls = [line.call([by]) for by in (10, 100)]
    return await asyncio.gather(*calls, return_exceptions=True)


def test_an_error_of_the_script_is_told_and_the_line_goes_on(
    redis_url: str, client: redis.Redis
) -> None:
    """Redis without memory answers so, for example."""

    async def steps(line: Line) -> Any:
        client.set("text", "a")
        with pytest.raises(ResponseError):
            await line.call([])
        client.set("text", "1")
        return await line.call([])

    assert on_a_line(redis_url, steps, FAIL) == 2


def test_nobody_there_is_an_error() -> None:
    """At once, not after a while."""

    async def steps(line: Line) -> None:
        for _ in range(2):
            with pytest.raises(redis.RedisError):
                await line.call([1])

    on_a_line("redis://127.0.0.1:1/0", steps)
