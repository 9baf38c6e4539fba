"""Requests that a proxy reads differently, behind such a proxy: everybody gets their own answer."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.crooked import MALFORMED, ODD, SMUGGLED
from tests.acceptance.frontend import (
    READINGS,
    Answer,
    Frontend,
    Reading,
    as_it_should,
    first_length,
)
from tests.acceptance.stack import Stack

WELL = b"GET /health HTTP/1.1\r\nHost: victim.example\r\n\r\n"
LOST = b"GET /nowhere HTTP/1.1\r\nHost: victim.example\r\n\r\n"
"""Two others on the same connection, whose answers nobody takes for an event's."""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """An installation behind the proxies here."""
    with tempfile.TemporaryDirectory(prefix="dst") as folder:
        found = Stack(Path(folder))
        try:
            found.up()
            yield found
        finally:
            found.down()


def port(stack: Stack) -> int:
    """Where the server listens."""
    return int(stack.server.rpartition(":")[2])


def received(stack: Stack) -> int:
    """How many events the server says it was sent."""
    sources = stack.counts()["sources"]
    return int(sources["default"]["received"]) if sources else 0


def own(answers: list[Answer]) -> bool:
    """Whether the two others have their own answers, or, on a connection that has ended, none."""
    well, lost = answers
    return (well.status, b'"success"' in well.body) in {(200, False), (0, False)} and (
        lost.status in {404, 0}
    )


@pytest.mark.parametrize("reading", READINGS, ids=lambda each: each.__name__)
def test_nobody_gets_the_answer_to_what_somebody_else_smuggled(
    stack: Stack, reading: Reading
) -> None:
    """However the proxy cuts it, one request after the other or at once; and the server has seen as
    many events as the proxy has heard it take.
    """
    front, before, taken, wrong = Frontend(port(stack), reading), received(stack), 0, []
    for what, data in MALFORMED.items():
        answers = front.one_by_one(data)
        others = front.one_by_one(WELL + LOST)
        taken += sum(answer.status == 200 for answer in answers)
        if [each.status for each in others] != [200, 404] or not own(others):
            wrong.append((what, "one by one", others))
        answers, well, lost = front.at_once(data, WELL, LOST)
        taken += sum(answer.status == 200 for answer in answers)
        if not own([*well, *lost]):
            wrong.append((what, "at once", [*well, *lost]))
    front.close()
    assert not wrong
    assert received(stack) - before == taken


def test_what_is_only_odd_passes_and_keeps_the_connection_in_step(stack: Stack) -> None:
    """Each has the answer that it has without a proxy, and so have the others behind it."""
    front, before, taken, wrong = Frontend(port(stack), as_it_should), received(stack), 0, []
    for what, (data, expected) in ODD.items():
        answers = front.one_by_one(data + WELL + LOST)
        taken += expected == 200 and b"POST" in data
        if [each.status for each in answers] != [expected, 200, 404] or not own(answers[1:]):
            wrong.append((what, answers))
    front.close()
    assert not wrong
    assert received(stack) - before == taken
    assert front.connections <= 4, "the server does not keep connections"


def test_a_hundred_on_one_connection_are_counted_and_answered_one_by_one(stack: Stack) -> None:
    """As the proxy has sent them, with others in between."""
    front, before = Frontend(port(stack), as_it_should), received(stack)
    answers = front.at_once(*[SMUGGLED, WELL, LOST] * 33)
    assert [each.status for (each,) in answers] == [200, 200, 404] * 33
    assert received(stack) - before == 33
    assert front.connections == 1
    front.close()


class Gullible(threading.Thread):
    """A server that reads chunks where there is a length as well: the second request within the
    first one's body is answered too.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])

    def run(self) -> None:
        """One connection."""
        talking, _ = self._listening.accept()
        with self._listening, talking:
            while data := talking.recv(65_536):
                for line in data.split(b"\r\n"):
                    if line.endswith(b" HTTP/1.1"):
                        body = b'{"success":true}' if b"/v1/page" in line else b"{}"
                        length = b"Content-Length: %d" % len(body)
                        talking.sendall(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n\r\n" + body)


def test_the_proxy_shows_a_server_that_lets_requests_be_smuggled() -> None:
    """Otherwise the tests above would prove nothing."""
    server = Gullible()
    server.start()
    front = Frontend(server.port, first_length)
    body = b"0\r\n\r\n" + SMUGGLED
    lines = b"POST /v1/page HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n"
    answers = front.one_by_one(lines % len(body) + body)
    others = front.one_by_one(WELL + LOST)
    front.close()
    assert len(answers) == 1
    assert not own(others)
