"""Which lanes go before others: what is said of a person before the events that rely on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import redis

from destination.pipeline import Route
from destination.runtime.store import PREFIX, Row, decode_row

PATIENCE = 5.0
"""Seconds that a lane waits for another one's oldest row; then that row holds up nobody any more."""

HELD_BACK = 30.0
"""Seconds that a lane is held back in one go; then it waits no more until it has been caught up
with. A load of a million profiles must not keep today's orders waiting to its end.
"""

LOOK_AGAIN = 0.1
"""Seconds until a lane that waits looks again."""


def leaders(lane: str, routes: Mapping[str, Route]) -> list[str]:
    """The lanes that go before ``lane``.

    One that several actions share is none of them: its rows wait for each other.
    """
    mine = {route.mapping.action for route in routes.values() if route.lane == lane}
    return sorted(
        {
            route.lane
            for route in routes.values()
            if route.mapping.enabled
            and route.lane == route.mapping.name != lane
            and not mine.isdisjoint(route.action.goes_before)
        }
    )


class Precedence:
    """Bounds what a pass may take from a lane by what waits in the lanes before it.

    Only rows that could be sent now count: neither those that wait for a retry, a pause or a job,
    nor a lane that stands still. So a broken mapping delays no other one.
    """

    def __init__(self, client: redis.Redis, clock: Callable[[], float]) -> None:
        self._client: Any = client
        self._clock = clock
        self._seen: dict[tuple[str, str], tuple[int, float]] = {}
        self._held: dict[tuple[str, str], float] = {}

    def first(self, connection: str, lane: str, before: Sequence[str], rows: Sequence[Row]) -> int:
        """How many of a lane's first ``rows`` may go: those accepted before what waits in the lanes
        ``before``, or all of them after ``HELD_BACK`` seconds without one.
        """
        horizon = min(self._waiting(connection, before), default=0) if before else 0
        behind = (n for n, row in enumerate(rows) if horizon and row.at >= horizon)
        free = next(behind, len(rows))
        key, now = (connection, lane), self._clock()
        if free == len(rows):
            self._held.pop(key, None)
        elif now - self._held.get(key, now) >= HELD_BACK:
            return len(rows)
        elif free:
            self._held.pop(key, None)
        else:
            self._held.setdefault(key, now)
        return free

    def _waiting(self, connection: str, lanes: Sequence[str]) -> list[int]:
        """When the oldest row of each lane that is on its way was accepted."""
        own = f"{PREFIX}{connection}:"
        asking = self._client.pipeline(transaction=False)
        for lane in lanes:
            asking.exists(f"{own}hold:{lane}")
            asking.lindex(f"{own}lane:{lane}", 0)
        answers = iter(asking.execute())
        found = []
        for lane, held, text in zip(lanes, answers, answers, strict=True):
            at = decode_row(text).at if text and not held else 0
            if at and self._moves((connection, lane), at):
                found.append(at)
        return found

    def _moves(self, lane: tuple[str, str], at: int) -> bool:
        """Whether the lane had another oldest row a while ago."""
        now = self._clock()
        seen = self._seen.get(lane)
        if seen is None or seen[0] != at:
            self._seen[lane] = (at, now)
            return True
        return now - seen[1] < PATIENCE
