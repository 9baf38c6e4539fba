"""Watches Redis, so that the server refuses early and honestly."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from typing import Any

import redis.asyncio
import redis.exceptions

from destination.errors import Rejected
from destination.runtime.local.embedded import unfit
from destination.runtime.logs import log
from destination.runtime.store import PREFIX
from destination.settings import Settings

EVERY = 0.5
"""Seconds between two looks."""

HANGS = 10.0
"""Seconds without a look after which the server's loop must be taken to hang."""

RETRY_AFTER = 5
"""Seconds after which a refused caller should come again."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why nothing is accepted."""

    code: str
    message: str


def trouble_in(info: dict[str, Any], settings: Settings) -> Trouble | None:
    """What in Redis' ``INFO`` forbids to accept events; None when all is well."""
    if info.get("loading"):
        return Trouble("queue_unavailable", "Redis is still loading its data")
    if info.get("role") == "slave":
        return Trouble("queue_unavailable", "Redis is a read-only replica")
    problems = unfit(info, accept_volatile=settings.accept_volatile)
    if problems:
        return Trouble("queue_unfit", " ".join(problems))
    most, used = info.get("maxmemory", 0), info.get("used_memory", 0)
    if most and used > most * settings.memory_watermark:
        share = settings.memory_watermark
        return Trouble(
            "queue_full",
            f"Redis is filled above {share:.0%}; deliveries go on and make room, and so does"
            " replaying or discarding dead letters",
        )
    return None


class Watch:
    """The state of Redis, at most about a second old."""

    def __init__(self, client: redis.asyncio.Redis, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self.trouble: Trouble | None = Trouble("starting", "the server is starting")
        self._task: asyncio.Task[None] | None = None
        self._looked = -math.inf

    @property
    def alive(self) -> bool:
        """Whether the server's loop still runs; may be asked in any thread."""
        return time.monotonic() - self._looked < HANGS

    async def start(self) -> None:
        """Look once, then in the background."""
        await self._look()
        self._task = asyncio.create_task(self._serve())

    def stop(self) -> None:
        """Stop looking; from now on everything is refused."""
        self.trouble = Trouble("stopping", "the server is stopping")
        if self._task:
            self._task.cancel()

    def check(self) -> None:
        """Raise ``Rejected`` 503 when events would be refused or lost."""
        if self.trouble:
            trouble = self.trouble
            raise Rejected(503, trouble.code, trouble.message, retry_after=RETRY_AFTER)

    async def _serve(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            await self._look()

    async def _look(self) -> None:
        self._looked = time.monotonic()
        try:
            info = await self._info()
            trouble = trouble_in(info, self._settings) or await self._refusal()
        except Exception as error:  # noqa: BLE001 whatever it is, the next look comes
            trouble = Trouble("queue_unavailable", f"Redis does not answer: {type(error).__name__}")
        if (trouble and trouble.code) != (self.trouble and self.trouble.code):
            if trouble:
                log.error("not_accepting", code=trouble.code, message=trouble.message)
            else:
                log.info("accepting")
        self.trouble = trouble

    async def _info(self) -> dict[str, Any]:
        try:
            return await self._client.info("everything")
        except redis.exceptions.ConnectionError:
            # A connection that ended while nobody used it says nothing of Redis; the next is new.
            return await self._client.info("everything")

    async def _refusal(self) -> Trouble | None:
        """Why Redis takes no writes, which ``INFO`` does not tell: its last snapshot failed, it has
        too few replicas, or our user may only read. Taking away what is not there shows it and
        changes nothing.
        """
        try:
            await self._client.delete(f"{PREFIX}nothing")
        except redis.exceptions.ResponseError as error:
            return Trouble("queue_unavailable", f"Redis refuses writes: {str(error)[:200]}")
        return None
