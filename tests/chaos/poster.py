"""A source that behaves as Segment's SDKs do, and keeps a ledger of what it was told."""

from __future__ import annotations

import base64
import http.client
import json
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.chaos.traffic import Message

TIMEOUT = 5.0
"""Seconds that Segment waits for an answer."""

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0


@dataclass(frozen=True, slots=True)
class Try:
    """One post: when it began (unix time), how long it took, its status (0: no answer), how many
    messages it held, what ``Retry-After`` said, and ``code`` and ``message`` of a refusal.
    """

    t: float
    seconds: float
    status: int
    number: int = 0
    retry_after: str = ""
    code: str = ""
    message: str = ""


@dataclass(slots=True)
class Posted:
    """A message and how often it was posted. ``acked`` is the time of the first 2xx."""

    message: Message
    tries: list[Try] = field(default_factory=list)
    acked: float | None = None


class Pace:
    """How many messages may have been posted by now; without one there is no bound."""

    def __init__(self) -> None:
        self._allowed = 0
        self._used = 0
        self._changed = threading.Condition()
        self._over = False

    def allow(self, more: int) -> None:
        """Let more messages go."""
        with self._changed:
            self._allowed += more
            self._changed.notify_all()

    def end(self) -> None:
        """Hold nothing back any more."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def take(self, count: int) -> None:
        """Wait for permission to post so many."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._used < self._allowed)
            self._used += count


class Poster:
    """Posts messages in batches of ``batch`` from ``threads`` threads.

    What is not answered 2xx is posted again with the same ids until it is; messages of one person
    go one after the other. A share ``doubled`` of the batches is posted once more after its 2xx.
    Of the threads, ``fresh`` make a new connection for every post; the others keep theirs.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        threads: int = 2,
        batch: int = 10,
        doubled: float = 0.0,
        pace: Pace | None = None,
        timeout: float = TIMEOUT,
        fresh: int = 0,
    ) -> None:
        self._address = urlsplit(url)
        token = base64.b64encode(f"{key}:".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        self._threads = threads
        self._batch = batch
        self._doubled = doubled
        self._pace = pace
        self._timeout = timeout
        self._fresh = fresh
        self._running: list[threading.Thread] = []
        self._stopped = threading.Event()
        self.posted: dict[str, Posted] = {}
        self.trips: list[Try] = []

    def post(self, messages: Iterable[Message]) -> None:
        """Start to post; returns at once. May be called again for more."""
        parts: list[list[Posted]] = [[] for _ in range(self._threads)]
        for message in messages:
            posted = Posted(message)
            self.posted[message.id] = posted
            parts[message.person % self._threads].append(posted)
        for number, part in enumerate(parts):
            about = (part, number < self._fresh)
            thread = threading.Thread(target=self._work, args=about, name="poster", daemon=True)
            self._running.append(thread)
            thread.start()

    def join(self, seconds: float) -> bool:
        """Wait until all is answered 2xx; False when it is not in time."""
        end = time.monotonic() + seconds
        for thread in self._running:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._running)

    def stop(self) -> None:
        """Give up what is not answered."""
        self._stopped.set()
        if self._pace:
            self._pace.end()
        self.join(2 * self._timeout)

    def answered(self) -> int:
        """How many messages were answered 2xx."""
        return sum(posted.acked is not None for posted in list(self.posted.values()))

    def wait(self, messages: int, seconds: float = 60) -> None:
        """Return when so many messages were answered 2xx. Raises ``TimeoutError``."""
        end = time.monotonic() + seconds
        while self.answered() < messages:
            if time.monotonic() > end:
                raise TimeoutError(f"{self.answered()} of {messages} messages were accepted")
            time.sleep(0.02)

    def _work(self, part: Sequence[Posted], fresh: bool = False) -> None:
        connection = self._connection()
        since_doubled = 0.0
        for start in range(0, len(part), self._batch):
            batch = part[start : start + self._batch]
            if self._pace:
                self._pace.take(len(batch))
            connection = self._deliver(batch, connection)
            since_doubled += self._doubled
            if since_doubled >= 1:
                since_doubled -= 1
                _try, connection = self._once(batch, connection)
            if fresh:
                connection.close()
            if self._stopped.is_set():
                break
        connection.close()

    def _deliver(
        self, batch: Sequence[Posted], connection: http.client.HTTPConnection
    ) -> http.client.HTTPConnection:
        pause = FIRST_PAUSE
        while not self._stopped.is_set():
            tried, connection = self._once(batch, connection)
            if 200 <= tried.status < 300:
                for posted in batch:
                    posted.acked = posted.acked or tried.t + tried.seconds
                return connection
            self._stopped.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        return connection

    def _once(
        self, batch: Sequence[Posted], connection: http.client.HTTPConnection
    ) -> tuple[Try, http.client.HTTPConnection]:
        body = json.dumps({"batch": [posted.message.body for posted in batch]})
        started, clock = time.time(), time.monotonic()
        retry_after = code = message = ""
        try:
            connection.request("POST", "/v1/batch", body, self._headers)
            answer = connection.getresponse()
            said = answer.read()
            status = answer.status
            code, message = ("", "") if status < 300 else _refusal(said)
            retry_after = answer.getheader("Retry-After", "")
            if answer.will_close:
                connection.close()
        except (OSError, http.client.HTTPException):
            status = 0
            connection.close()
            connection = self._connection()
        took = time.monotonic() - clock
        tried = Try(started, took, status, len(batch), retry_after, code, message)
        self.trips.append(tried)
        for posted in batch:
            posted.tries.append(tried)
        return tried, connection

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._address.hostname, self._address.port
        assert host is not None
        return http.client.HTTPConnection(host, port, timeout=self._timeout)


def _refusal(body: bytes) -> tuple[str, str]:
    """The code and the message of a refusal; empty where there are none."""
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        return "", ""
    return str(said.get("code", "")), str(said.get("message", ""))
