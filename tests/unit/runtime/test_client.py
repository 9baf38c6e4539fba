"""Requests over real sockets: deadlines, cut answers, what is sent."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import httpcore
import httpx
import pytest

from destination.errors import Unanswered
from destination.runtime.delivery.client import Client
from destination.sending import Request

Play = Callable[[socket.socket], None]
PING = Request(
    "POST", "/api/events", "create_event", {"a": 1}, {"filter": 'any(email,["a+b@c.io"])'}
)
OK = b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\nX-Two: b\r\n\r\n{}"


@pytest.fixture
def served() -> Iterator[Callable[[Play], str]]:
    """A server that plays one connection as told; its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve(play: Play) -> str:
        def run() -> None:
            connection, _address = listener.accept()
            with connection:
                play(connection)
                done.wait(10)

        threading.Thread(target=run, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield serve
    done.set()
    listener.close()


def read_request(connection: socket.socket) -> bytes:
    """The head and the start of the body of a request."""
    return connection.recv(65536)


def drip(text: bytes, every: float) -> Play:
    """An answer that comes one byte at a time."""

    def play(connection: socket.socket) -> None:
        read_request(connection)
        for byte in text:
            try:
                connection.sendall(bytes([byte]))
            except OSError:
                return
            time.sleep(every)

    return play


@pytest.mark.parametrize(
    "text",
    [b"HTTP/1.1 202 Accepted\r\nx: " + b"y" * 100, OK[:-2] + b" " * 100],
    ids=["head", "body"],
)
def test_the_deadline_is_for_the_whole_answer(served: Callable[[Play], str], text: bytes) -> None:
    """An answer that trickles in, in its head or in its body, is given up."""
    with Client(served(drip(text, 0.05)), {}, deadline=0.5) as client:
        began = time.monotonic()
        with pytest.raises(Unanswered):
            client.send(PING)
        assert time.monotonic() - began < 2


def test_a_silent_server_is_given_up(served: Callable[[Play], str]) -> None:
    """Within the deadline."""
    with Client(served(lambda c: None), {}, deadline=0.3) as client, pytest.raises(Unanswered):
        client.send(PING)


def test_a_cut_answer_is_no_answer(served: Callable[[Play], str]) -> None:
    """Even when its status line said success."""

    def play(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(OK[:-1])
        connection.shutdown(socket.SHUT_RDWR)

    with Client(served(play), {}, deadline=2) as client, pytest.raises(Unanswered):
        client.send(PING)


def test_what_is_sent_and_what_comes_back(served: Callable[[Play], str]) -> None:
    """Query values are encoded; header names come back in lower case."""
    seen: list[bytes] = []

    def play(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(OK)

    with Client(served(play), {"authorization": "Klaviyo-API-Key k"}, deadline=2) as client:
        answer = client.send(PING)
    assert (answer.status, answer.headers["x-two"], answer.json()) == (202, "b", {})
    head = seen[0].decode()
    assert head.startswith("POST /api/events?filter=any%28email%2C%5B%22a%2Bb%40c.io%22%5D%29 ")
    assert "Klaviyo-API-Key k" in head
    assert "accept-encoding: identity" in head.lower()


def test_a_redirect_is_not_followed(served: Callable[[Play], str]) -> None:
    """The key goes to one address only."""

    def play(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(
            b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
        )

    with Client(served(play), {}, deadline=2) as client:
        assert client.send(PING).status == 302


def test_httpx_keeps_its_pool_where_the_client_puts_its_own() -> None:
    """The deadline hangs on it."""
    with httpx.HTTPTransport() as transport:
        assert isinstance(transport._pool, httpcore.ConnectionPool)


def test_a_request_without_an_answer_can_be_ended_from_outside(
    served: Callable[[Play], str],
) -> None:
    """Whoever must stop does not wait for the deadline."""
    asked = threading.Event()

    def play(connection: socket.socket) -> None:
        read_request(connection)
        asked.set()

    with Client(served(play), {}, deadline=20) as client:

        def cut() -> None:
            asked.wait(10)
            client.cut()

        cutter = threading.Thread(target=cut)
        cutter.start()
        started = time.monotonic()
        with pytest.raises(Unanswered):
            client.send(PING)
        assert time.monotonic() - started < 10
        cutter.join()
