"""HTTP on the hot path: reading a body within bounds, answering in the one shape callers know."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from starlette.types import Message, Receive, Scope, Send

from destination.errors import Rejected
from destination.event import encode

BODY_SECONDS = 10.0
"""Seconds within which a caller must have sent a whole body."""


class Answer(msgspec.Struct, frozen=True):
    """A JSON answer. Its body is always an object; an error has ``code`` and ``message``."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer as an ASGI application does."""
        start: Message = {
            "type": "http.response.start",
            "status": self.status,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(self.body)).encode()),
                *self.headers,
            ],
        }
        await send(start)
        await send({"type": "http.response.body", "body": self.body})


def ok(body: dict[str, Any]) -> Answer:
    """Exactly 200 with a JSON object: clients in the field take nothing else for success."""
    return Answer(200, encode(body))


SUCCESS = ok({"success": True})


def refusal(error: Rejected) -> Answer:
    """An error as every client can read it: ``code``, ``message``, and ``error`` for Ruby's."""
    body = {
        "success": False,
        "code": error.code,
        "message": error.message,
        "error": error.message,
    }
    headers: Iterable[tuple[bytes, bytes]] = ()
    if error.retry_after is not None:
        headers = [(b"retry-after", str(error.retry_after).encode())]
    if error.status == 408:
        headers = [*headers, (b"connection", b"close")]
    return Answer(error.status, encode(body), tuple(headers))


def headers_of(scope: Scope) -> Mapping[str, str]:
    """Header names in lower case; of repeated ones the last counts. Read once for each scope."""
    found: Mapping[str, str] | None = scope.get("destination.headers")
    if found is None:
        found = scope["destination.headers"] = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
    return found


async def read_body(receive: Receive, headers: Mapping[str, str], limit: int) -> bytes:
    """The body, at most ``limit`` bytes, within ``BODY_SECONDS``.

    Raises ``Rejected``: 413 too large, 408 too slow, 400 when the caller went away.
    """
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > limit:
        raise too_large(limit)
    parts: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Rejected(
                        400, "bad_request", "the connection closed before the body ended"
                    )
                part = message.get("body", b"")
                size += len(part)
                if size > limit:
                    raise too_large(limit)
                parts.append(part)
                more = message.get("more_body", False)
    except TimeoutError:
        raise Rejected(
            408, "too_slow", f"the body did not arrive within {BODY_SECONDS:g} s; send it again"
        ) from None
    return b"".join(parts)


def too_large(limit: int) -> Rejected:
    """The refusal of a body of more than ``limit`` bytes on the wire."""
    return Rejected(
        413, "payload_too_large", f"the body has more than {limit:,} bytes; send it in parts"
    )
