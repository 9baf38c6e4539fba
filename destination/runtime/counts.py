"""The counts that must add up, read at one instant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import redis

from destination.event import decode
from destination.runtime.store import PREFIX, Scripts

STATES = ("accepted", "delivered", "dropped", "dead", "pending")
SOURCE_STATES = ("received", "accepted", "duplicate", "unmatched", "refused")
CONFLICTING = "conflicting"
"""Those of the duplicates that said something else than the event whose id they came under."""

Counts = dict[str, Any]


def read_counts(scripts: Scripts, connections: Iterable[str], *, audit: bool = True) -> Counts:
    """Exact integers, read in one step.

    ``{"sources": {NAME: {received, accepted, duplicate, unmatched, refused, conflicting}},
    "connections": {NAME: {accepted, delivered, dropped, dead, pending, standing, letters, "mappings":
    {NAME: {the first five, "reasons": {"dropped:CODE": n}}}}}}``. For each source ``received =
    accepted + duplicate + unmatched + refused``; everywhere ``accepted = delivered + dropped +
    dead + pending``; and ``pending = standing``, the rows counted where they stand (None without
    ``audit``: it takes long when very many people have rows that wait).
    """
    sources, *rest = scripts.run("counts", [PREFIX, int(audit), *connections])
    answer: Counts = {"sources": {}, "connections": {}}
    for field, value in _pairs(sources):
        name, _, state = field.rpartition("|")
        none = dict.fromkeys((*SOURCE_STATES, CONFLICTING), 0)
        answer["sources"].setdefault(name, none)[state] = int(value)
    for name, flat, standing, letters in rest:
        totals = _connection(flat)
        totals["standing"] = int(standing) if int(standing) >= 0 else None
        totals["letters"] = int(letters)
        answer["connections"][name.decode()] = totals
    return answer


def _connection(flat: list[bytes]) -> Counts:
    mappings: dict[str, Counts] = {}
    for field, value in _pairs(flat):
        name, _, state = field.rpartition("|")
        counts = mappings.setdefault(name, {**dict.fromkeys(STATES, 0), "reasons": {}})
        into = counts if state in STATES else counts["reasons"]
        into[state] = int(value)
    total = {state: sum(counts[state] for counts in mappings.values()) for state in STATES}
    return {**total, "mappings": dict(sorted(mappings.items()))}


def read_halts(client: redis.Redis, connections: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The connections that are paused: ``{NAME: {"code", "message", "since" (unix seconds)}}``."""
    found = {}
    for name in connections:
        told: Any = client.hgetall(f"{PREFIX}{name}:halt")
        if b"reason" in told:
            since = int(told.get(b"since", 0)) / 1000
            found[name] = {**decode(told[b"reason"]), "since": since}
    return found


def _pairs(flat: list[Any]) -> Iterable[tuple[str, Any]]:
    return [(flat[i].decode(), flat[i + 1]) for i in range(0, len(flat), 2)]


def imbalance(counts: Counts) -> list[str]:
    """Where the counts do not add up, in words; empty when all is well."""
    wrong = []
    for name, source in counts["sources"].items():
        parts = sum(source[state] for state in SOURCE_STATES[1:])
        if source["received"] != parts:
            wrong.append(f"source {name}: received {source['received']}, accounted for {parts}")
    for connection, totals in counts["connections"].items():
        if totals["dead"] != totals["letters"]:
            wrong.append(
                f"{connection}: dead {totals['dead']}, but {totals['letters']} dead letters"
            )
        if totals["standing"] not in (None, totals["pending"]):
            wrong.append(
                f"{connection}: pending {totals['pending']}, but {totals['standing']} rows stand"
            )
        for mapping, states in totals["mappings"].items():
            parts = sum(states[state] for state in STATES[1:])
            if states["accepted"] != parts:
                wrong.append(
                    f"{connection}/{mapping}: accepted {states['accepted']}, accounted for {parts}"
                )
    return wrong
