"""A connection to Redis of its own on which one script is called, again and again.

redis-py's client takes a connection out of its pool, a task and two timers for every command, and
writes down how long it took: as much time as the server has for two events.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import redis
import redis.asyncio
from redis.exceptions import NoScriptError


class Line:
    """Calls ``script`` without keys; one call at a time, each within ``timeout`` seconds.

    The connection is made when it is needed, as the client's own are, and anew after any trouble.
    Nothing is repeated: a call whose answer was lost may have been carried out.
    """

    def __init__(self, client: redis.asyncio.Redis, script: str, timeout: float) -> None:
        self._script = client.register_script(script)
        self._timeout = timeout
        pool: Any = client.connection_pool
        self._connection = pool.make_connection()
        self._connection.socket_timeout = None  # the call is timed as a whole

    async def call(self, args: Sequence[Any]) -> Any:
        """What the script answers. Raises ``redis.RedisError``, ``OSError`` or ``TimeoutError``."""
        async with asyncio.timeout(self._timeout):
            await self._be_connected()
            try:
                return await self._ask("EVALSHA", self._script.sha, 0, *args)
            except NoScriptError:
                await self._ask("SCRIPT LOAD", self._script.script)
                return await self._ask("EVALSHA", self._script.sha, 0, *args)

    async def close(self) -> None:
        """End the connection; another call would make a new one."""
        with contextlib.suppress(redis.RedisError, OSError):
            await self._connection.disconnect()

    async def _be_connected(self) -> None:
        connection = self._connection
        # Something to read before anything was asked: that Redis has hung up, as a rule.
        if connection.is_connected and await connection.can_read():
            await connection.disconnect(nowait=True)
        if not connection.is_connected:
            await connection.connect()

    async def _ask(self, *words: Any) -> Any:
        connection = self._connection
        packed = connection.pack_command(*words)
        await connection.send_packed_command(packed, check_health=False)
        return await connection.read_response()
