"""Identifiers in Klaviyo's shapes, derived from a seed and a counter so that a replay repeats them."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections import Counter

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Ids:
    """The next identifier of each kind."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._counts: Counter[str] = Counter()

    def ulid(self, kind: str, now: float) -> str:
        """26 characters, of which the first ten tell the millisecond."""
        return _digits(int(now * 1000), CROCKFORD, 10) + _digits(self._number(kind), CROCKFORD, 16)

    def short(self, kind: str) -> str:
        """Six characters, as of a list or a metric."""
        return _digits(self._number(kind), BASE62, 6)

    def event(self) -> str:
        """Eleven characters."""
        return _digits(self._number("event"), BASE62, 11)

    def uuid(self, kind: str) -> str:
        """A random-looking UUID."""
        return str(uuid.UUID(int=self._number(kind), version=4))

    def job(self, kind: str, now: float) -> str:
        """A base64url text, as of an import job."""
        text = f"{self.short(kind)}_maintenance.SANDBX.{int(now)}.{self.short(kind)}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def _number(self, kind: str) -> int:
        self._counts[kind] += 1
        text = f"{self._seed}/{kind}/{self._counts[kind]}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")


def _digits(number: int, alphabet: str, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(alphabet))
        digits.append(alphabet[digit])
    return "".join(reversed(digits))
