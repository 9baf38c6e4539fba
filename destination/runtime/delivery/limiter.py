"""The account's rate limits, shared by all workers."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import redis

from destination.action import Window
from destination.errors import NoRoom
from destination.runtime.store import PREFIX, Scripts
from destination.sending import Request, Response, Send

PATIENCE = 1.0
"""Seconds that a worker sleeps for room; a longer wait is given back to the lane."""


MARGIN = 6.0
"""Seconds that a call may take beyond its deadline: waiting for a connection, and connecting."""


SCARCE = 0.5
"""Share of a minute's calls from which on calls are saved: rows wait for company."""


STEADY = 60
"""Seconds of the window that the ``RateLimit-*`` headers of an answer describe."""


@dataclass(frozen=True, slots=True)
class Told:
    """What an answer said of its account's steady window: the ``calls`` it allows, how many
    ``remaining`` are left for everybody who uses the account, and in how many seconds it ends.
    """

    calls: int
    remaining: int
    reset: int


def told_by(headers: Mapping[str, str]) -> Told | None:
    """The ``RateLimit-*`` headers (lower case names); None where one is missing or no number."""
    values = [headers.get(f"ratelimit-{name}", "") for name in ("limit", "remaining", "reset")]
    if not all(each.isascii() and each.isdigit() and len(each) < 10 for each in values):
        return None
    calls, remaining, reset = map(int, values)
    return Told(calls, remaining, reset) if calls and reset <= STEADY else None


class Limiter:
    """Keeps the calls of one account inside ``windows(operation)``, by what all workers sent,
    and inside what the answers say of them: the table of limits may be old, and other programs may
    use the same account.

    ``deadline`` is how long one call may take at the most, in seconds.
    """

    def __init__(
        self,
        scripts: Scripts,
        account: str,
        windows: Callable[[str], tuple[Window, ...]],
        *,
        deadline: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._scripts = scripts
        self._account = account
        self._windows = windows
        self._deadline = int((deadline + MARGIN) * 1000)
        self._sleep = sleep
        self._learned: dict[str, int] = {}
        self._scarce_until = 0.0

    def acquire(self, operation: str) -> str:
        """A place for one call; sleeps for a short wait. Raises ``NoRoom`` for a longer one."""
        call = secrets.token_hex(6)
        bounds = [n for window in self.windows(operation) for n in (window.calls, window.seconds)]
        patience = PATIENCE
        while (wait := self._ask(operation, call, bounds)) > 0:
            if wait > patience:
                raise NoRoom(wait, operation)
            patience -= wait
            self._sleep(wait)
        if wait < -SCARCE:
            self._scarce_until = time.monotonic() + STEADY / 2
        return call

    @property
    def ample(self) -> bool:
        """Whether every operation that was asked for lately has most of its minute left."""
        return time.monotonic() >= self._scarce_until

    def _ask(self, operation: str, call: str, bounds: list[int]) -> float:
        """Seconds to wait, or when granted 0 less the share of the minute that is used."""
        keys = self._keys(operation)
        return float(self._scripts.run("acquire", [call, self._deadline, *bounds], keys)) / 1000

    def answered(
        self,
        operation: str,
        call: str,
        pause: float = 0,
        reason: str = "",
        told: Told | None = None,
    ) -> None:
        """The call has its answer; ``pause`` seconds during which nobody may ask again."""
        args: list[int | str] = [call, int(pause * 1000), reason]
        if told:
            self._learned[operation] = told.calls
            args += [told.calls, told.remaining, max(1, told.reset) * 1000, STEADY * 1000]
        self._scripts.run("answered", args, self._keys(operation))

    def windows(self, operation: str) -> Iterable[Window]:
        """The limits of an operation: those of the table, the steady one as it was told last."""
        learned = self._learned.get(operation)
        for window in self._windows(operation):
            yield Window(learned, STEADY) if learned and window.seconds == STEADY else window

    def _keys(self, operation: str) -> list[str]:
        own = f"{PREFIX}{self._account}:"
        return [f"{own}{what}:{operation}" for what in ("calls", "pause", "left", "probe")]


def limited(send: Send, limiter: Limiter, pause_of: Callable[[Response], float]) -> Send:
    """Wrap ``send`` so that it keeps to the limits and holds everybody back after a 429.

    ``pause_of`` reads from an answer how many seconds its operation must rest, 0 for none.
    """

    def wrapped(request: Request) -> Response:
        call = limiter.acquire(request.operation)
        pause, told = 0.0, None
        try:
            response = send(request)
            pause, told = pause_of(response), told_by(response.headers)
        finally:
            # Without Redis the call counts until its deadline: longer than it need, never shorter.
            with contextlib.suppress(redis.RedisError):
                limiter.answered(request.operation, call, pause, "throttled", told)
        return response

    return wrapped
