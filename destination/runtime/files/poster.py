"""Posts rows to a running server, patiently: nobody bypasses its door, commands least of all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import httpx

from destination.errors import DestinationError

PATIENCE = 600.0
"""Seconds for which a server that cannot take rows is asked again."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
_AGAIN = frozenset((408, 425, 429, 500, 502, 503, 504))
_SECONDS = 30.0


class Unposted(DestinationError):
    """The server does not take the rows, and asking again would not help or has not."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where rows go: ``POST {server}/rows/{object}`` with a source's write key.

    ``operation`` is what happened to them, ``key`` the column with each row's key, ``run`` the same
    for all attempts at one load.
    """

    server: str
    write_key: str
    object: str
    operation: str = ""
    key: str = ""
    run: str = ""

    def query(self) -> dict[str, str]:
        """The query of each request."""
        said = {"op": self.operation, "key": self.key, "run": self.run, "tool": "destination"}
        return {name: value for name, value in said.items() if value}


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of posted rows. ``rejected`` holds place, code and message of each bad one."""

    accepted: int = 0
    duplicate: int = 0
    unmatched: int = 0
    rejected: tuple[tuple[int, str, str], ...] = ()

    def plus(self, other: Taken, offset: int) -> Taken:
        """Both together; the places of the other's rows begin at ``offset``."""
        moved = tuple((place + offset, code, text) for place, code, text in other.rejected)
        return Taken(
            self.accepted + other.accepted,
            self.duplicate + other.duplicate,
            self.unmatched + other.unmatched,
            self.rejected + moved,
        )


class Poster:
    """Posts rows to one target.

    What the server cannot take now is posted again, after as long as it asks for, for up to
    ``PATIENCE`` seconds; ``say`` is told of each wait. Nothing is known of a server that never
    answered, so that one is not waited for.
    """

    def __init__(
        self,
        target: Target,
        http: httpx.Client | None = None,
        *,
        say: Callable[[str], None] = lambda _text: None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.target = target
        self._http = http or httpx.Client(timeout=_SECONDS, trust_env=False)
        self._say = say
        self._sleep = sleep
        self._clock = clock
        self._met = False

    def to(self, **changes: str) -> Poster:
        """A poster with another operation, key or run, over the same connections."""
        other = Poster(
            replace(self.target, **changes),
            self._http,
            say=self._say,
            sleep=self._sleep,
            clock=self._clock,
        )
        other._met = self._met
        return other

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def post(self, rows: Sequence[bytes]) -> Taken:
        """Post rows, each a JSON object in one line. A request that is too large goes in halves.

        Raises ``Unposted``.
        """
        if not rows:
            return Taken()
        answer = self._answer(b"\n".join(rows))
        if answer is not None:
            return _read(answer)
        if len(rows) == 1:
            said = "the server takes no row of this size: shorten it, or raise its body limit"
            return Taken(rejected=((0, "payload_too_large", said),))
        middle = len(rows) // 2
        return self.post(rows[:middle]).plus(self.post(rows[middle:]), middle)

    def _answer(self, body: bytes) -> dict[str, Any] | None:
        """The answer to a request that was taken, None when it was too large."""
        end = self._clock() + PATIENCE
        pause = FIRST_PAUSE
        while True:
            wait, problem = None, ""
            try:
                response = self._post(body)
            except httpx.TransportError as error:
                problem = f"no answer ({type(error).__name__})"
                self._refuse_stranger(error)
            else:
                self._met = True
                if response.status_code == 200:
                    return _object(response)
                if response.status_code == 413:
                    return None
                problem = _said(response)
                if response.status_code not in _AGAIN:
                    raise Unposted(f"{self.target.server} refuses the rows: {problem}")
                wait = _wait(response)
            wait, pause = pause if wait is None else wait, min(pause * 2, LONGEST_PAUSE)
            if self._clock() + wait > end:
                raise Unposted(f"{self.target.server} did not take the rows in time: {problem}")
            self._say(f"waiting {wait:g} s: {problem}")
            self._sleep(wait)

    def _post(self, body: bytes) -> httpx.Response:
        target = self.target
        return self._http.post(
            f"{target.server.rstrip('/')}/rows/{quote(target.object)}",
            content=body,
            params=target.query(),
            headers={
                "Content-Type": "application/x-ndjson",
                "X-Write-Key": target.write_key,
                "User-Agent": "destination",
            },
        )

    def _refuse_stranger(self, error: httpx.TransportError) -> None:
        if not self._met and isinstance(error, httpx.ConnectError | httpx.UnsupportedProtocol):
            raise Unposted(
                f"no server answers at {self.target.server} ({error}). Start one with"
                " `destination up`, or name it with --server."
            ) from error


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        found = None
    if not isinstance(found, dict) or "accepted" not in found:
        raise Unposted(f"{response.url.host} answers, but is no Destination server")
    return found


def _read(answer: dict[str, Any]) -> Taken:
    return Taken(
        answer["accepted"],
        answer.get("duplicate", 0),
        answer.get("unmatched", 0),
        tuple((bad["index"], bad["code"], bad["message"]) for bad in answer.get("rejected", ())),
    )


def _said(response: httpx.Response) -> str:
    try:
        message = response.json()["message"]
    except (ValueError, KeyError, TypeError):
        message = response.text
    return f"{response.status_code} {str(message)[:300]}"


def _wait(response: httpx.Response) -> float | None:
    text = response.headers.get("retry-after", "").strip()
    return float(text[:9]) if text.isdecimal() else None
