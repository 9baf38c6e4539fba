"""The contract with the outside: a request, its answer, and ``Send``.

Everything that knows Klaviyo is a function that takes a ``Send``. Behind it stands HTTP with
authorisation, rate limit and log around it, a script of answers in a test, or the rehearsal that
``destination try`` uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from destination.event import decode, encode


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, without host, key or revision: the client adds those.

    ``path`` starts with ``/api/`` and has no trailing slash; ``operation`` is Klaviyo's operation
    id (``create_profile``), the key of the rate-limit table; ``query`` values are raw text, the
    client encodes them; ``body`` is what ``encode`` writes down as the body, or None; ``text`` is
    that body written down, where it has been already.
    """

    method: str
    path: str
    operation: str
    body: Any = None
    query: Mapping[str, str] = field(default_factory=dict)
    text: bytes | None = field(default=None, compare=False, repr=False)

    @property
    def json(self) -> Any:
        """The body as plain JSON values, as whoever gets it will read it."""
        return None if self.body is None else decode(encode(self.body))


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer. Header names are lower case; ``body`` is the decoded bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON, or None when it is not JSON."""
        try:
            return decode(self.body)
        except ValueError:  # msgspec.DecodeError is one
            return None


Send = Callable[[Request], Response]
"""Sends one request and returns whatever answer came.

Raises ``Unanswered`` when none came and ``NoRoom`` when the rate limit has no room soon.
"""

Once = Callable[[str, Callable[[], str]], str]
"""``once(key, find)``: the remembered text for ``key``, else ``find()``, run by one worker at a
time for the whole account and remembered for a while."""

Recall = Callable[[Sequence[str]], Sequence[float]]
"""The latest time that was told for each of some keys, unix seconds; 0 where none is known."""

Remember = Callable[[Mapping[str, float]], None]
"""Tells a time for each of some keys. An earlier one than is known changes nothing."""


def _know_nothing(keys: Sequence[str]) -> Sequence[float]:
    return [0.0] * len(keys)


def _forget(_times: Mapping[str, float]) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Account:
    """What an action may use of the account it works on.

    ``now`` is the unix time of this run in seconds; ``revision`` the API revision in use.
    ``recall`` and ``remember`` keep times beyond the run; without them (in previews) nothing is
    known.
    """

    send: Send
    once: Once
    now: float
    revision: str
    recall: Recall = _know_nothing
    remember: Remember = _forget
