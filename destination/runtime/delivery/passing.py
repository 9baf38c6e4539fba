"""One pass over rows of a lane: plan each, send them, an outcome for every one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter

import redis

from destination.action import Action, Payload
from destination.delivery import Discard, Dropped, Outcome, Retry
from destination.errors import Ended
from destination.pipeline import LATER, Delivery, Route, Spread, deliver, plan
from destination.runtime.delivery.connections import Exchange, Working
from destination.runtime.delivery.skipping import Skipping
from destination.runtime.logs import log, told
from destination.runtime.store import SHORT_WAIT, Row

FEW = 8
"""Rows that go one by one at the most, side by side, where calls need not be saved."""

PASS_SECONDS = 20.0
"""No new request is started when a pass has lasted this long."""

LOOK_AGAIN = 30.0
"""Seconds until a row looks again for its mapping, gone or disabled."""


GONE = Dropped("erased", "it happened before its person was erased")


_Way = tuple[str, bool]
"""How rows travel: by which action, and whether in batches."""


@dataclass(slots=True)
class _Group:
    """Planned rows that travel in one way, ``numbers`` in the order of the lane."""

    batched: bool
    routes: set[str] = field(default_factory=set)
    numbers: list[int] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)

    def without(self, ends: Mapping[int, Outcome]) -> _Group:
        """The rows that have no end yet."""
        left = _Group(self.batched, self.routes)
        for number, delivery in zip(self.numbers, self.deliveries, strict=True):
            if number not in ends:
                left.numbers.append(number)
                left.deliveries.append(delivery)
        return left


class Pass:
    """Rows of one lane on their way; ``exchanges`` are the requests made for each row number.

    ``ours()`` tells whether the lane's lease is still held.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        routes: Mapping[str, Route],
        working: Working,
        spread: Spread,
        ours: Callable[[], bool],
    ) -> None:
        self._rows = rows
        self._routes = routes
        self._working = working
        self._spread = spread
        self._ours = ours
        self._until = time.monotonic() + PASS_SECONDS
        self.exchanges: dict[int, list[Exchange]] = {}
        self._skipping = Skipping(working.last_sent, routes.values(), working.account_name)

    def outcomes(self) -> list[Outcome]:
        """Send what can be sent; every row gets an outcome, whatever goes wrong."""
        now = time.time()
        ends: dict[int, Outcome] = {}
        groups: dict[_Way, _Group] = {}
        ways = {
            name: (route.mapping.action, route.mapping.batch.enabled)
            for name, route in self._routes.items()
        }
        claimed: dict[str, _Way] = {}
        late: set[str] = set()
        gone = self._working.erased.among(self._rows)
        for number, row in enumerate(self._rows):
            if number in gone and not self._withdraws(row):
                ends[number] = GONE
                continue
            if row.person in late:
                ends[number] = LATER
                continue
            name = row.route
            found = self._plan(row, self._routes.get(name), now)
            if not isinstance(found, dict):
                ends[number] = found
                if isinstance(found, Retry):
                    late.add(row.person)
                continue
            way = ways[name]
            if claimed.setdefault(row.person, way) != way:
                late.add(row.person)
                ends[number] = LATER
                continue
            group = groups.get(way)
            if group is None:
                group = groups[way] = _Group(way[1])
            group.routes.add(name)
            group.numbers.append(number)
            group.deliveries.append(Delivery(row.person, found))
        unchanged = self._unchanged(groups.values())
        ends |= unchanged
        for group in groups.values():
            left = group.without(unchanged) if unchanged else group
            if left.numbers:
                self._deliver(left, ends)
        return [ends[number] for number in range(len(self._rows))]

    def committed(self, outcomes: Sequence[Outcome]) -> None:
        """What ``outcomes`` gave is on record."""
        self._skipping.committed(outcomes)

    def _unchanged(self, groups: Iterable[_Group]) -> dict[int, Outcome]:
        """The rows that need no sending, of all that are planned."""
        if not self._skipping.asked:
            return {}
        planned = (
            (number, each.person, self._routes[self._rows[number].route], each.payload)
            for group in groups
            for number, each in zip(group.numbers, group.deliveries, strict=True)
        )
        return self._skipping.left_out(sorted(planned, key=itemgetter(0)))

    def _withdraws(self, row: Row) -> bool:
        route = self._routes.get(row.route)
        return route is not None and route.action.withdraws

    @staticmethod
    def _plan(row: Row, route: Route | None, now: float) -> Payload | Outcome:
        if route is None or not route.mapping.enabled:
            code = "mapping_missing" if route is None else "mapping_disabled"
            return Retry(code, row.mapping, LOOK_AGAIN, spends=False)
        body = row.body()
        if not isinstance(body, dict) and row.sent:
            return Discard("event_unreadable", "the event holds a number that no double holds")
        if not isinstance(body, dict):
            return Discard("row_unreadable", "what stands in the lane is no row of this version")
        try:
            return plan(body, route, now, replayed=row.replayed > 0 and not row.live)
        except Ended as ended:
            return ended.outcome
        except Exception as error:  # noqa: BLE001 a fault of ours must not stop the lane
            return _fault(error)

    def _deliver(self, group: _Group, ends: dict[int, Outcome]) -> None:
        numbers, batched = group.numbers, group.batched
        routes = [self._routes[name] for name in group.routes]
        action, most = routes[0].action, min(route.rows for route in routes)
        if batched and action.batch and most < action.batch.rows:
            action = replace(action, batch=replace(action.batch, rows=most))
        seen: dict[int, list[Exchange]] = {}
        outcomes = deliver(
            group.deliveries,
            action,
            self._working.account_for(seen, self._ours, self._until),
            batched=batched and not self._better_alone(action, routes, len(numbers)),
            spread=self._spread,
            fault=_fault,
        )
        ends.update(zip(numbers, outcomes, strict=True))
        self.exchanges |= {numbers[position]: each for position, each in seen.items()}

    def _better_alone(self, action: Action, routes: Sequence[Route], rows: int) -> bool:
        """Whether rows that need not wait for company do without it also where they met by chance.

        Where there is a single-record endpoint, it answers at once and has many calls a minute; the
        bulk endpoint has few.
        """
        if action.batch is None or not action.batch.scarce:
            return False
        waits = (route.mapping.batch.wait_seconds for route in routes)
        few = rows <= FEW and all(0 < wait <= SHORT_WAIT for wait in waits)
        return few and self._working.limiter.ample


def _fault(error: Exception) -> Retry:
    """A fault of our own must not stop the lane: tried again, and dead when its budget is spent.

    Its text may hold personal data, so the log gets its kind and place only.
    """
    if isinstance(error, redis.RedisError):
        return Retry("redis_failed", type(error).__name__, spends=False, whole=True)
    said = told(error)
    log.error("internal_error", **said)
    return Retry("internal_error", f"{said['kind']} in {said['where']}"[:200])
