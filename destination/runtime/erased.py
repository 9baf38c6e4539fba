"""Who was erased, and when: what they did before stays away, what they do afterwards is welcome.

A source may post an event again, or for the first time, long after its person was erased: an app
that was offline, a retry whose answer was lost. So a keyed digest of each identifier and of each
erased event is kept, with the time. Nobody can tell from them who was erased.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
import redis

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
        that happened before their person was. Requests for deletion are carried out all the same.
        """
        newest = self._moments.newest() if rows else 0.0
        if not newest:
            return frozenset()
        marks = [[_event_mark(row.source, row.id)] for row in rows]
        times = [_happened(row) for row in rows]
        for number, row in enumerate(rows):
            if times[number] <= newest:  # seldom, and it takes long to go through an event
                body = row.searched()
                marks[number] += [] if _asks_for_deletion(body) else _marks_in(body)
        asked = sorted(set().union(*marks))
        known = dict(zip(asked, self._moments.recall(asked), strict=True))
        return frozenset(
            number
            for number, (first, *others) in enumerate(marks)
            if known[first] or any(0 < known[mark] >= times[number] for mark in others)
        )


def _marks_in(body: Any) -> Iterator[str]:
    return (_mark(kind, value) for kind, value in identifiers_in(body))


def _mark(kind: str, value: str) -> str:
    return f"{kind}:{value}"


def _event_mark(source: str, message: str) -> str:
    return f"event:{source}\0{message}"


def _asks_for_deletion(body: Any) -> bool:
    return isinstance(body, dict) and body.get("type") == "delete"


class _Times(msgspec.Struct):
    timestamp: Any = None
    receivedAt: Any = None  # noqa: N815 the event's own name


_times = msgspec.json.Decoder(_Times)


def _happened(row: Row) -> float:
    """When an event happened, by its own time, else by ours; for ever later where none is told."""
    try:
        told = msgspec.convert(row.searched(), _Times) if row.sent else _times.decode(row.event)
    except msgspec.DecodeError:  # a ValidationError is one
        return float("inf")
    for text in (told.timestamp, told.receivedAt):
        try:
            return datetime.fromisoformat(text).timestamp()
        except (TypeError, ValueError):
            continue
    return float("inf")
