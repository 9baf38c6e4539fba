"""One look at everything that alerts are about, cheap enough to be taken every few seconds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from destination.errors import SettingsError
from destination.event import decode, encode
from destination.klaviyo.limits import OPERATIONS
from destination.runtime.alerts.beats import silence
from destination.runtime.alerts.conditions import DEAD_WINDOW, WINDOW, Snapshot, Vitals
from destination.runtime.counts import read_counts
from destination.runtime.delivery.connections import address_of
from destination.runtime.store import PREFIX, Row, Scripts, account_of, decode_row, missing_key
from destination.runtime.watch import trouble_in
from destination.settings import Settings

SAMPLES = f"{PREFIX}alerts:samples"
"""The list of past looks: when, and what had been delivered then by each connection."""

PEOPLE = 100
"""Waiting people of a lane whose oldest row is looked at, from either end of the order of their
times: all would be too many where very many wait, so that the age told may be too small.
"""

MOST_MISSING = 20
"""Things that rows of a connection wait for, each of which is an alert of its own."""

LOOKED_THROUGH = 1000
"""Of so many the first by name are told, the same at each look, so that no alert comes and goes."""


class _Event(msgspec.Struct):
    receivedAt: str = ""  # noqa: N815 the event's own name


_event = msgspec.json.Decoder(_Event)


def look(scripts: Scripts, settings: Settings, now: float) -> tuple[Snapshot, bytes]:
    """How everything is at ``now`` (unix seconds), and a sample for later looks to compare with.

    Only reads. Raises ``redis.RedisError``.
    """
    client: Any = scripts.client
    trouble = trouble_in(client.info("everything"), settings)
    counts = read_counts(scripts, settings.connections, audit=False)["connections"]
    delivered = {name: counts[name]["delivered"] for name in counts}
    before = _sampled(client, now) or delivered
    oldest = _oldest(client, now)
    vitals = tuple(
        Vitals(
            connection=name,
            pending=counts[name]["pending"],
            oldest=oldest.get(name, 0.0) if counts[name]["pending"] else 0.0,
            halted=_halted(client, name),
            delivered=max(0, delivered[name] - before.get(name, delivered[name])),
            died=_died(client, name, now - WINDOW),
            new_dead=_died(client, name, now - DEAD_WINDOW),
            dead=counts[name]["dead"],
            pauses=_pauses(client, settings, name),
            missing=_missing(client, name, now),
        )
        for name in settings.connections
    )
    snapshot = Snapshot(trouble.code if trouble else "", vitals, silence(client))
    return snapshot, encode([now, delivered])


def _sampled(client: Any, now: float) -> dict[str, int]:
    """What had been delivered at the beginning of the window; empty when nobody looked then."""
    before: dict[str, int] = {}
    for text in client.lrange(SAMPLES, 0, -1):
        at, told = decode(text)
        if at < now - WINDOW:
            break
        before = told
    return before


def _died(client: Any, connection: str, since: float) -> int:
    return int(client.zcount(f"{PREFIX}{connection}:dead:order", int(since * 1000), "+inf"))


def _halted(client: Any, connection: str) -> str:
    """The code for which the connection is paused. What Klaviyo said with it stays out."""
    reason = client.hget(f"{PREFIX}{connection}:halt", "reason")
    return str(decode(reason).get("code", "unknown")) if reason else ""


def _pauses(client: Any, settings: Settings, connection: str) -> dict[str, float]:
    try:
        base, key = address_of(settings.connections[connection], settings)
    except SettingsError:
        return {}
    own = f"{PREFIX}{account_of(base + key)}:pause:"
    with client.pipeline(transaction=False) as asking:
        for operation in OPERATIONS:
            asking.pttl(own + operation)
        found = asking.execute()
    return {
        operation: left / 1000
        for operation, left in zip(OPERATIONS, found, strict=True)
        if left > 0
    }


def _missing(client: Any, connection: str, now: float) -> tuple[str, ...]:
    """The first of the things that rows wait for: events name lists, and may name very many."""
    key = missing_key(connection)
    found = client.zrangebyscore(key, f"({now}", "+inf", start=0, num=LOOKED_THROUGH)
    return tuple(sorted(thing.decode("utf-8", "replace") for thing in found)[:MOST_MISSING])


def _oldest(client: Any, now: float) -> dict[str, float]:
    """The age of the oldest pending delivery of each connection, in seconds."""
    ages: dict[str, float] = {}
    for member in client.smembers(f"{PREFIX}lanes"):
        connection, _, lane = member.decode().partition("\t")
        for row in _first_rows(client, f"{PREFIX}{connection}:", lane):
            age = now - _since(row, now)
            ages[connection] = max(age, ages.get(connection, 0.0))
    return ages


def _first_rows(client: Any, own: str, lane: str) -> Iterator[Row]:
    """The first row of a lane, of the people who wait in it, and of its jobs at Klaviyo."""
    parked = f"{own}parked:{lane}"
    people = {
        person.decode()
        for start, end in ((0, PEOPLE - 1), (-PEOPLE, -1))
        for person in client.zrange(parked, start, end)
    }
    jobs = [job.decode() for job in client.zrange(f"{own}jobs:{lane}", 0, -1)]
    with client.pipeline(transaction=False) as asking:
        asking.lindex(f"{own}lane:{lane}", 0)
        for person in people:
            asking.lindex(f"{own}chain:{lane}:{person}", 0)
        for job in jobs:
            asking.lindex(f"{own}job:{lane}:{job}", 0)
        heads = asking.execute()
    for text in heads:
        if text is not None:
            yield decode_row(text)


def _since(row: Row, now: float) -> float:
    """Since when a row waits, unix seconds: a replayed one since it failed again, at the longest."""
    if row.replayed:
        return row.since or now
    if row.sent:
        return row.sent.received / 1000
    try:
        return datetime.fromisoformat(_event.decode(row.event).receivedAt).timestamp()
    except ValueError:  # an unreadable event; msgspec's errors are ValueErrors
        return now
