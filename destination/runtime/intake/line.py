"""A connection to Redis of its own on which one script is called, again and again.

redis-py's client takes a connection out of its pool, a task and two timers for every command, and
writes down how long it took; its connection reads through several coroutines. Together that is as
much time as the server has for two events.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

import hiredis
import redis
import redis.asyncio
from redis.exceptions import InvalidResponse, NoScriptError

_NOTHING = object()
_PUSHED: Any = getattr(hiredis, "PushNotification", ())  # what Redis says unasked


class Line:
    """Calls ``script`` without keys; several calls may be under way, each within ``timeout`` seconds.

    Redis carries them out in the order in which they were made. The connection is made when it is
    needed, as the client's own are, and anew after any trouble, which fails all calls under way.
    Nothing is repeated: a call whose answer was lost may have been carried out.
    """

    def __init__(self, client: redis.asyncio.Redis, script: str, timeout: float) -> None:
        self._script = client.register_script(script)
        self._timeout = timeout
        self._pool: Any = client.connection_pool
        self._link: _Link | None = None
        self._connecting = asyncio.Lock()  # who comes first is served first

    async def call(self, args: Sequence[Any]) -> Any:
        """What the script answers. Raises ``redis.RedisError``, ``OSError`` or ``TimeoutError``."""
        link = None
        try:
            async with asyncio.timeout(self._timeout):
                link = self._link
                if link is None or link.ended:
                    link = await self._connected()
                try:
                    return await link.ask("EVALSHA", self._script.sha, 0, *args)
                except NoScriptError:
                    loaded = link.ask("SCRIPT LOAD", self._script.script)
                    # Sent at once, so that calls that Redis does not know either keep their order.
                    again = link.ask("EVALSHA", self._script.sha, 0, *args)
                    done = await asyncio.gather(loaded, again, return_exceptions=True)
                    for each in done:
                        if isinstance(each, BaseException):
                            raise each from None
                    return done[1]
        except (TimeoutError, asyncio.CancelledError):
            if link is not None:
                link.end()  # its answer may still come, and would be waited for by nobody
            raise

    async def close(self) -> None:
        """End the connection; another call would make a new one."""
        if self._link is not None:
            await self._link.close()

    async def _connected(self) -> _Link:
        async with self._connecting:
            if self._link is not None and not self._link.ended:
                return self._link  # made by the call before
            await self.close()
            connection = self._pool.make_connection()
            connection.socket_timeout = None  # the call is timed as a whole
            try:
                await connection.connect()
            except BaseException:
                await connection.disconnect(nowait=True)
                raise
            self._link = _Link(connection)
            return self._link


class _Link(asyncio.Protocol):
    """An open connection, from when redis-py has greeted Redis on it: answers come as asked."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._asked: deque[asyncio.Future[Any]] = deque()
        self._answers = hiredis.Reader(
            protocolError=InvalidResponse,
            replyError=connection._parser.parse_error,  # noqa: SLF001 hiredis knows no kinds of errors
            notEnoughData=_NOTHING,
        )
        self._transport = connection._writer.transport  # noqa: SLF001 redis-py's own is slow to read
        self.ended = self._transport.is_closing()
        self._transport.set_protocol(self)

    def ask(self, *words: Any) -> asyncio.Future[Any]:
        """Send a command; the answer to come."""
        told: asyncio.Future[Any] = self._loop.create_future()
        if self.ended or self._transport.is_closing():
            told.set_exception(_gone())
            return told
        packed = self._connection.pack_command(*words)
        self._asked.append(told)
        self._transport.writelines(packed)
        return told

    def data_received(self, data: bytes) -> None:
        """Tell those who asked first of the answers that are whole."""
        try:
            self._answers.feed(data)
            while (answer := self._answers.gets()) is not _NOTHING:
                if not isinstance(answer, _PUSHED):
                    self._tell(answer)
        except redis.RedisError as error:
            self.end(error)

    def _tell(self, answer: Any) -> None:
        if not self._asked:  # that it has too many clients, for example
            raise answer if isinstance(answer, redis.RedisError) else _gone()
        told = self._asked.popleft()
        if told.done():  # its caller waits no more
            return
        if isinstance(answer, Exception):
            told.set_exception(answer)
        else:
            told.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Redis has hung up."""
        self.end(exc)

    def end(self, cause: Exception | None = None) -> None:
        """Fail what is under way, and send no more."""
        self.ended = True
        self._transport.abort()
        while self._asked:
            told = self._asked.popleft()
            if not told.done():
                told.set_exception(cause if isinstance(cause, redis.RedisError) else _gone())

    async def close(self) -> None:
        """The same, and let go of the connection."""
        self.end()
        await self._connection.disconnect(nowait=True)


def _gone() -> redis.ConnectionError:
    return redis.ConnectionError("Redis has hung up")
