"""The estimate against the limiter that really paces the calls."""

from __future__ import annotations

import time

import redis

from destination.action import Window
from destination.klaviyo.estimate import least_seconds
from destination.runtime.delivery.limiter import Limiter
from destination.runtime.store import Scripts


def test_the_limiter_needs_as_long_as_was_estimated(client: redis.Redis) -> None:
    """Within a fifth, and never less."""
    windows = (Window(7, 1), Window(60, 60))
    limiter = Limiter(Scripts(client), "account", lambda _operation: windows, deadline=1)
    began = time.monotonic()
    for _ in range(22):
        limiter.answered("call", limiter.acquire("call"))
    took = time.monotonic() - began
    assert least_seconds(22, windows) == 3
    assert 3 <= took < 3.6
