"""The load generator: posts events over keep-alive connections and times every answer.

A process of its own (``python -m benchmarks.load``, a ``Load`` as JSON on standard input, an
``Answered`` as JSON on standard output). Requests are built before the clock starts, then sent and
received by one loop over ``epoll`` without any HTTP library; its CPU time is part of the answer.
"""

from __future__ import annotations

import base64
import gc
import itertools
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks.events import made, numbered, read, templates
from benchmarks.machine import environ, other_cores, python, quantile

PATIENCE = 60
"""Seconds without any answer after which it is given up."""


def source_key(number: int) -> str:
    """The write key of a source."""
    return f"bench-{number}"


PAUSE = 0.2
"""Seconds that a patient client waits before it posts again."""


class Load(msgspec.Struct):
    """What to post: ``count`` events of a kind, ``size`` a request, on ``connections`` at once.

    With ``every`` seconds above 0 requests start at that distance, else each connection sends its
    next one when the last is answered. ``first`` is the number of the first event. Requests are
    built as they are sent where ``built`` is false. They take turns in coming from ``sources``.
    A ``patient`` client posts again what was answered 503, as SDKs do.
    """

    port: int
    kind: str
    count: int
    size: int
    connections: int
    run: str
    people: int
    first: int = 0
    every: float = 0.0
    file: str = ""
    built: bool = True
    sources: int = 1
    patient: bool = False


class Answered(msgspec.Struct):
    """When the first request began and the last was answered, in monotonic seconds, and the rest.

    ``p50``, ``p99`` and ``longest`` are seconds of a request; ``starts`` says when each began, where
    they were paced; ``cpu`` is this process's, while it posted.
    """

    began: float
    ended: float
    requests: int
    refused: int
    repeated: int
    p50: float
    p99: float
    longest: float
    cpu: float
    starts: list[float]


def requests(load: Load) -> Iterator[bytes]:
    """Whole HTTP requests."""
    events = read(Path(load.file)) if load.file else made(load.kind)
    stream = numbered(templates(events), load.first, load.count, run=load.run, people=load.people)
    single = load.size == 1 and load.kind in {"track", "small"} and not load.file
    path = "/rows/profile?op=upsert" if load.kind == "row" else "/v1/batch"
    lines = [
        f"POST {'/v1/track' if single else path} HTTP/1.1",
        "host: 127.0.0.1",
        "content-type: application/json",
        "user-agent: bench/1",
        "authorization: Basic ",
    ]
    start = "\r\n".join(lines).encode()
    keys = [base64.b64encode(f"{source_key(number)}:".encode()) for number in range(load.sources)]
    heads = itertools.cycle([start + key + b"\r\ncontent-length: " for key in keys])
    while part := list(itertools.islice(stream, load.size)):
        body = b",".join(part)
        if load.kind == "row":
            body = b"[" + body + b"]"
        elif not single:
            body = b'{"batch":[' + body + b'],"sentAt":"2026-01-01T00:00:00.401Z"}'
        yield next(heads) + b"%d\r\n\r\n" % len(body) + body


class Poster:
    """Connections that post one request after the other."""

    def __init__(self, load: Load) -> None:
        self._every = load.every
        self._patient = load.patient
        self._asked: dict[int, bytes] = {}
        self._mixed = bool(load.file)  # may hold events that are to be refused
        self._epoll = select.epoll()
        self._open: dict[int, socket.socket] = {}
        self._began: dict[int, float] = {}
        self._left: dict[int, memoryview] = {}
        self._said: dict[int, bytes] = {}
        self._source: Iterator[bytes] = iter(())
        self.took: list[float] = []
        self.starts: list[float] = []
        self.refused = 0
        self.repeated = 0
        for _ in range(load.connections):
            link = socket.create_connection(("127.0.0.1", load.port), timeout=PATIENCE)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link.setblocking(False)
            self._open[link.fileno()] = link
            self._epoll.register(link.fileno(), select.EPOLLIN)

    def run(self, source: Iterator[bytes]) -> None:
        """Post everything."""
        if self._every:
            self._pace(source)
        else:
            self._source = source
            for number in self._open:
                self._next(number)
        while self._began:
            self._turn(PATIENCE)

    def _pace(self, source: Iterator[bytes]) -> None:
        due = time.monotonic()
        for number, request in zip(itertools.cycle(self._open), source, strict=False):
            while (wait := due - time.monotonic()) > 0 or number in self._began:
                self._turn(max(wait, 0.0005))
            self.starts.append(time.monotonic())
            self._send(number, request)
            due += self._every

    def _turn(self, wait: float) -> None:
        happened = self._epoll.poll(wait)
        if not happened and wait >= PATIENCE:
            raise TimeoutError(f"{len(self._began)} requests had no answer within {PATIENCE} s")
        for number, what in happened:
            if what & select.EPOLLOUT:
                self._push(number)
            if what & ~select.EPOLLOUT:
                self._receive(number)

    def _next(self, number: int) -> None:
        request = next(self._source, None)
        if request is not None:
            self._send(number, request)

    def _send(self, number: int, request: bytes) -> None:
        self._began[number] = time.monotonic()
        if self._patient:
            self._asked[number] = request
        done = self._open[number].send(request)
        if done < len(request):
            self._left[number] = memoryview(request)[done:]
            self._epoll.modify(number, select.EPOLLIN | select.EPOLLOUT)

    def _push(self, number: int) -> None:
        left = self._left[number]
        left = left[self._open[number].send(left) :]
        if left:
            self._left[number] = left
        else:
            del self._left[number]
            self._epoll.modify(number, select.EPOLLIN)

    def _receive(self, number: int) -> None:
        said = self._open[number].recv(1 << 20)
        if not said:
            raise ConnectionError("the server closed a connection")
        if number in self._said:
            said = self._said.pop(number) + said
        head = said.find(b"\r\n\r\n")
        if head < 0 or len(said) < head + 4 + _length(said[:head]):
            self._said[number] = said
            return
        if self._patient and said[9:12] == b"503":
            self.repeated += 1
            time.sleep(PAUSE)
            self._send(number, self._asked[number])
            return
        self.took.append(time.monotonic() - self._began.pop(number))
        if said[9:12] != b"200" or (b'"rejected"' in said and not self._mixed):
            self.refused += 1
            if self.refused == 1:
                sys.stderr.write(said[:600].decode("utf-8", "replace") + "\n")
        self._next(number)


def _length(head: bytes) -> int:
    rest = head.lower().partition(b"content-length:")[2]
    return int(rest.partition(b"\r")[0] or 0)


class Generator:
    """A load generator that has built its requests and waits for the word to post them."""

    def __init__(self, load: Load) -> None:
        places = ",".join(map(str, other_cores()))
        self._process = subprocess.Popen(
            ["taskset", "-c", places, *python("benchmarks.load")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environ(),
        )
        self._say(msgspec.json.encode(load) + b"\n")
        self._hear()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def post(self) -> Answered:
        """Post, and wait for the last answer."""
        self.start()
        return self.result()

    def start(self) -> None:
        """Begin to post."""
        self._say(b"go\n")

    def result(self) -> Answered:
        """Wait for the last answer."""
        answered = msgspec.json.decode(self._hear(), type=Answered)
        self._process.wait(10)
        return answered

    def _say(self, line: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()

    def _hear(self) -> bytes:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the load generator ended early; what it said stands above")
        return line


def main() -> None:
    """One load, as asked on standard input: built, announced, posted at the word, reported."""
    load = msgspec.json.decode(sys.stdin.buffer.readline(), type=Load)
    source = requests(load)
    if load.built:
        source = iter(list(source))
    poster = Poster(load)
    gc.collect()
    gc.disable()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    used, began = time.process_time(), time.monotonic()
    poster.run(source)
    ended, cpu = time.monotonic(), time.process_time() - used
    answered = Answered(
        began,
        ended,
        len(poster.took),
        poster.refused,
        poster.repeated,
        quantile(poster.took, 0.5),
        quantile(poster.took, 0.99),
        max(poster.took),
        cpu,
        poster.starts,
    )
    sys.stdout.buffer.write(msgspec.json.encode(answered) + b"\n")


if __name__ == "__main__":
    main()
