"""What a connection remembers beyond a run: who said no when, and what was delivered last."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import redis

from destination.runtime.moments import DAY, Moments
from destination.runtime.store import PREFIX, script_when_full

DECISIONS_DAYS = 400
"""Days after which a no is forgotten, counted from when it was decided."""

DECISIONS = 1_000_000
"""The most decisions that a connection keeps; beyond it the oldest are forgotten."""

SENT_SECONDS = DAY
"""How long a delivery counts as the last one: what changed elsewhere is right again after a day."""

CHUNK = 1_000
"""Keys in one call: Redis serves nobody else meanwhile."""


def _short(*parts: str) -> bytes:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=12).digest()


class Decisions(Moments):
    """``Account.recall`` and ``Account.remember`` of one connection.

    They go with the connection and not with its key, so that they outlive a new key. They hold
    nothing personal and outlive an erasure too: who said no and is erased has still said no.
    """

    def __init__(self, client: redis.Redis, connection: str, most: int = DECISIONS) -> None:
        super().__init__(client, f"{PREFIX}{connection}:no", days=DECISIONS_DAYS, most=most)


class LastSent:
    """What was delivered last for each person by one mapping, as a digest; for a day."""

    def __init__(self, client: redis.Redis, connection: str) -> None:
        self._client = client
        self._own = f"{PREFIX}{connection}:sent:"
        self._sent = script_when_full(client, "sent")

    def known(self, mapping: str, people: Iterable[str]) -> dict[str, str]:
        """Person -> digest of what was delivered last; nothing for whom something is under way."""
        listed = list(dict.fromkeys(people))
        found: dict[str, str] = {}
        for some in _chunks(listed):
            values: Any = self._client.mget([self._key(mapping, each) for each in some])
            for person, value in zip(some, values, strict=True):
                if value is not None and not value.startswith(b"~"):
                    found[person] = value.decode()
        return found

    def sending(self, mapping: str, digests: Mapping[str, str]) -> None:
        """Something is about to be sent: from now on nothing is known of these people."""
        self._run("sending", mapping, digests)

    def delivered(self, mapping: str, digests: Mapping[str, str]) -> None:
        """It has arrived; where something else was sent since, nothing happens."""
        self._run("delivered", mapping, digests)

    def confirm(self, mapping: str, people: Iterable[str]) -> None:
        """Whatever was under way for these people has arrived."""
        self._run("confirm", mapping, dict.fromkeys(people, ""))

    def forget(self, mapping: str, people: Iterable[str]) -> int:
        """Nothing is known of these people any more; of how many something was."""
        places = [self._key(mapping, person) for person in people]
        return int(self._client.delete(*places)) if places else 0

    def _run(self, what: str, mapping: str, digests: Mapping[str, str]) -> None:
        for some in _chunks(list(digests)):
            self._sent(
                keys=[self._key(mapping, person) for person in some],
                args=[what, SENT_SECONDS, *(digests[person] for person in some)],
            )

    def _key(self, mapping: str, person: str) -> bytes:
        return self._own.encode() + _short(mapping, person)


def _chunks(items: Sequence[str]) -> Iterable[Sequence[str]]:
    return (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
