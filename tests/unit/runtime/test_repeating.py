"""Heads that come again are recognised, and nothing else is."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from destination.runtime.http.answers import Answer, headers_of, ok
from destination.runtime.http.endpoint import Endpoint
from destination.runtime.http.shortcut import ShortcutProtocol
from tests.unit.runtime.wire import Wire

HEAD = b"POST /hot?q=1 HTTP/1.1\r\nHost: h\r\nX-Key: k\r\nContent-Length: %d\r\nX-Last: l\r\n\r\n"

TURNS = 20
"""Turns of the loop in which every whole request is answered."""


def request_of(body: bytes) -> bytes:
    """A whole request with the head that all have, but for the length."""
    return HEAD % len(body) + body


class Told(Endpoint):
    """A route that tells what it was given."""

    async def take(self, scope: Scope, receive: Receive) -> Answer:
        """The usual way."""
        message = await receive()
        body = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message.get("body", b"")
        return self._told(scope, body)

    async def take_whole(self, scope: Scope, body: bytes) -> Answer:
        """The shortcut."""
        return self._told(scope, body)

    def _told(self, scope: Scope, body: bytes) -> Answer:
        headers = {**headers_of(scope)}
        headers.pop("content-length", None)
        query = scope["query_string"].decode()
        return ok(
            {"body": body.decode(), "headers": headers, "query": query, "ip": scope["client"][0]}
        )


TOLD = Told()


async def usual(scope: Scope, receive: Receive, send: Send) -> None:
    """The whole application."""
    await TOLD(scope, receive, send)


class Counted(ShortcutProtocol):
    """Counts what the parser is fed with."""

    fed = 0

    def on_message_begin(self) -> None:
        """A request that the parser sees."""
        self.fed += 1
        super().on_message_begin()


def said(*pieces: bytes, remember: bool = True, limit: int | None = None) -> tuple[str, bool, int]:
    """What a connection answers to pieces, each fed when what can be answered has been; whether it is
    closed then; and how many requests its parser saw.
    """

    async def run() -> tuple[str, bool, int]:
        state, wire = ServerState(), Wire()
        config = Config(
            usual, log_config=None, server_header=False, limit_concurrency=limit, log_level="error"
        )
        connection = Counted(config, state, {}, hot={"/hot": TOLD})
        connection.connection_made(wire)
        for piece in pieces:
            if not remember:
                connection._repeatable = None
            connection.data_received(piece)
            for _ in range(TURNS):
                await asyncio.sleep(0)
        closed = wire.closed
        connection.connection_lost(None)
        await asyncio.gather(*state.tasks)  # of requests that never became whole
        return wire.written.decode(), closed, connection.fed

    return asyncio.run(run())


def test_a_head_that_comes_again_needs_no_parser() -> None:
    """Whatever the length; the answer is the same as through the parser."""
    pieces = [request_of(body) for body in (b"{}", b"[1, 2, 3]", b"", b"x" * 1000)]
    answer, closed, fed = said(*pieces)
    assert answer == said(*pieces, remember=False)[0]
    assert (answer.count("HTTP/1.1 200"), closed, fed) == (4, False, 1)


@pytest.mark.parametrize(
    "other",
    [
        request_of(b"{}").replace(b"X-Key: k", b"X-Key: other"),
        request_of(b"{}").replace(b"/hot?q=1", b"/hot?q=2"),
        request_of(b"{}").replace(b"X-Last: l", b"X-Last: l\r\nX-More: m"),
        request_of(b"{}").replace(b"Length: 2", b"Length: +2"),
        request_of(b"{}").replace(b"Length: 2", b"Length: 2 "),
        request_of(b"{}").replace(b"Length: 2", b"Length: 0x2"),
        request_of(b"{}").replace(b"Length: 2", b"Length: 2\r\nContent-Length: 2"),
        request_of(b"{}").replace(b"Length: 2", b"Length: 2\r\nTransfer-Encoding: chunked"),
        request_of(b"{}").replace(b"Length: 2", b"Length: 9999999999"),
        request_of(b"{}").replace(b"\r\n", b"\n"),
        request_of(b"{}") + b"x",
        request_of(b"{}") + request_of(b"[]"),
        request_of(b"{}") + b"POST /hot",
        request_of(b"{}")[:-1],
        b"\r\n" + request_of(b"{}"),
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    ],
)
def test_whatever_is_not_the_same_head_with_its_whole_body_is_parsed(other: bytes) -> None:
    """And is answered, or refused, as if nothing had been remembered."""
    pieces = [request_of(b"{}"), request_of(b"[]"), other, request_of(b"[3]")]
    answer, closed, fed = said(*pieces)
    assert (answer, closed) == said(*pieces, remember=False)[:2]
    assert fed > 1


@pytest.mark.parametrize(
    "more",
    [b"Connection: close", b"Expect: 100-continue", b"X-Odd: \xe9", b"X-Long: " + b"x" * 5000],
)
def test_a_head_that_is_not_plain_is_not_remembered(more: bytes) -> None:
    """Nor is one that ends its connection."""
    request = request_of(b"{}").replace(b"X-Last: l", more)
    _answer, closed, fed = said(request, request, request)
    assert fed == (1 if closed else 3)


@pytest.mark.parametrize("cut", range(1, 90, 7))
def test_what_follows_the_beginning_of_a_request_belongs_to_it(cut: int) -> None:
    """Even where it looks like a whole request of its own, and however the beginning came."""
    whole = request_of(request_of(b"{}"))
    beginning = request_of(b"[]") + whole[:cut]
    for pieces in (
        [request_of(b"{}"), beginning, whole[cut:]],
        [request_of(b"{}"), whole[:cut], whole[cut:]],
        [request_of(b"{}"), beginning, request_of(b"{}")],
    ):
        assert said(*pieces)[:2] == said(*pieces, remember=False)[:2]


def test_a_body_that_looks_like_a_request_is_a_body() -> None:
    """A head that waits for its body, then what looks like a head that is known."""
    inner = request_of(b"{}")
    pieces = [inner, HEAD % len(inner), inner, inner]
    answer, _closed, _fed = said(*pieces)
    assert answer == said(*pieces, remember=False)[0]
    assert answer.count("HTTP/1.1 200") == 3


def test_the_caller_behind_a_trusted_proxy_stays_known() -> None:
    """As long as the head says the same."""
    first = request_of(b"{}").replace(b"X-Last: l", b"X-Forwarded-For: 203.0.113.9")
    other = first.replace(b"203.0.113.9", b"203.0.113.8")
    answer, _closed, fed = said(first, first, other, other)
    assert [part[:11] for part in answer.split('"ip":"')[1:]] == ["203.0.113.9"] * 2 + [
        "203.0.113.8"
    ] * 2
    assert fed == 2


def test_too_many_connections_are_told_so() -> None:
    """A head that is known changes nothing about it."""
    answer, _closed, fed = said(request_of(b"{}"), request_of(b"{}"), limit=1)
    assert answer.count("HTTP/1.1 503") == 2
    assert fed == 2


def _pieces(whole: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % len(whole) for cut in cuts), len(whole)]
    return [whole[start:end] for start, end in pairwise(places) if end > start]


@given(
    st.lists(st.binary(max_size=30).map(bytes.hex).map(str.encode), min_size=1, max_size=5),
    st.lists(st.integers(0, 2000), max_size=4),
)
def test_however_requests_are_cut_the_answers_are_the_same(
    bodies: list[bytes], cuts: list[int]
) -> None:
    """Pieces that hold a part, one or several of them."""
    pieces = [request_of(b"{}"), *_pieces(b"".join(map(request_of, bodies)), cuts)]
    assert said(*pieces)[:2] == said(*pieces, remember=False)[:2]
