"""Erasures that a source asks for by a ``delete`` event, where the operator wants that.

A request waits in Redis, so that none is lost; a thread of a worker process carries it out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import redis
import redis.asyncio
import redis.exceptions

from destination.errors import Rejected
from destination.event import encode
from destination.ingress.sent import Taken
from destination.runtime.erasure.erase import Erasure, LaneBusy
from destination.runtime.logs import log
from destination.runtime.store import PREFIX, Scripts, connect
from destination.runtime.subject import Subject, subject_of
from destination.settings import Settings, Source

REQUESTS = f"{PREFIX}erasures"
"""The list of what is to be erased, first asked first."""

TURN = f"{PREFIX}erasures:turn"
TURN_SECONDS = 300.0
"""Seconds for which one process erases alone; what it does is safe to do twice."""

EVERY = 2.0
"""Seconds between two looks at the list."""


SETTLE = 3.0
"""Seconds until a request is carried out: what was posted before it has then arrived everywhere."""


class Asked(msgspec.Struct):
    """One request: whom to erase from which connection, and when that was asked (unix seconds)."""

    connection: str
    subject: Subject
    time: float


class Deletions:
    """Takes note of the ``delete`` events of sources that are servers; a public key may not erase."""

    def __init__(self, client: redis.asyncio.Redis, *, enabled: bool) -> None:
        self._client: Any = client
        self._enabled = enabled

    async def note(self, source: Source, events: Sequence[Taken]) -> None:
        """Line up an erasure for each person whose deletion is asked for.

        Before the events are stored: a request that is repeated erases again, and a lost one would
        erase never. Raises ``Rejected`` 503.
        """
        if not self._enabled or source.kind != "server":
            return
        found = [subject_of(event.body) for event in events if event.type == "delete"]
        asked = [encode(Asked(source.connection, each, time.time())) for each in found if each]
        if not asked:
            return
        try:
            await self._client.rpush(REQUESTS, *asked)
        except (redis.exceptions.RedisError, OSError, TimeoutError) as error:
            what = f"the deletion could not be noted ({type(error).__name__}); post it again"
            raise Rejected(503, "queue_unavailable", what, retry_after=5) from error


class Erasing(threading.Thread):
    """Carries out what ``Deletions`` lined up."""

    def __init__(self, settings: Settings, redis_url: str) -> None:
        super().__init__(name="erasing", daemon=True)
        self._settings = settings
        self._url = redis_url
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Begin no further erasure."""
        self._stopped.set()

    def run(self) -> None:
        """Until stopped, through any trouble with Redis."""
        while not self._stopped.wait(EVERY):
            client = connect(self._url)
            try:
                scripts = Scripts(client)
                while not self._stopped.is_set():
                    self.work(scripts)
                    self._stopped.wait(EVERY)
            except redis.RedisError as error:
                log.warning("erasing_waits", error=type(error).__name__)
            except Exception as error:  # noqa: BLE001 whatever it is, the next try comes
                log.error("erasing_failed", kind=type(error).__name__)
            finally:
                client.close()

    def work(self, scripts: Scripts) -> None:
        """Carry out all that is lined up, unless another process does."""
        client: Any = scripts.client
        if not client.exists(REQUESTS):
            return
        if not scripts.run("turn", [int(TURN_SECONDS * 1000)], [TURN]):
            return
        try:
            while not self._stopped.is_set() and (told := client.lindex(REQUESTS, 0)):
                if not self._erase(scripts, told):
                    return
                client.lrem(REQUESTS, 1, told)
        except LaneBusy as error:
            log.warning("erasing_waits", error=str(error))
        finally:
            client.delete(TURN)

    def _erase(self, scripts: Scripts, told: bytes) -> bool:
        """Carry out one request; False when it is not yet time to."""
        try:
            asked = msgspec.json.decode(told, type=Asked)
        except msgspec.DecodeError:
            log.error("erasure_unreadable")
            return True
        if time.time() < asked.time + SETTLE:
            return False
        if asked.connection in self._settings.connections:
            Erasure(scripts, self._settings, asked.connection, asked.subject, at=asked.time).run()
        return True
