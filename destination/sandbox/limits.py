"""Rate limits: fixed windows of a second, a minute and a day, counted by account and operation."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

WINDOWS = {"burst": 1, "steady": 60, "daily": 86_400}


@dataclass(frozen=True, slots=True)
class Quota:
    """How many calls one counter takes in a window of ``seconds``."""

    counter: str
    seconds: int
    calls: int


@dataclass(slots=True)
class _Window:
    started: float
    calls: int


class Limits:
    """Counts calls. ``windows`` says where a window starts: at the clock's mark or the first call."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str, int], _Window] = {}

    def clear(self) -> None:
        """Forget all that was counted."""
        self._windows.clear()

    def wait(self, account: str, quotas: Iterable[Quota], now: float, *, aligned: bool) -> float:
        """Seconds until every quota has room for one more call; 0 when they have it now."""
        waits = [0.0]
        for quota in quotas:
            window = self._window(account, quota, now, aligned=aligned)
            if window.calls >= quota.calls:
                waits.append(window.started + quota.seconds - now)
        return max(waits)

    def count(self, account: str, quotas: Iterable[Quota], now: float, *, aligned: bool) -> None:
        """Take one call from every quota."""
        for quota in quotas:
            self._window(account, quota, now, aligned=aligned).calls += 1

    def headers(self, account: str, steady: Quota, now: float, *, aligned: bool) -> dict[str, str]:
        """The three headers that describe the minute's window."""
        window = self._window(account, steady, now, aligned=aligned)
        return {
            "RateLimit-Limit": str(steady.calls),
            "RateLimit-Remaining": str(max(0, steady.calls - window.calls)),
            "RateLimit-Reset": str(math.ceil(window.started + steady.seconds - now)),
        }

    def _window(self, account: str, quota: Quota, now: float, *, aligned: bool) -> _Window:
        key = (account, quota.counter, quota.seconds)
        window = self._windows.get(key)
        if window is None or not window.started <= now < window.started + quota.seconds:
            started = now // quota.seconds * quota.seconds if aligned else now
            window = self._windows[key] = _Window(started, 0)
        return window
