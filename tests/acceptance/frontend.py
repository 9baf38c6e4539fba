"""A reverse proxy as they have been: it reads requests its own way and passes the bytes on unchanged.

All its clients share one connection to the server behind, which is what smuggling needs: whatever
the two read differently, somebody else's answer comes of it.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass

PATIENCE = 0.3
"""Seconds after which who is silent has no answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request. Status 0: nothing."""

    status: int = 0
    body: bytes = b""


Reading = Callable[[dict[str, list[str]]], int | None]
"""How long a body is by the header lines of its request; None where it comes in chunks."""


def first_length(lines: dict[str, list[str]]) -> int | None:
    """Knows no chunks; of two lengths the first counts."""
    return _number(lines.get("content-length", ["0"])[0])


def last_length(lines: dict[str, list[str]]) -> int | None:
    """Knows no chunks; of two lengths the last counts."""
    return _number(lines.get("content-length", ["0"])[-1])


def anything_chunked(lines: dict[str, list[str]]) -> int | None:
    """Takes whatever has chunks in its coding for chunked, however that is written."""
    coding = ",".join(lines.get("transfer-encoding", []))
    return None if "chunked" in coding else first_length(lines)


def as_it_should(lines: dict[str, list[str]]) -> int | None:
    """By RFC 9112: chunked where that is the last coding, else the length."""
    coding = ",".join(lines.get("transfer-encoding", [])).rpartition(",")[2].strip().lower()
    return None if coding == "chunked" else first_length(lines)


READINGS: tuple[Reading, ...] = (first_length, last_length, anything_chunked, as_it_should)


class Frontend:
    """Passes requests on to ``port``, over one connection for as long as the server keeps it.

    ``connections`` tells how often it had to make a new one.
    """

    def __init__(self, port: int, reading: Reading) -> None:
        self._port = port
        self._reading = reading
        self._socket: socket.socket | None = None
        self._heard = b""
        self.connections = 0

    def close(self) -> None:
        """End the connection."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._heard = None, b""

    def one_by_one(self, data: bytes) -> list[Answer]:
        """The answers to the requests that ``data`` is, each passed on after the last is answered."""
        answers = []
        for piece in self.requests(data):
            self._send(piece)
            answers.append(self._answer())
        return answers

    def at_once(self, *sent: bytes) -> list[list[Answer]]:
        """The answers to each of several clients whose requests are passed on without waiting."""
        pieces = [self.requests(data) for data in sent]
        self._send(b"".join(piece for each in pieces for piece in each))
        return [[self._answer() for _piece in each] for each in pieces]

    def requests(self, data: bytes) -> list[bytes]:
        """What ``data`` is cut into, by its own reading."""
        found = []
        while data:
            size = self._size(data)
            found.append(data[:size])
            data = data[size:]
        return found

    def _size(self, data: bytes) -> int:
        ended = re.search(rb"\r?\n\r?\n", data)
        if ended is None:
            return len(data)
        lines: dict[str, list[str]] = {}
        for line in data[: ended.start()].decode("latin-1").splitlines()[1:]:
            name, _, value = line.partition(":")
            lines.setdefault(name.strip().lower(), []).append(value.strip().lower())
        length = self._reading(lines)
        if length is not None:
            return min(len(data), ended.end() + length)
        last = re.compile(rb"(?:^|\r?\n)0+[^\n]*\r?\n(?:[^\r\n]+\r?\n)*\r?\n").search(
            data, ended.end()
        )
        return last.end() if last else len(data)

    def _send(self, data: bytes) -> None:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE)
            self.connections += 1
        with contextlib.suppress(OSError):  # the answer, if there is one, says why
            self._socket.sendall(data)

    def _answer(self) -> Answer:
        """The next answer on the connection, which is given up where none comes."""
        while True:
            head = self._until(
                lambda heard: heard.find(b"\r\n\r\n") + 4 if b"\r\n\r\n" in heard else 0
            )
            if not head:
                self.close()
                return Answer()
            status = int(head.split(b" ", 2)[1])
            if status >= 200:
                break
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        size = int(length[1]) if length else 0
        body = self._until(lambda heard: size if len(heard) >= size else 0) if size else b""
        if re.search(rb"(?i)\r\nconnection: *close", head):
            self._drop_if_ended()
        return Answer(status, body)

    def _until(self, whole: Callable[[bytes], int]) -> bytes:
        """So many of the bytes heard as ``whole`` finds, once it finds any; else none."""
        while self._socket is not None:
            size = whole(self._heard)
            if size:
                found, self._heard = self._heard[:size], self._heard[size:]
                return found
            try:
                more = self._socket.recv(65_536)
            except OSError:
                return b""
            if not more:
                return b""
            self._heard += more
        return b""

    def _drop_if_ended(self) -> None:
        """What the server says after its last word is an answer that nobody asked for."""
        if self._socket is not None and not self._heard:
            self.close()


def _number(text: str) -> int:
    """A length as a careless parser reads it: what looks like a number from the left."""
    found = re.match(r"[+]?(0x[0-9a-f]+|\d+)", text)
    return min(int(found[1], 0 if found[1].startswith("0x") else 10), 10**9) if found else 0
