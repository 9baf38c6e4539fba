"""When something happened to somebody, kept under digests from which nobody can tell to whom."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import redis

from destination.runtime.store import PREFIX, script_when_full

DAY = 86_400

DIGEST_KEY = f"{PREFIX}digest-key"
"""The secret of the installation's digests, made when it is first needed. Without it nobody finds
out by trying addresses whom a digest stands for.
"""

CHUNK = 1_000
"""Members in one call: Redis serves nobody else meanwhile."""


class Moments:
    """The latest time told for each key, under ``place``.

    It is kept for ``days``, counted to the newest time told, and of ``most`` keys at the most: the
    oldest go first. Writes are taken by a full Redis. Raises ``redis.RedisError``.
    """

    def __init__(self, client: redis.Redis, place: str, *, days: int, most: int) -> None:
        self._client: Any = client
        self._place = place
        self._days = days
        self._most = most
        self._keep = script_when_full(client, "keep")
        self._remember = script_when_full(client, "remember")

    def recall(self, keys: Sequence[str]) -> list[float]:
        """The latest time told for each key, 0 where none is known."""
        secret, known = self._look()
        if not (secret and known):
            return [0.0] * len(keys)
        found: list[float] = []
        for some in _chunks(keys):
            scores = self._client.zmscore(self._place, [_digest(secret, key) for key in some])
            found += [score or 0.0 for score in scores]
        return found

    def newest(self) -> float:
        """The latest time told for any key, 0 where there is nothing to recall."""
        found = self._client.zrange(self._place, -1, -1, withscores=True)
        return float(found[0][1]) if found else 0.0

    def remember(self, times: Mapping[str, float]) -> None:
        """Keep the latest time of each key."""
        if not times:
            return
        # Asked for each time: who went on with the key of a Redis that was emptied would be alone.
        secret = self._keep(keys=[DIGEST_KEY], args=[secrets.token_bytes(32)])
        for some in _chunks(list(times)):
            newest = max(times[key] for key in some)
            told = [part for key in some for part in (times[key], _digest(secret, key))]
            earliest = newest - self._days * DAY
            self._remember(keys=[self._place], args=[earliest, self._most, *told])

    def _look(self) -> tuple[bytes | None, bool]:
        with self._client.pipeline(transaction=False) as asking:
            asking.get(DIGEST_KEY)
            asking.exists(self._place)
            secret, known = asking.execute()
        return secret, bool(known)


def _digest(secret: bytes, key: str) -> bytes:
    return hashlib.blake2b(key.encode(), digest_size=12, key=secret).digest()


def _chunks(items: Sequence[str]) -> Iterable[Sequence[str]]:
    return (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
