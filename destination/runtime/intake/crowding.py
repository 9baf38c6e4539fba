"""Lanes that have grown too long: what would join them is refused, so that Redis has room for all.

A connection whose Klaviyo account does not work keeps everything and grows; without a bound it would
fill Redis until nobody's events are accepted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import redis.asyncio
import redis.exceptions

from destination.errors import Rejected
from destination.runtime.intake.accept import Entry
from destination.runtime.logs import log
from destination.runtime.store import PREFIX

EVERY = 1.0
"""Seconds between two looks; as much may come in too many."""

RETRY_AFTER = 30
"""Seconds after which a refused caller should come again."""


class Crowding:
    """Which lanes hold more than ``limit`` rows, at most ``EVERY`` seconds old; none without one."""

    def __init__(self, client: redis.asyncio.Redis, limit: int | None) -> None:
        self._client: Any = client
        self._limit = limit
        self._full: frozenset[tuple[str, str]] = frozenset()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look in the background."""
        if self._limit is not None:
            self._task = asyncio.create_task(self._serve(self._limit))

    def stop(self) -> None:
        """Look no more."""
        if self._task:
            self._task.cancel()

    def admit(self, entries: Iterable[Entry]) -> None:
        """Raise ``Rejected`` 503 when an event would join a lane that is full."""
        if not self._full:
            return
        for entry in entries:
            for target in entry.targets:
                if (entry.connection, target.lane) in self._full:
                    raise Rejected(
                        503,
                        "lane_full",
                        f"{target.lane!r} of the connection {entry.connection!r} has more than"
                        f" {self._limit:,} deliveries waiting; post again later",
                        retry_after=RETRY_AFTER,
                    )

    async def _serve(self, limit: int) -> None:
        while True:
            try:
                full = await self._look(limit)
            except (redis.exceptions.RedisError, OSError, TimeoutError):
                full = self._full  # the watch refuses everything meanwhile
            for connection, lane in sorted(full - self._full):
                log.error("lane_full", connection=connection, lane=lane, limit=limit)
            self._full = full
            await asyncio.sleep(EVERY)

    async def _look(self, limit: int) -> frozenset[tuple[str, str]]:
        members = await self._client.smembers(f"{PREFIX}lanes")
        pairs = [member.decode().partition("\t") for member in members]
        asking = self._client.pipeline(transaction=False)
        for connection, _, lane in pairs:
            asking.llen(f"{PREFIX}{connection}:lane:{lane}")
        lengths = await asking.execute() if pairs else []
        return frozenset(
            (connection, lane)
            for (connection, _, lane), length in zip(pairs, lengths, strict=True)
            if length > limit
        )
