"""Events and metrics."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from destination.sandbox.world.ids import Ids


@dataclass(slots=True)
class Metric:
    """A kind of event, named by whoever sent the first one."""

    id: str
    number: int
    name: str
    service: str
    created: float
    valued: bool = False


@dataclass(slots=True)
class Event:
    """One recorded event. ``timestamp`` is in whole seconds since 1970; ``received`` is the arrival."""

    id: str
    number: int
    uuid: str
    profile: str | None
    metric: Metric
    unique_id: str
    timestamp: int
    properties: Mapping[str, Any]
    value: float | None
    currency: str | None
    backfill: bool
    received: float

    @property
    def order(self) -> tuple[int, int]:
        """By time; of one second, as they came."""
        return self.timestamp, self.number


class Metrics:
    """All metrics, by id and by name."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._by_id: dict[str, Metric] = {}
        self._by_name: dict[tuple[str, str], Metric] = {}

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, identifier: str) -> Metric | None:
        """The metric with that id."""
        return self._by_id.get(identifier)

    def named(self, name: str, service: str, now: float) -> Metric:
        """The metric of that name and service, made if it is new."""
        metric = self._by_name.get((name, service))
        if metric is None:
            metric = Metric(self._ids.short("metric"), len(self) + 1, name, service, now)
            self._by_name[name, service] = self._by_id[metric.id] = metric
        return metric


class Events:
    """All events, each once per (profile, metric, unique id)."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._by_id: dict[str, Event] = {}
        self._by_key: dict[tuple[str, str, str], Event] = {}
        self._ordered: list[Event] = []
        self.duplicates = 0

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Event]:
        return iter(self._by_id.values())

    def get(self, identifier: str) -> Event | None:
        """The event with that id."""
        return self._by_id.get(identifier)

    def ordered(self) -> list[Event]:
        """All events, oldest first; not to be changed."""
        return self._ordered

    def record(
        self,
        profile: str,
        metric: Metric,
        given: Mapping[str, Any],
        at: float,
        now: float,
        *,
        backfill: bool,
    ) -> Event | None:
        """Record an event's attributes as of ``at``; None when it is known already.

        Without a ``unique_id`` there is one event for each profile, metric and second.
        """
        timestamp = int(at // 1)
        unique = given.get("unique_id") or str(timestamp)
        key = (profile, metric.id, unique)
        if key in self._by_key:
            self.duplicates += 1
            return None
        value = given.get("value")
        metric.valued = metric.valued or value is not None
        event = Event(
            id=self._ids.event(),
            number=len(self._by_id) + 1,
            uuid=self._ids.uuid("event"),
            profile=profile,
            metric=metric,
            unique_id=unique,
            timestamp=timestamp,
            properties=given["properties"],
            value=value,
            currency=given.get("value_currency"),
            backfill=backfill,
            received=now,
        )
        self._by_key[key] = self._by_id[event.id] = event
        bisect.insort(self._ordered, event, key=lambda each: each.order)
        return event

    def move(self, source: str, target: str | None) -> None:
        """Give a profile's events to another one, or (None) to nobody."""
        for event in self._by_id.values():
            if event.profile == source:
                event.profile = target
                self._by_key.pop((source, event.metric.id, event.unique_id), None)
                if target is not None:
                    self._by_key.setdefault((target, event.metric.id, event.unique_id), event)
