"""Whole requests to hot routes are answered without ASGI, all others through it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from destination.errors import Rejected
from destination.runtime.http.answers import Answer, ok
from destination.runtime.http.endpoint import Endpoint
from destination.runtime.http.shortcut import ShortcutProtocol
from tests.unit.runtime.wire import Wire

WHOLE = b"POST /hot HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"


class Hot(Endpoint):
    """A route that tells what it was given, or fails."""

    headers = ((b"x-hot", b"1"),)

    async def take(self, scope: Scope, receive: Receive) -> Answer:
        """The usual way."""
        message = await receive()
        return ok({"way": "usual", "body": message["body"].decode(), "ip": scope["client"][0]})

    async def take_whole(self, scope: Scope, body: bytes) -> Answer:
        """The shortcut."""
        if body == b"no":
            raise Rejected(503, "queue_full", "later", retry_after=5)
        if body == b"!!":
            raise ZeroDivisionError
        return ok({"way": "short", "body": body.decode(), "ip": scope["client"][0]})


HOT = Hot()


async def usual(scope: Scope, receive: Receive, send: Send) -> None:
    """The whole application."""
    await HOT(scope, receive, send)


def said(feed: Callable[[ShortcutProtocol], None]) -> tuple[str, bool]:
    """What a connection answers to what it is fed with, and whether it is closed then."""

    async def run() -> tuple[str, bool]:
        state, wire = ServerState(), Wire()
        config = Config(usual, http=ShortcutProtocol, log_config=None, server_header=False)
        connection = ShortcutProtocol(config, state, {}, hot={"/hot": HOT})
        connection.connection_made(wire)
        feed(connection)
        while state.tasks:
            await asyncio.gather(*state.tasks)
            await asyncio.sleep(0)
        closed = wire.closed
        connection.connection_lost(None)
        return wire.written.decode(), closed

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("request_", "way"),
    [
        (WHOLE, "short"),
        (WHOLE.replace(b"/hot", b"/else"), "usual"),
        (WHOLE.replace(b"/hot", b"/hot/"), "usual"),
    ],
)
def test_whole_requests_to_hot_paths_are_cut_short(request_: bytes, way: str) -> None:
    """The route's own headers are on every answer."""
    answer, closed = said(lambda connection: connection.data_received(request_))
    assert answer.startswith("HTTP/1.1 200 OK\r\n")
    assert f'"way":"{way}","body":"{{}}"' in answer
    assert "x-hot: 1\r\n" in answer
    assert not closed


@pytest.mark.parametrize("leaves", [False, True])
def test_who_posts_and_does_not_read_is_asked_for_no_more(leaves: bool) -> None:
    """What would be written waits, and so do later requests, until there is room or nobody left."""

    async def run() -> None:
        state, wire = ServerState(), Wire()
        config = Config(usual, http=ShortcutProtocol, log_config=None, server_header=False)
        connection = ShortcutProtocol(config, state, {}, hot={"/hot": HOT})
        connection.connection_made(wire)
        connection.pause_writing()
        for _ in range(3):
            connection.data_received(WHOLE)
            for _ in range(5):
                await asyncio.sleep(0)
        assert (wire.written, len(state.tasks)) == (b"", 1)
        if leaves:
            wire.close()
            connection.connection_lost(None)
        else:
            connection.resume_writing()
        while state.tasks:
            await asyncio.gather(*state.tasks)
            await asyncio.sleep(0)
        if not leaves:
            assert wire.written.count(b'"way":"short"') == 3
            connection.connection_lost(None)

    asyncio.run(run())


def test_a_request_in_pieces_goes_the_usual_way() -> None:
    """Its body is waited for within bounds there."""

    def feed(connection: ShortcutProtocol) -> None:
        connection.data_received(WHOLE[:-1])
        connection.data_received(WHOLE[-1:])

    assert '"way":"usual","body":"{}"' in said(feed)[0]


def test_requests_in_a_row_are_answered_in_their_order() -> None:
    """However many come in one piece, and whichever way each goes."""
    several = [WHOLE, WHOLE.replace(b"/hot", b"/else"), WHOLE.replace(b"{}", b"[]")]
    answer, _closed = said(lambda connection: connection.data_received(b"".join(several)))
    bodies = [part.split('"ip"')[0] for part in answer.split('{"way":')[1:]]
    assert bodies == ['"short","body":"{}",', '"usual","body":"{}",', '"short","body":"[]",']


def test_a_refusal_says_why_and_a_fault_is_ours() -> None:
    """Both are to be posted again; the connection goes on."""
    refused, _closed = said(lambda connection: connection.data_received(WHOLE[:-2] + b"no"))
    assert refused.startswith("HTTP/1.1 503")
    assert '"code":"queue_full"' in refused
    assert "retry-after: 5\r\n" in refused
    failed, closed = said(lambda connection: connection.data_received(WHOLE[:-2] + b"!!"))
    assert failed.startswith("HTTP/1.1 503")
    assert '"code":"internal_error"' in failed
    assert not closed


@pytest.mark.parametrize("head", [b"Connection: close", b"connection: close, x"])
def test_a_connection_that_is_to_close_closes(head: bytes) -> None:
    """And says so."""
    request = WHOLE.replace(b"Host: h", b"Host: h\r\n" + head)
    answer, closed = said(lambda connection: connection.data_received(request))
    assert "connection: close\r\n" in answer
    assert closed


def test_the_caller_behind_a_trusted_proxy_is_known() -> None:
    """As on the usual way."""
    request = WHOLE.replace(b"Host: h", b"Host: h\r\nX-Forwarded-For: 203.0.113.9")
    answer, _closed = said(lambda connection: connection.data_received(request))
    assert '"ip":"203.0.113.9"' in answer


@pytest.mark.parametrize(
    ("old", "new"), [(b"POST", b"GET"), (b"Host: h", b"Host: h\r\nExpect: 100-continue")]
)
def test_what_is_no_plain_post_goes_the_usual_way(old: bytes, new: bytes) -> None:
    """Other methods, and callers who wait to be told to go on."""
    answer, _closed = said(lambda connection: connection.data_received(WHOLE.replace(old, new)))
    assert '"way":"short"' not in answer
    assert answer.startswith(("HTTP/1.1 405", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"))
