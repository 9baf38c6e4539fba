"""Who was erased, and when: what they did before stays away, what they do afterwards is welcome.

A source may post an event again, or for the first time, long after its person was erased: an app
that was offline, a retry whose answer was lost. So a keyed digest of each identifier and of each
erased event is kept, with the time. Nobody can tell from them who was erased.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import redis

from destination.event import decode
from destination.runtime.moments import Moments
from destination.runtime.store import PREFIX, Row
from destination.runtime.subject import KINDS, Subject, identifiers_in

DAYS = 400
"""Days for which an erasure is remembered."""

MOST = 1_000_000
"""Digests that a connection keeps at the most; the oldest go first."""


class Erased:
    """The erasures of one connection. Raises ``redis.RedisError``."""

    def __init__(self, client: redis.Redis, connection: str) -> None:
        self._moments = Moments(client, f"{PREFIX}{connection}:erased", days=DAYS, most=MOST)

    def note(self, who: Subject, at: float) -> None:
        """Someone is erased at this time (unix seconds)."""
        given = {kind: value for kind in KINDS if (value := getattr(who, kind))}
        self._moments.remember({_mark(kind, value): at for kind, value in given.items()})

    def note_events(self, events: Iterable[tuple[str, str]], at: float) -> None:
        """These events (source, messageId) were erased."""
        self._moments.remember({_event_mark(*event): at for event in events})

    def among(self, rows: Sequence[Row]) -> frozenset[int]:
        """The numbers of the rows that must not be delivered: events that were erased, and those
        that happened before their person was.
        """
        if not rows or not self._moments.any():
            return frozenset()
        bodies = [decode(row.event) for row in rows]
        marks = [
            {_event_mark(row.source, row.id), *_marks_in(body)}
            for row, body in zip(rows, bodies, strict=True)
        ]
        asked = sorted(set().union(*marks))
        times = dict(zip(asked, self._moments.recall(asked), strict=True))
        found = set()
        for number, (row, body) in enumerate(zip(rows, bodies, strict=True)):
            erased_at = max(times[mark] for mark in marks[number])
            known = times[_event_mark(row.source, row.id)] > 0
            if known or (erased_at and _happened(body) <= erased_at):
                found.add(number)
        return frozenset(found)


def _marks_in(body: Any) -> Iterator[str]:
    return (_mark(kind, value) for kind, value in identifiers_in(body))


def _mark(kind: str, value: str) -> str:
    return f"{kind}:{value}"


def _event_mark(source: str, message: str) -> str:
    return f"event:{source}\0{message}"


def _happened(body: Any) -> float:
    """When an event happened, by its own time, else by ours; for ever later where none is told."""
    for name in ("timestamp", "receivedAt"):
        try:
            return datetime.fromisoformat(body[name]).timestamp()
        except (KeyError, TypeError, ValueError):
            continue
    return float("inf")
