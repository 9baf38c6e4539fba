"""Requests that say what the one before them said: an SDK's connection sends the same head each time,
but for the length of the body.

What the parser made of a head it would make of the same bytes again. So a head that the parser has
taken is remembered, in its plainest form only, and recognised where its whole request comes in one
piece. Everything else is the parser's.
"""

from __future__ import annotations

import re

import msgspec
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from destination.runtime.http.endpoint import Endpoint

REMEMBERED = 4096
"""Bytes of a head that is remembered, at the most; each connection remembers one."""

_LENGTH = b"content-length"
_OTHERS = rb"(?:(?!content-length|transfer-encoding|upgrade|expect)[!-9;-~]+: [ -~]*\r\n)*"
_PLAIN = re.compile(
    rb"(POST [!-~]+ HTTP/1\.1\r\n%b%b: )([0-9]{1,9})(\r\n%b\r\n)" % (_OTHERS, _LENGTH, _OTHERS),
    re.IGNORECASE,
)
"""A head of visible characters with one length, and nothing else that says where its body ends."""


class Repeatable(msgspec.Struct):
    """A request that was taken and may come again: what stands before and after the length in its
    head, what the parser made of it, and whose it is.
    """

    before: bytes
    after: bytes
    cycle: RequestResponseCycle
    endpoint: Endpoint

    def body_in(self, data: bytes) -> bytes | None:
        """The body, where ``data`` is this head, whatever its length, and all of its body."""
        if not data.startswith(self.before):
            return None
        start = len(self.before)
        end = data.find(b"\r", start, start + 10)
        length = data[start:end] if end > start else b""
        if not length.isdigit() or not data.startswith(self.after, end):
            return None
        body = data[end + len(self.after) :]
        return body if len(body) == int(length) else None

    def begin(self) -> RequestResponseCycle:
        """The cycle of the request before, which has ended, as one that begins."""
        self.cycle.response_started = self.cycle.response_complete = False
        return self.cycle


def repeatable(data: bytes, cycle: RequestResponseCycle, endpoint: Endpoint) -> Repeatable | None:
    """What is to be remembered of a request that the parser took out of ``data``; None when it is not
    plain, or not all that there is.
    """
    plain = _PLAIN.match(data, 0, REMEMBERED)
    if plain is None or not cycle.keep_alive or len(data) - plain.end() != int(plain[2]):
        return None
    # The length is another one each time. Who has a whole body needs none.
    cycle.scope["headers"] = [each for each in cycle.scope["headers"] if each[0] != _LENGTH]
    cycle.body = bytearray()  # it has been handed on, and is not to be held as long as the head
    return Repeatable(plain[1], plain[3], cycle, endpoint)
