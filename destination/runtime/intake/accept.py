"""The accept path: many requests, one script call, and only then an answer."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import redis.asyncio
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from destination.errors import Rejected
from destination.runtime.intake.line import Line
from destination.runtime.logs import log
from destination.runtime.store import PREFIX, dedupe_digest, script_text

CHUNK = 1000
"""Events per script call at the most: Redis does nothing else meanwhile."""

AHEAD = 2
"""Calls under way at the most: Redis finds the second one there when it has done with the first."""

ENOUGH = 10
"""Events with which a second call goes; fewer wait for the first one's end, and others join them."""

TIMEOUT = 1.5
"""Seconds that one call may take."""

SENDING = 4 * 1024 * 1024
"""Bytes of a command that the kernel takes at once, where it may (``net.core.wmem_max``): whatever
does not fit waits until the server has looked after all its callers, and Redis waits for it.
"""

PATIENCE = 2.0
"""Seconds that a caller waits before hearing 503; every CDP waits at least 5."""


LOOK = 0.1
"""Seconds between two looks for callers whose patience has ended."""


@dataclass(frozen=True, slots=True)
class Target:
    """A mapping that wants an event: its lane, and the patience and size of its batches."""

    lane: str
    mapping: str
    wait_ms: int
    size: int
    head: bytes = field(init=False, repr=False)
    """What stands before an item in the lane."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "head", self.mapping.encode() + b"\n")


class Entry(msgspec.Struct, frozen=True):
    """One event to store: ``item`` is the row without its mapping, ``content`` a digest of what it
    says.
    """

    connection: str
    source: str
    id: str
    item: bytes
    targets: tuple[Target, ...]
    content: bytes = b""


class Counting(msgspec.Struct, frozen=True):
    """Events that are only counted: refused ones, and those that no mapping wants."""

    source: str
    received: int
    unmatched: int
    refused: int


class _Waiting(msgspec.Struct):
    entries: Sequence[Entry]
    counting: Counting
    done: asyncio.Future[str]
    until: float


def accept_client(url: str) -> redis.asyncio.Redis:
    """The client of the accept path: it fails fast, since a caller waits, and repeats nothing."""
    client = redis.asyncio.Redis.from_url(
        url, socket_timeout=TIMEOUT, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
    )
    pool = client.connection_pool
    pool.connection_class = type("Connection", (_Packed, pool.connection_class), {})
    return client


class _Packed:
    """Writes commands of many arguments in a fifth of the time that redis-py and hiredis take, and
    all at once where Redis is on the same machine. TCP grows its buffer by itself.
    """

    encoder: Any
    _writer: Any

    async def _connect(self) -> None:
        await super()._connect()  # type: ignore[misc]  # of redis-py's connection, see below
        sock = self._writer.get_extra_info("socket")
        if sock.family == socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SENDING)

    def pack_command(self, *args: Any) -> list[bytes]:
        words = [*args[0].split(), *args[1:]] if isinstance(args[0], str) else args
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            text = word if isinstance(word, bytes) else self.encoder.encode(word)
            parts += (b"$%d\r\n" % len(text), text, b"\r\n")
        return [b"".join(parts)]


class Intake:
    """Stores events durably. Requests that wait at the same instant share one script call."""

    def __init__(self, client: redis.asyncio.Redis, *, dedupe_hours: float) -> None:
        self._window = int(dedupe_hours * 3600)
        self._waiting: deque[_Waiting] = deque()
        self._size = 0  # events of those who wait
        self._callers: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._line = Line(client, script_text("accept", 0), TIMEOUT)
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._told: deque[_Waiting] = deque()
        self._timed = False

    async def start(self) -> None:
        """Begin to serve."""
        self._task = asyncio.create_task(self._serve())

    async def stop(self) -> None:
        """Finish what waits, then end."""
        self._stopping = True
        self._wake.set()
        if self._task:
            await self._task
        await self._line.close()

    @property
    def alive(self) -> bool:
        """Whether stores are being served."""
        return self._task is not None and not self._task.done()

    async def store(self, entries: Sequence[Entry], counting: Counting) -> str:
        """Store the entries and count the rest; for each ``A`` (accepted), ``D`` (duplicate) or
        ``C`` (its id is known, by an event that said something else).

        Returns when it is done in Redis. Raises ``Rejected`` with status 503 when Redis does not
        say so in time: the events may be stored all the same, and a repetition is a duplicate.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(entries, counting, loop.create_future(), loop.time() + PATIENCE)
        self._waiting.append(waiting)
        self._size += len(entries)
        self._told.append(waiting)
        if not self._timed:
            self._timed = True
            loop.call_later(LOOK, self._look)
        self._wake.set()
        return await waiting.done

    def _look(self) -> None:
        """Refuse those who have waited too long: one timer for all costs less than one for each."""
        loop, told = asyncio.get_running_loop(), self._told
        while told and (told[0].done.done() or told[0].until <= loop.time()):
            _refuse([told.popleft()], TimeoutError())
        self._timed = bool(told)
        if told:
            loop.call_later(LOOK, self._look)

    async def _serve(self) -> None:
        while not self._stopping:
            await self._wake.wait()
            self._wake.clear()
            self._call_too()
        while self._callers:
            await asyncio.wait(self._callers)

    def _call_too(self) -> None:
        """Have one more call, where it may begin."""
        if self._may_call(len(self._callers)):
            self._callers.add(asyncio.create_task(self._call_on()))

    def _may_call(self, under_way: int) -> bool:
        """Whether a call may begin beside those that are under way."""
        enough = self._size >= ENOUGH and under_way < AHEAD
        return bool(self._waiting) and (enough or not under_way)

    async def _call_on(self) -> None:
        """One call after the other, as long as they may begin."""
        callers = self._callers
        try:
            while self._may_call(len(callers) - 1):
                part = self._next()
                self._call_too()
                await self._commit(part)
        finally:
            callers.discard(asyncio.current_task())

    def _next(self) -> list[_Waiting]:
        """As many of those who wait, first come first, as one call may store; always one."""
        part = [self._waiting.popleft()]
        size = len(part[0].entries)
        while self._waiting and size + len(self._waiting[0].entries) <= CHUNK:
            part.append(self._waiting.popleft())
            size += len(part[-1].entries)
        self._size -= size
        return part

    async def _commit(self, part: list[_Waiting]) -> None:
        """Store a part in one call, and tell each request what became of it."""
        try:
            letters = await self._call(part)
        except Exception as error:  # noqa: BLE001 whatever it is, the next one is served
            if not isinstance(error, redis.exceptions.RedisError | OSError):
                log.error("store_failed", exc_info=error)
            # Those who came meanwhile as well: each would wait for the same trouble in turn.
            waiting, self._waiting, self._size = self._waiting, deque(), 0
            _refuse([*part, *waiting], error)
            return
        at = 0
        for each in part:
            end = at + len(each.entries)
            if not each.done.done():
                each.done.set_result(letters[at:end])
            at = end

    async def _call(self, part: list[_Waiting]) -> str:
        args: list[Any] = [PREFIX, self._window]
        counts = _counts(part)
        args.append(len(counts))
        for (source, name), by in counts.items():
            args += [source, name, by]
        args += _events(part)
        answer: bytes = await self._line.call(args)
        return answer.decode()


def _events(part: list[_Waiting]) -> list[Any]:
    """What the script is told of the events: the kinds that there are, then each event."""
    kinds: dict[tuple[str, str, int], bytes] = {}
    told: list[Any] = []
    each: list[Any] = []
    for waiting in part:
        for entry in waiting.entries:
            targets = entry.targets
            key = (entry.connection, entry.source, id(targets))
            kind = kinds.get(key)
            if kind is None:
                kind = kinds[key] = (len(kinds) + 1).to_bytes(2)
                told += [entry.connection, entry.source, len(targets)]
                for target in targets:
                    told += [target.lane, target.mapping, target.wait_ms, target.size]
            head = kind + dedupe_digest(entry.source, entry.id) + entry.content
            each += (head, *[target.head + entry.item for target in targets])
    return [len(kinds), *told, *each]


def _counts(part: list[_Waiting]) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = {}
    for waiting in part:
        counting = waiting.counting
        for name in ("received", "unmatched", "refused"):
            by = getattr(counting, name)
            if by:
                key = (counting.source, name)
                counts[key] = counts.get(key, 0) + by
    return counts


def _refuse(waiting: list[_Waiting], error: Exception) -> None:
    for each in waiting:
        if not each.done.done():
            each.done.set_exception(_refusal(error))


def _refusal(error: Exception) -> Rejected:
    if isinstance(error, redis.exceptions.OutOfMemoryError):
        full = "Redis is full; deliveries go on and make room, so post the events again"
        return Rejected(503, "queue_full", full, retry_after=5)
    return Rejected(
        503,
        "queue_unavailable",
        f"the events could not be stored ({type(error).__name__}); post them again",
        retry_after=5,
    )
