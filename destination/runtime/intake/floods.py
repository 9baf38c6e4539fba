"""How many events a second a source may post: one that floods is held back alone.

Each server process has buckets of its own, so that no request waits for Redis to hear 429; several
servers behind one address let through as many times the rate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from destination.errors import Rejected
from destination.runtime.logs import log

BURST_SECONDS = 2.0
"""A source that was quiet for so long may post that much at once."""

LONGEST_WAIT = 60
"""Seconds at the most that a caller is told to wait; longer ones are not honoured everywhere."""

LOGGED_EVERY = 10.0
"""Seconds between two log lines about one source."""


@dataclass(slots=True)
class Bucket:
    """A token bucket of ``rate`` events a second, full at ``at`` (seconds on any clock).

    A batch larger than the bucket is let in when the bucket is full, and what is lacking is owed.
    """

    rate: float
    at: float
    level: float = math.inf
    logged: float = -math.inf

    def take(self, count: int, now: float) -> float:
        """Take ``count`` events out: 0 when that was possible, else the seconds to wait."""
        capacity = max(1.0, self.rate * BURST_SECONDS)
        self.level = min(capacity, self.level + (now - self.at) * self.rate)
        self.at = now
        lacking = min(count, capacity) - self.level
        if lacking > 0:
            return lacking / self.rate
        self.level -= count
        return 0.0


class Floods:
    """The buckets of the sources with a rate; ``rates`` are events a second by source name."""

    def __init__(self, rates: Mapping[str, float], now: float) -> None:
        self._buckets = {name: Bucket(rate, now) for name, rate in rates.items()}

    def admit(self, source: str, count: int, now: float) -> None:
        """Let ``count`` events of a source in. Raises ``Rejected`` 429 with the time to wait."""
        bucket = self._buckets.get(source)
        wait = bucket.take(count, now) if bucket and count else 0.0
        if not bucket or not wait:
            return
        if now - bucket.logged >= LOGGED_EVERY:
            bucket.logged = now
            log.warning("source_limited", source=source, rate=bucket.rate)
        raise Rejected(
            429,
            "rate_limited",
            f"the source {source!r} posts more than {bucket.rate:g} events a second; post again"
            " later, or have DESTINATION_SOURCE_RATE or the source's rate raised",
            retry_after=min(LONGEST_WAIT, math.ceil(wait)),
        )
