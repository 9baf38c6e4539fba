"""The log of recent deliveries: what became of a connection's last rows, without personal data.

A Redis list, ``destination:C:deliveries``, newest first. An element is what one commit logged: how many
entries there ever were up to its own, then the entries, newest first, each a JSON object in a line of
its own. Elements go as a whole, the oldest first, while the others hold ``RECENT`` entries
(``lua/commit.lua``): an element for each entry costs Redis a tenth of all it does for an event.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import redis

from destination.runtime.store import PREFIX

RECENT = 1000
"""Entries that are kept at the least, and that one commit logs at the most."""


def recent_key(connection: str) -> str:
    """The Redis key of a connection's log."""
    return f"{PREFIX}{connection}:deliveries"


def entries_of(elements: Iterable[bytes]) -> list[bytes]:
    """The entries of some elements in their order, as JSON."""
    return [line for element in elements for line in element.split(b"\n")[1:]]


def without(element: bytes, entries: Iterable[bytes]) -> bytes:
    """An element from which these entries were taken; it still says how many there ever were."""
    gone = set(entries)
    return b"\n".join(line for line in element.split(b"\n") if line not in gone)


def recent_deliveries(client: redis.Redis, connection: str, most: int | None = None) -> list[bytes]:
    """The entries of a connection's log, newest first, at the most ``most``.

    Raises ``redis.exceptions.RedisError``.
    """
    last = -1 if most is None else most - 1  # no element is without an entry, unless it was erased
    elements: Any = client.lrange(recent_key(connection), 0, last)
    return entries_of(elements)[:most]
