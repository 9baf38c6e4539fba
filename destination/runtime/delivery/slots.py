"""The lanes that one process works on at once."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable

from destination.runtime.logs import log, told

LANES = 32
"""Lanes at once. Nearly all the time of one that is slow is waiting for Klaviyo."""

EACH = 4
"""Lanes of one connection at once: however slow or busy it is, others find a place."""

MODESTY = 0.005
"""Seconds that a process lets pass, for each lane it has, before it takes another one: so the less
busy of two takes it.
"""


class Slots:
    """Runs ``work(connection, lane)`` for several lanes at once, each connection within its share.

    Lanes beyond the share wait for one of their connection's to end, first come first served.
    Should the process die, they are due again as any other lane.
    """

    def __init__(
        self,
        work: Callable[[str, str], None],
        *,
        lanes: int = LANES,
        each: int = EACH,
        sleep: Callable[[float], None] = time.sleep,
        thread: Callable[..., threading.Thread] = threading.Thread,
    ) -> None:
        self._work = work
        self._thread = thread
        self._each = each
        self._sleep = sleep
        self._places = threading.Semaphore(lanes)
        self._lock = threading.Condition()
        self._busy: Counter[str] = Counter()
        self._waiting: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._closed = False

    def take(self, connection: str, lane: str) -> None:
        """Begin to work on a lane, as soon as its connection has room; waits for a free place."""
        with self._lock:
            if self._busy[connection] >= self._each:
                self._waiting[connection][lane] = None
                return
            self._busy[connection] += 1
            busy = self._busy.total()
        self._places.acquire()
        thread = self._thread(target=self._run, args=(connection, lane), name="lane")
        try:
            thread.start()
        except RuntimeError:  # no more threads can be started: this one has to do it
            self._run(connection, lane)
        self._sleep(MODESTY * busy)

    def crowded(self, connection: str) -> bool:
        """Whether other lanes of the connection wait for a place."""
        return bool(self._waiting.get(connection))

    def close(self) -> None:
        """Begin nothing more, and return when all work has ended."""
        with self._lock:
            self._closed = True
            self._lock.wait_for(lambda: not self._busy.total())

    def _run(self, connection: str, lane: str | None) -> None:
        while lane is not None:
            try:
                self._work(connection, lane)
            except Exception as error:  # noqa: BLE001 the lane is due again, and others go on
                log.error("lane_failed", connection=connection, lane=lane, **told(error))
            lane = self._next(connection)
        self._places.release()

    def _next(self, connection: str) -> str | None:
        """A lane that waited for this one to end; None when there is none, and the place is free."""
        with self._lock:
            waiting = self._waiting[connection]
            if waiting and not self._closed:
                lane = next(iter(waiting))
                del waiting[lane]
                return lane
            self._busy[connection] -= 1
            self._lock.notify_all()
            return None
