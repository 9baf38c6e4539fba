"""Which parts of the installation live: each server and worker says so every few seconds."""

from __future__ import annotations

from typing import Any, Literal

import redis

from destination.runtime.store import PREFIX, Scripts

BEATS = f"{PREFIX}beats"

Part = Literal["server", "worker"]
"""All servers together are one part, and so are all workers."""


def beat(scripts: Scripts, part: Part) -> None:
    """Say that one of this part lives, also to a Redis that is full. Raises ``redis.RedisError``."""
    scripts.run("beat", [part], [BEATS])


def silence(client: redis.Redis) -> dict[str, float]:
    """Seconds since something was heard of each part, by Redis' clock; of one that was never heard
    of nothing is said. Raises ``redis.RedisError``.
    """
    with client.pipeline(transaction=False) as asking:
        asking.time()
        asking.hgetall(BEATS)
        (seconds, micros), beats = asking.execute()
    now = seconds + micros / 1e6
    found: dict[Any, Any] = beats
    return {part.decode(): max(0.0, now - int(at) / 1000) for part, at in sorted(found.items())}
