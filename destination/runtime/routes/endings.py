"""What became of deliveries that somebody waits for, read from the log of recent deliveries.

The log holds a connection's last 1,000 entries. A delivery that ended more than that many entries
before anybody looked is not found and counts as pending: what is told here is true, and may be
less than all. The counts and the dead letters know everything.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

import redis.asyncio
import redis.exceptions

from destination.event import decode
from destination.runtime.recent_deliveries import entries_of, recent_key

LOOK = 0.2
"""Seconds between two looks at the log, by all who wait together."""

ENDS = ("delivered", "dropped", "dead")

Key = tuple[str, str]
"""An event's id and a mapping's name."""


class Endings:
    """Waits for the ends of deliveries; any number may wait at once for the price of one."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client
        self._seen: dict[str, tuple[float, dict[Key, dict[str, Any]]]] = {}
        self._lock = asyncio.Lock()

    async def wait(
        self, connection: str, keys: Iterable[Key], seconds: float
    ) -> dict[Key, dict[str, Any]]:
        """The ends of these deliveries as ``{"outcome", "code", "note"}``: once all have ended, or
        after ``seconds`` those that were seen to.
        """
        wanted, found = set(keys), dict[Key, dict[str, Any]]()
        end = time.monotonic() + seconds
        while wanted:
            ended = await self._recent(connection)
            for key in wanted & ended.keys():
                found[key] = ended[key]
            wanted -= found.keys()
            if time.monotonic() >= end:
                break
            if wanted:
                await asyncio.sleep(min(LOOK, max(0.0, end - time.monotonic())))
        return found

    async def _recent(self, connection: str) -> dict[Key, dict[str, Any]]:
        async with self._lock:
            at, ended = self._seen.get(connection, (0.0, {}))
            if time.monotonic() - at >= LOOK:
                ended = await self._read(connection)
                self._seen[connection] = (time.monotonic(), ended)
            return ended

    async def _read(self, connection: str) -> dict[Key, dict[str, Any]]:
        """The newest end of each delivery in the log; nothing while Redis does not answer."""
        try:
            elements: Any = await self._client.lrange(recent_key(connection), 0, -1)
        except (redis.exceptions.RedisError, OSError, TimeoutError):
            return {}
        ended: dict[Key, dict[str, Any]] = {}
        for entry in map(decode, entries_of(elements)):
            if entry["outcome"] in ENDS:
                told = {name: entry[name] for name in ("outcome", "code", "note")}
                ended.setdefault((entry["id"], entry["mapping"]), told)
        return ended
