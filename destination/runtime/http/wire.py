"""HTTP on the wire: uvicorn's protocol, with bounds on what a connection may cost.

uvicorn waits for ever for a request that never ends, takes heads of any size and counts trailers
among the headers (all measured). A client that is slow, greedy or broken loses its own connection
here and costs nobody else theirs.
"""

from __future__ import annotations

from asyncio import TimerHandle
from functools import lru_cache
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from destination.errors import Rejected
from destination.runtime.http.answers import Answer, refusal
from destination.runtime.http.endpoint import Headers

HEAD_SECONDS = 5.0
"""Seconds within which the whole head of a request must have come, from its first byte on."""

REST_SECONDS = 5.0
"""Seconds that the rest of a body may still come after it has been answered."""

STOP_SECONDS = 3.0
"""Seconds that the rest of a body may still come when the server is told to stop."""

READ_SECONDS = 30.0
"""Seconds for which a client may leave an answer unread that fills its buffers."""

HEAD_BYTES = 32 * 1024
HEADERS = 100
"""Bounds of a head: request line and headers, and the number of headers."""


class GuardedProtocol(HttpToolsProtocol):
    """One connection. What breaks a bound is answered 400, 408 or 431, and the connection ends."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._begun = False
        self._in_head = True
        self._progress = 0
        self._fruitless = 0
        self._timer: TimerHandle | None = None
        self._unread: TimerHandle | None = None
        self._broken = False

    def connection_made(self, transport: Any) -> None:
        """Start the time in which the first request must have come."""
        super().connection_made(transport)
        self._arm(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of all timers."""
        self._disarm()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless nothing more of this connection can be understood."""
        if self._broken:
            return
        self._unset_keepalive_if_required()
        before = self._progress
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, Rejected) else _MALFORMED)
            return
        except httptools.HttpParserUpgrade:
            # Nothing is upgraded to, and the parser reads no further: this answer is the last.
            self._broken = True
            self.cycle.keep_alive = False
            return
        # Heads, trailers and chunk extensions are held until they are whole; bodies are not.
        self._fruitless = self._fruitless + len(data) if self._progress == before else 0
        if self._fruitless > HEAD_BYTES:
            self._refuse(_TOO_LARGE)
        elif self._fruitless and self._in_head and self._timer is None:
            self._arm(HEAD_SECONDS)  # most heads come whole and need no timer

    def on_message_begin(self) -> None:
        """The first byte of a request; from here to its end the parser holds a part of it."""
        self._begun = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer is none, and must not pass for one."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Judge the head; raising here makes the parser give up."""
        self._disarm()
        self._progress += 1
        self._judge()
        super().on_headers_complete()
        self._in_head = False

    def _judge(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > HEAD_BYTES or len(self.headers) > HEADERS:
            raise _TOO_LARGE
        names = [name for name, _value in self.headers]
        hosts = names.count(b"host")
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() != "1.0"):
            what = f"the request has {hosts} Host headers; it must have one"
            raise Rejected(400, "bad_request", what)
        # The parser skips such a body; the client would hear that it is empty.
        if self.parser.should_upgrade() and {b"content-length", b"transfer-encoding"} & set(names):
            raise Rejected(
                400, "bad_request", "a body cannot come with an Upgrade header; speak HTTP/1.1"
            )

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._progress += 1
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole; the next bytes begin another one."""
        self._begun = False
        self._in_head = True
        self._progress += 1
        self._disarm()
        super().on_message_complete()
        if not self._answering():
            self._arm(REST_SECONDS)  # answered before it was whole, when uvicorn's own timer began

    def on_response_complete(self) -> None:
        """Do not wait for ever for the rest of a request that has been answered."""
        super().on_response_complete()
        if not self._in_head and not self.transport.is_closing():
            self._arm(REST_SECONDS)

    def shutdown(self) -> None:
        """The server is told to stop: do not wait for what may never come."""
        super().shutdown()
        if not self._in_head:
            self._arm(STOP_SECONDS)

    def _refuse(self, problem: Rejected) -> None:
        """Say why nothing more is read, unless an earlier answer is under way, and close."""
        self._broken = True
        self._disarm()
        if self.transport.is_closing():
            return
        if self._in_head and self._answering():
            self.cycle.keep_alive = False  # of the newest whole request: its answer is the last
            return
        if self._in_head or not self.cycle.response_started:
            self._say(refusal(problem), keep_alive=False)
        self.transport.close()

    def _answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete

    def _say(self, answer: Answer, *, keep_alive: bool) -> None:
        dated = tuple(self.server_state.default_headers)
        head = _head(answer.status, len(answer.body), dated, answer.headers, keep_alive)
        self.transport.write(head + answer.body)

    def pause_writing(self) -> None:
        """The client does not read what it is sent."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        super().resume_writing()

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, self._expired)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expired(self) -> None:
        self._timer = None
        if self._in_head and self._answering():
            self._arm(HEAD_SECONDS)  # an earlier request of this connection takes its time
        elif self._in_head and self._fruitless:
            self._refuse(_TOO_SLOW)
        else:
            self.transport.close()


@lru_cache(maxsize=64)
def _head(status: int, length: int, dated: Headers, more: Headers, keep_alive: bool) -> bytes:
    """The head of an answer; within a second, most are the same."""
    headers = [*dated, (b"content-type", b"application/json")]
    headers += [(b"content-length", b"%d" % length), *more]
    if not keep_alive:
        headers.append((b"connection", b"close"))
    lines = [b"%b: %b\r\n" % header for header in headers]
    return b"".join([STATUS_LINE[status], *lines, b"\r\n"])


_MALFORMED = Rejected(400, "bad_request", "this is not HTTP/1.1 as its specification has it")
_TOO_SLOW = Rejected(408, "too_slow", f"no whole head of a request came within {HEAD_SECONDS:g} s")
_TOO_LARGE = Rejected(
    431,
    "headers_too_large",
    f"the head of a request may have {HEADERS} headers and {HEAD_BYTES:,} bytes",
)
