"""A bounded sample of the events that arrive, kept so that changes to mappings can be tried on them.

Off unless ``DESTINATION_RECORD_EVENTS`` says how many: events hold personal data. The sample is a
Redis list per connection, ``destination:C:recorded``, newest first, and goes when nothing has been
recorded for ``KEPT`` seconds. Recording never delays an answer and never fails one: under load, and
while Redis has trouble, events go unrecorded.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec
import redis
import redis.asyncio
import redis.exceptions

from destination.errors import Rejected
from destination.event import encode
from destination.ingress.normalise import wants_klaviyo
from destination.ingress.sent import Taken
from destination.runtime.logs import log
from destination.runtime.store import PREFIX
from destination.settings import Source

KEPT = 7 * 86_400
"""Seconds for which a sample outlives its last event."""

PAUSE = 0.5
"""Seconds between two writes: a write holds what came meanwhile, at most the whole sample."""

LARGEST = 64 * 1024
"""Bytes of an event that is recorded."""


class Recorded(msgspec.Struct):
    """An event as it was taken in, and the source that sent it."""

    source: str
    event: dict[str, Any]


_decode = msgspec.json.Decoder(Recorded).decode


class Recorder:
    """Writes down the last ``keep`` events of each connection, in the background; 0 writes nothing."""

    def __init__(self, client: redis.asyncio.Redis, keep: int, *, pause: float = PAUSE) -> None:
        self._client = client
        self._keep = keep
        self._pause = pause
        self._waiting: dict[str, deque[tuple[str, Taken]]] = {}
        self._task: asyncio.Task[None] | None = None

    def note(self, source: Source, events: Sequence[Taken], *, from_client: bool) -> None:
        """Remember events that were taken in, those that no mapping wanted included.

        Events that their client keeps from Klaviyo are left out, as no mapping sees them. Must be
        called where an event loop runs.
        """
        if not self._keep:
            return
        names = source.integrations_names
        seen = [
            (source.name, event)
            for event in events[-self._keep :]
            if not from_client or wants_klaviyo(event.glimpse, names)
        ]
        if not seen:
            return
        self._waiting.setdefault(source.connection, deque(maxlen=self._keep)).extend(seen)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write())

    async def settled(self) -> None:
        """Wait until what was noted so far has been written."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _write(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._pause)
            waiting, self._waiting = self._waiting, {}
            try:
                for connection, seen in waiting.items():
                    await self._push(connection, seen)
            except (redis.exceptions.RedisError, OSError) as error:
                log.warning("events_not_recorded", problem=type(error).__name__)

    async def _push(self, connection: str, seen: deque[tuple[str, Taken]]) -> None:
        texts = []
        for source, event in seen:
            with contextlib.suppress(Rejected):  # it cannot be read
                texts.append(encode(Recorded(source, event.body)))
        texts = [text for text in texts if len(text) <= LARGEST]
        if not texts:
            return
        key = recorded_key(connection)
        pipe = self._client.pipeline(transaction=False)
        pipe.lpush(key, *texts)
        pipe.ltrim(key, 0, self._keep - 1)
        pipe.expire(key, KEPT)
        await pipe.execute()


def recorded_key(connection: str) -> str:
    """The Redis key of a connection's sample."""
    return f"{PREFIX}{connection}:recorded"


def recorded_events(client: redis.Redis, connection: str) -> list[Recorded]:
    """The sample of a connection, oldest first, without what this version cannot read.

    Raises ``redis.exceptions.RedisError``.
    """
    texts: Any = client.lrange(recorded_key(connection), 0, -1)
    found = []
    for text in reversed(texts):
        with contextlib.suppress(msgspec.DecodeError):
            found.append(_decode(text))
    return found
