"""The work that a thousand events cause, counted instead of timed: a slow machine changes nothing.

Redis tells of every command while it is counted (MONITOR): those that a process sent are round
trips, those of a script are not. The server's timers send a few of their own meanwhile. A bound is
what was counted when it was written and about a tenth more; who needs more, raises it and says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import redis

from destination.runtime.delivery.worker import Worker
from destination.runtime.store import script_text
from destination.settings import load_settings
from tests.unit.runtime.serving import KEY, Server, serving

EVENTS, BATCH, CALLERS = 1000, 100, 40
LANE = "test/events"
TIMERS = {"info", "ping", "client", "hello", "monitor", "select", "script", "echo"}
TOLD = re.compile(
    rb'^\+[0-9.]+ \[\d+ (\S+?)[\]:].*?"([A-Za-z.]+)"(?: "([0-9a-f]{40})")?', re.MULTILINE
)
SCRIPTS = {
    hashlib.sha1(script_text(file.name.removesuffix(".lua"), major).encode()).hexdigest(): file.name
    for file in resources.files("destination.runtime").joinpath("lua").iterdir()
    for major in (6, 7)
}


@dataclass
class Work:
    """Commands that were sent, commands that scripts ran, bytes that Redis read."""

    sent: Counter[str] = field(default_factory=Counter)
    within: Counter[str] = field(default_factory=Counter)
    bytes: int = 0

    def check(self, *, trips: int, within: int, bytes_each: int, only: str = "") -> None:
        """Fail with everything that was counted when a bound, for a thousand events, is broken.

        ``only`` one script's calls are round trips where timers of the server send others.
        """
        sent = self.sent[only] if only else self.sent.total()
        counted = (
            f"round trips: {sent:,} (bound {trips:,}) {only} of {dict(self.sent)}\n"
            f"commands within scripts: {self.within.total():,} (bound {within:,})"
            f" {dict(self.within)}\n"
            f"bytes to Redis per event: {self.bytes // EVENTS:,} (bound {bytes_each:,})"
        )
        assert sent <= trips, f"more round trips than before\n{counted}"
        assert self.within.total() <= within, f"more commands in scripts than before\n{counted}"
        assert self.bytes // EVENTS <= bytes_each, f"more bytes to Redis than before\n{counted}"


@contextlib.contextmanager
def counted(client: redis.Redis, url: str) -> Iterator[Work]:
    """What Redis does within the block."""
    work, told = Work(), bytearray()
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.connect(unquote(url.removeprefix("unix://")))
        monitor.sendall(b"MONITOR\r\n")
        assert monitor.recv(5) == b"+OK\r\n"
        reader = threading.Thread(target=_read, args=(monitor, told))
        reader.start()
        before = _bytes_read(client)
        yield work
        work.bytes = _bytes_read(client) - before
        client.echo("the end")
        reader.join(10)
    for where, command, sha in TOLD.findall(told):
        name = SCRIPTS.get(sha.decode(), command.decode().lower())
        if name not in TIMERS:
            (work.within if where == b"lua" else work.sent)[name] += 1


def _read(monitor: socket.socket, told: bytearray) -> None:
    seen = 0
    while told.find(b'"ECHO" "the end"', max(0, seen - 40)) < 0:
        seen = len(told)
        told += monitor.recv(1 << 20)


def _bytes_read(client: redis.Redis) -> int:
    stats: Any = client.info("stats")
    return int(stats["total_net_input_bytes"])


def event(number: int) -> dict[str, Any]:
    """A track event of about 1 KB."""
    name = f"m-{number:05}"
    properties = {"sku": f"A-{number:05}", "note": "n" * 800}
    return {
        "messageId": name,
        "type": "track",
        "event": "Bought",
        "userId": f"u-{number:05}",
        "properties": properties,
    }


@pytest.fixture
def server(tmp_path: Path, redis_url: str, client: redis.Redis) -> Iterator[Server]:
    """The server, which has taken one event: scripts and connections are there."""
    with serving(tmp_path, redis_url, f'[sources.shop]\nwrite_keys = ["{KEY}"]') as found:
        post(found, [event(EVENTS)])
        yield found


def post(server: Server, events: list[dict[str, Any]]) -> None:
    """Post a batch."""
    answer = server.post("/v1/batch", {"batch": events}, auth=(KEY, ""))
    assert answer.json() == {"success": True}


def test_batches_are_stored_with_one_call_each(
    server: Server, client: redis.Redis, redis_url: str
) -> None:
    """An event is sent to Redis once, and its script does five things for it."""
    with counted(client, redis_url) as work:
        for start in range(0, EVENTS, BATCH):
            post(server, [event(start + number) for number in range(BATCH)])
    work.check(only="accept.lua", trips=10, within=5_400, bytes_each=1_300)


def test_single_events_that_come_together_share_calls(
    server: Server, client: redis.Redis, redis_url: str
) -> None:
    """Forty callers at once cost a few calls a round, not forty."""

    async def all_at_once() -> None:
        for start in range(0, EVENTS, CALLERS):
            some = [event(number) for number in range(start, start + CALLERS)]
            asked = (server._http.post("/v1/track", json=each, auth=(KEY, "")) for each in some)
            answers = await asyncio.gather(*asked)
            assert {answer.status_code for answer in answers} == {200}

    with counted(client, redis_url) as work:
        server._runner.run(all_at_once())
    work.check(only="accept.lua", trips=30, within=5_500, bytes_each=1_300)


class Klaviyo(BaseHTTPRequestHandler):
    """Takes everything and counts it."""

    protocol_version = "HTTP/1.1"
    requests: int
    bytes: int

    def do_POST(self) -> None:
        """202, as the bulk endpoints answer."""
        size = int(self.headers["content-length"])
        self.rfile.read(size)
        type(self).requests += 1
        type(self).bytes += size
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base class's word
        """Say nothing."""


@pytest.fixture
def klaviyo() -> Iterator[type[Klaviyo]]:
    """A Klaviyo of this test's own, listening."""

    class Mine(Klaviyo):
        requests = 0
        bytes = 0
        address = ""

    with ThreadingHTTPServer(("127.0.0.1", 0), Mine) as listening:
        Mine.address = f"http://127.0.0.1:{listening.server_port}"
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield Mine
        listening.shutdown()
        thread.join()


def test_a_thousand_events_are_delivered_with_one_request(
    server: Server, klaviyo: Any, client: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    """A pass reads the lane once and records everything with one call."""
    environ = {
        "KLAVIYO_API_KEY": "pk_counted",
        "KLAVIYO_API_URL": klaviyo.address,
        "DESTINATION_MAPPINGS": str(tmp_path / "mappings"),
    }
    worker = Worker(load_settings(folder=tmp_path, environ=environ), redis_url)
    try:
        worker.send("default", LANE)  # the first event: scripts and connections are there then
        for start in range(0, EVENTS, BATCH):
            post(server, [event(start + number) for number in range(BATCH)])
        before = klaviyo.requests, klaviyo.bytes
        with counted(client, redis_url) as work:
            worker.send("default", LANE)
    finally:
        worker.close()
    assert client.llen(f"destination:default:lane:{LANE}") == 0
    assert klaviyo.requests - before[0] == 1
    assert (klaviyo.bytes - before[1]) // EVENTS <= 1_250
    work.check(trips=18, within=1_150, bytes_each=370)
