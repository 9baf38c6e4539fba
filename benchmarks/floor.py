"""What cannot be saved: the same requests, answered without looking at them.

A bare protocol on uvloop that finds the end of a request and answers; the web server of the product
with an application that reads the body and answers. What a request costs beyond the second is the
product's own.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys

import httpx
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from benchmarks.imitation import Connection, Klaviyo
from benchmarks.installation import free_port
from benchmarks.load import Generator, Load
from benchmarks.machine import cpu_seconds, environ, measured_cores, python, until
from benchmarks.report import Report, Run
from destination.runtime.http.wire import GuardedProtocol

SAID = b'{"success":true}'
KINDS = {"protocol": "a bare protocol on uvloop", "uvicorn": "uvicorn and an empty application"}


def measure(report: Report) -> None:
    """Singles and batches against both."""
    shapes = {
        "single events of 1 KB": ("small", 1, 40_000),
        "batches of 100": ("track", 100, 100_000),
    }
    names = {
        f"{title}, {KINDS[kind]}": (kind, *shape)
        for title, shape in shapes.items()
        for kind in KINDS
    }
    for _ in report.runs(*names):
        for name, (kind, event, size, events) in names.items():
            report.add(name, one(kind, event, size, report.scaled(events)))


def one(kind: str, event: str, size: int, events: int) -> Run:
    """One run against a fresh server."""
    port = free_port()
    places = ",".join(map(str, measured_cores()))
    command = ["taskset", "-c", places, *python("benchmarks.floor", kind, str(port))]
    process = subprocess.Popen(command, env=environ())
    try:
        until(lambda: _answers(port), 20, lambda: "the empty server is not ready", 0.01)
        generator = Generator(Load(port, event, events, size, 32, "floor", events))
        before = cpu_seconds(process.pid)
        answered = generator.post()
        assert not answered.refused
        used = {"server": cpu_seconds(process.pid) - before, "generator": answered.cpu}
    finally:
        process.terminate()
        process.wait(10)
    figures = {"p50 ms": answered.p50 * 1e3, "p99 ms": answered.p99 * 1e3}
    return Run(events, answered.ended - answered.began, figures, used)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


async def application(_scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body and answers."""
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(SAID))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": SAID})


class _Empty(Klaviyo):
    def answer(self, _method: str, _path: str, _body: bytearray) -> tuple[int, bytes]:
        return 200, SAID


async def _protocol(port: int) -> None:
    loop, empty = asyncio.get_running_loop(), _Empty()
    server = await loop.create_server(lambda: Connection(empty, 0), "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    """One of the servers."""
    kind, port = sys.argv[1], int(sys.argv[2])
    if kind == "protocol":
        uvloop.run(_protocol(port))
        return
    config = uvicorn.Config(
        application,
        port=port,
        http=GuardedProtocol,
        ws="none",
        loop="uvloop",
        lifespan="off",
        server_header=False,
        access_log=False,
        log_config=None,
    )
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main()
