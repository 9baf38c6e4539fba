"""An imitation of Klaviyo that costs next to nothing, so that what is measured is not it.

``python -m benchmarks.imitation PORT LATENCY`` answers every request of the product as Klaviyo does
on its best day, ``LATENCY`` seconds after it has come, and notes when which marks came: the
``unique_id`` of an event, the ``bench_mark`` of a profile. It reads no JSON; one search over a body
finds its marks. ``/bench/...`` is for the measurements.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from typing import cast
from urllib.parse import unquote

import msgspec
import uvloop

MARKS = re.compile(rb'"(?:unique_id|bench_mark)":"([^"]*)"')
VALUES = re.compile(r'"([^"]*)"')


class Seen(msgspec.Struct):
    """What has come: requests by kind, rows, and when the first and the last of them came."""

    requests: dict[str, int] = {}
    rows: int = 0
    bytes: int = 0
    first: float = 0.0
    last: float = 0.0
    cpu: float = 0.0


class Arrival(msgspec.Struct, array_like=True):
    """The marks of one request, and when it had come whole (monotonic seconds)."""

    at: float
    marks: list[str]


class Klaviyo:
    """The account: it takes everything and forgets all but the marks."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what has come."""
        self.seen = Seen(requests={})
        self._came: list[tuple[float, list[bytes]]] = []

    def answer(self, method: str, path: str, body: bytearray) -> tuple[int, bytes]:
        """Status and body."""
        if path.startswith("/bench/"):
            return 200, self._told(path)
        where = path.partition("?")[0].removeprefix("/api/")
        kind = f"{method} {where.partition('/')[0]}"
        self.seen.requests[kind] = self.seen.requests.get(kind, 0) + 1
        marks = MARKS.findall(body)
        if marks:
            now = time.monotonic()
            self._came.append((now, marks))
            self.seen.rows += len(marks)
            self.seen.first = self.seen.first or now
            self.seen.last = now
        self.seen.bytes += len(body)
        return self._answered(kind, where, path)

    def _answered(self, kind: str, where: str, path: str) -> tuple[int, bytes]:
        match kind:
            case "POST profile-bulk-import-jobs":
                job = f"job-{self.seen.requests[kind]}"
                return 202, b'{"data":{"type":"profile-bulk-import-job","id":"%s"}}' % job.encode()
            case "GET profile-bulk-import-jobs" if where.endswith("/import-errors"):
                return 200, b'{"data":[],"links":{"next":null}}'
            case "GET profile-bulk-import-jobs":
                status = b'{"status":"complete","failed_count":0}'
                return 200, b'{"data":{"id":"job","attributes":%s}}' % status
            case "GET profiles":
                return 200, _profiles(path)
            case "GET accounts" | "GET lists":
                return 200, b'{"data":[],"links":{"next":null}}'
            case "POST profiles":
                return 201, b'{"data":{"type":"profile","id":"P1"}}'
            case "POST lists" | "DELETE lists":
                return 204, b""
            case _:
                return 202, b""

    def _told(self, path: str) -> bytes:
        if path == "/bench/reset":
            self.reset()
        if path == "/bench/marks":
            came = [Arrival(at, [mark.decode() for mark in marks]) for at, marks in self._came]
            return msgspec.json.encode(came)
        self.seen.cpu = time.process_time()
        return msgspec.json.encode(self.seen)


def _profiles(path: str) -> bytes:
    """The profiles that a filter ``any(email,["a","b"])`` asks for: all of them are there."""
    asked = unquote(path)
    name = asked.partition("filter=any(")[2].partition(",")[0]
    found = [
        {"type": "profile", "id": f"P-{value}", "attributes": {name: value}}
        for value in VALUES.findall(asked)
    ]
    return msgspec.json.encode({"data": found, "links": {"next": None}})


class Connection(asyncio.Protocol):
    """One connection: a request at a time, its head read with three searches."""

    def __init__(self, klaviyo: Klaviyo, latency: float) -> None:
        self._klaviyo = klaviyo
        self._latency = latency
        self._said = bytearray()
        self._whole = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where answers go."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._said += data
        while len(self._said) >= (self._whole or 1):
            end = self._said.find(b"\r\n\r\n", 0, 16384)
            if end < 0:
                return
            self._whole = end + 4 + _length(bytes(self._said[:end]))
            if len(self._said) < self._whole:
                return
            self._answer(end)

    def _answer(self, end: int) -> None:
        line = self._said[: self._said.find(b"\r\n")].decode("latin-1")
        method, path, _ = line.split(" ", 2)
        body = self._said[end + 4 : self._whole]
        del self._said[: self._whole]
        self._whole = 0
        status, text = self._klaviyo.answer(method, path, body)
        head = b"HTTP/1.1 %d OK\r\ncontent-type: application/vnd.api+json\r\n" % status
        if status != 204:
            head += b"content-length: %d\r\n" % len(text)
        answer = head + b"\r\n" + text
        if self._latency and not path.startswith("/bench/"):
            asyncio.get_running_loop().call_later(self._latency, self._transport.write, answer)
        else:
            self._transport.write(answer)


def _length(head: bytes) -> int:
    rest = head.lower().partition(b"content-length:")[2]
    return int(rest.partition(b"\r")[0] or 0)


async def serve(port: int, latency: float) -> None:
    """Serve until killed."""
    klaviyo = Klaviyo()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(klaviyo, latency), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2])))
