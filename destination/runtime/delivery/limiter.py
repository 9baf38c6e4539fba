"""The account's rate limits, shared by all workers."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable

import redis

from destination.action import Window
from destination.errors import NoRoom
from destination.runtime.store import PREFIX, Scripts
from destination.sending import Request, Response, Send

PATIENCE = 1.0
"""Seconds that a worker sleeps for room; a longer wait is given back to the lane."""


MARGIN = 6.0
"""Seconds that a call may take beyond its deadline: waiting for a connection, and connecting."""


class Limiter:
    """Keeps the calls of one account inside ``windows(operation)``, by what all workers sent.

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

    def acquire(self, operation: str) -> str:
        """A place for one call; sleeps for a short wait. Raises ``NoRoom`` for a longer one."""
        call = secrets.token_hex(6)
        bounds = [n for window in self._windows(operation) for n in (window.calls, window.seconds)]
        patience = PATIENCE
        while wait := self._ask(operation, call, bounds):
            if wait > patience:
                raise NoRoom(wait, operation)
            patience -= wait
            self._sleep(wait)
        return call

    def _ask(self, operation: str, call: str, bounds: list[int]) -> float:
        keys = self._keys(operation)
        return float(self._scripts.run("acquire", [call, self._deadline, *bounds], keys)) / 1000

    def answered(self, operation: str, call: str, pause: float = 0, reason: str = "") -> None:
        """The call has its answer; ``pause`` seconds during which nobody may ask again."""
        args = [call, int(pause * 1000), reason]
        self._scripts.run("answered", args, self._keys(operation))

    def _keys(self, operation: str) -> list[str]:
        own = f"{PREFIX}{self._account}:"
        return [f"{own}calls:{operation}", f"{own}pause:{operation}"]


def limited(send: Send, limiter: Limiter, pause_of: Callable[[Response], float]) -> Send:
    """Wrap ``send`` so that it keeps to the limits and holds everybody back after a 429.

    ``pause_of`` reads from an answer how many seconds its operation must rest, 0 for none.
    """

    def wrapped(request: Request) -> Response:
        call = limiter.acquire(request.operation)
        pause = 0.0
        try:
            response = send(request)
            pause = pause_of(response)
        finally:
            # Without Redis the call counts until its deadline: longer than it need, never shorter.
            with contextlib.suppress(redis.RedisError):
                limiter.answered(request.operation, call, pause, "throttled")
        return response

    return wrapped
