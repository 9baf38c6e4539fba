"""Time: seconds since 1970 as a float, from a clock that can be moved forward."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What tells the sandbox the time."""

    def now(self) -> float:
        """Seconds since 1970."""

    def advance(self, seconds: float) -> None:
        """Move forward."""


class RealClock:
    """The system's clock plus an offset that ``advance`` grows."""

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        """Seconds since 1970, as the sandbox sees them."""
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        """Move the sandbox ahead of the system's clock by ``seconds`` more."""
        self.offset += seconds


class ManualClock:
    """A clock that stands still until it is advanced."""

    def __init__(self, now: float = 1_795_255_200.0) -> None:
        self._now = now

    def now(self) -> float:
        """Seconds since 1970."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move forward by ``seconds``."""
        self._now += seconds


def moment(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 date and time; without an offset it is UTC. ``ValueError``."""
    if len(text) < 16 or text[10] not in "Tt ":
        raise ValueError(f"{text[:40]!r} is no date and time")
    parsed = datetime.fromisoformat(text)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def written(seconds: float) -> str:
    """The ISO 8601 text of a time, to the microsecond only where there is a fraction."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def written_or_none(seconds: float | None) -> str | None:
    """As ``written``; None stays None."""
    return None if seconds is None else written(seconds)
