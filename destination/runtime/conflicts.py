"""Events that came under the id of another event: the first counts, and the others are told of.

A source that repeats an event says the same again. One that says something else has given two events
one id, and loses all but the first of them: an order's number as the id of all that happens to it.
"""

from __future__ import annotations

import contextlib
import math
import time
import zlib
from collections.abc import Sequence
from typing import Any

import msgspec
import redis
import redis.asyncio
import redis.exceptions

from destination.errors import Rejected
from destination.event import encode
from destination.ingress.sent import SentEvent, Taken
from destination.runtime.logs import log
from destination.runtime.store import PREFIX
from destination.settings import Source

KEPT = 20
"""Conflicting events that are kept of each connection."""

KEPT_SECONDS = 7 * 86_400
"""How long they are kept after the last one: they hold personal data."""

LARGEST = 64 * 1024
"""Bytes of an event that is kept."""

EVERY = 1.0
"""Seconds between two that are kept: a sample is enough."""

_sorted = msgspec.json.Encoder(order="deterministic").encode

_SAID = ("type", "event", "name", "userId", "previousId", "groupId", "properties", "traits")


class Conflict(msgspec.Struct):
    """An event that was not taken, since its id was known by an event that said something else."""

    source: str
    id: str
    time: float
    event: dict[str, Any]


def content_of(event: Taken) -> bytes:
    """A few bytes that are equal for events that say the same; times, and what an SDK or the network
    adds, say nothing. Five of an event's text, four of its values: different forms are not compared.
    """
    if isinstance(event, SentEvent):
        named, properties, traits = event.saying
        return b"t" + zlib.crc32(traits, zlib.crc32(properties, zlib.crc32(named))).to_bytes(4)
    said = [event.body.get(name) for name in _SAID]
    return zlib.crc32(_sorted(said)).to_bytes(4)


def conflicts_key(connection: str) -> str:
    """Where a connection's sample stands in Redis."""
    return f"{PREFIX}{connection}:conflicts"


class Conflicts:
    """Keeps a sample of each connection's conflicts. It never fails a request."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client: Any = client
        self._last = -math.inf

    async def note(self, source: Source, events: Sequence[Taken]) -> None:
        """Keep the first of these events, unless another one was kept a moment ago."""
        now = time.monotonic()
        if now - self._last < EVERY:
            return
        self._last = now
        log.warning("id_given_twice", source=source.name, events=len(events))
        event = events[0]
        try:
            text = encode(Conflict(source.name, event.id, time.time(), event.body))
        except Rejected:  # it cannot be read
            return
        if len(text) > LARGEST:
            return
        place = conflicts_key(source.connection)
        writing = self._client.pipeline(transaction=False)
        writing.lpush(place, text)
        writing.ltrim(place, 0, KEPT - 1)
        writing.expire(place, KEPT_SECONDS)
        with contextlib.suppress(redis.exceptions.RedisError, OSError, TimeoutError):
            await writing.execute()


def conflicts(client: redis.Redis, connection: str) -> list[Conflict]:
    """The sample of a connection, newest first. Raises ``redis.RedisError``."""
    texts: Any = client.lrange(conflicts_key(connection), 0, -1)
    found = []
    for text in texts:
        with contextlib.suppress(msgspec.DecodeError):
            found.append(msgspec.json.decode(text, type=Conflict))
    return found
