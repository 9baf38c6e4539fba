"""Processes: F01 to F18 without those of Redis."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import time
from collections.abc import Iterator, Sequence

from tests.acceptance.stack import KEY
from tests.chaos.crashes import POINTS
from tests.chaos.installation import Installation, until
from tests.chaos.ordeal import Ordeal
from tests.chaos.proxy import Weather
from tests.chaos.scenarios.scenario import scenario


@scenario("F01 F02 F36")
def crash_at_every_named_point(ordeal: Ordeal) -> None:
    """Each process kills itself at each point where something is done and not yet recorded."""
    installation = ordeal.installation
    for name, point in POINTS.items():
        flag = installation.folder / f"crashed-{name}"
        installation.saboteur = ["--crash", name, "--flag", str(flag)]
        parts = ["serve"] if point.part == "serve" else installation.workers
        for part in parts:
            installation.restart(part, signal.SIGTERM)
        installation.wait_ready()
        bad = ordeal.traffic.take(1, kind="track")
        if name == "in-dead-letter":
            ordeal.doom(bad)
            match = {"method": "POST", "body_contains": f'"{bad[0].id}"'}
            installation.fault("bad row", match=match, status=400)
        ordeal.post([*bad, *ordeal.traffic.take(40)], batch=8)
        until(flag.exists, 30, f"nobody came by {name}")
        installation.count(f"crash {name}", 1)
        installation.saboteur = []
        assert installation.drained(60), f"{name}: {installation.logs()}"


@scenario("F03")
def a_worker_stopped_while_idle_and_killed(ordeal: Ordeal) -> None:
    """RQ has given it the job, and it will never begin."""
    installation = ordeal.installation
    installation.kill("work-2")
    installation.drained(20)
    with installation.stopped("work-1"):
        ordeal.post(20)
        time.sleep(0.5)
        installation.kill("work-1")
        installation.start("work-1")
    installation.start("work-2")


@scenario("F04")
def zombies_twice(ordeal: Ordeal) -> None:
    """Each worker in turn sleeps for longer than its lease with requests in hand."""
    installation = ordeal.installation
    installation.fault("slow answers", match={"method": "POST"}, delay=0.6, times=30)
    for name in installation.workers:
        with ordeal.posting(80, batch=5):
            time.sleep(0.7)
            with installation.stopped(name):
                time.sleep(7)


@scenario("F13 F18")
def workers_and_server_short_of_memory_and_descriptors(ordeal: Ordeal) -> None:
    """They may fail or die, and lose nothing."""
    installation = ordeal.installation
    with ordeal.posting(300, batch=5, threads=4):
        serve, work = installation.pid("serve"), installation.pid("work-1")
        resource.prlimit(serve, resource.RLIMIT_NOFILE, (_descriptors(serve) + 2, 4096))
        resource.prlimit(work, resource.RLIMIT_AS, (_memory(work) + 2_000_000, -1))
        time.sleep(3)
        installation.revive()
        for pid in (serve, work):
            if pid in installation.pids().values():
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (1024, 4096))
                resource.prlimit(pid, resource.RLIMIT_AS, (-1, -1))
    installation.count("short of resources", 1)


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 only their number counts


def _memory(pid: int) -> int:
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:  # noqa: PTH123 a kernel's file
        return int(file.read().split()[0]) * resource.getpagesize()


@scenario("F14")
def asked_to_stop_under_load(ordeal: Ordeal) -> None:
    """SIGTERM, once and twice, and SIGINT, with connections open in every way: gone within ten
    seconds, and nothing is lost.
    """
    installation = ordeal.installation
    begun = (
        b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nX-Write-Key: "
        + KEY.encode()
        + b"\r\nContent-Length: 1000\r\n\r\n{"
    )
    asked = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    with ordeal.posting(500, batch=5):
        for signals in ((signal.SIGTERM,), (signal.SIGINT,), (signal.SIGTERM, signal.SIGTERM)):
            time.sleep(0.5)
            installation.wait_ready()
            with _connections(installation, b"", begun[:20], begun, asked, asked * 20 + begun):
                _stopped(installation, "serve", signals)
            for name in installation.workers:
                _stopped(installation, name, signals)
    installation.count("stopped", 3)


STOPS_WITHIN = 10.0


@contextlib.contextmanager
def _connections(installation: Installation, *pieces: bytes) -> Iterator[None]:
    """A connection for each piece, on which nothing more is said."""
    host, _, port = installation.server.removeprefix("http://").partition(":")
    with contextlib.ExitStack() as opened:
        for piece in pieces:
            talking = socket.create_connection((host, int(port)))
            opened.enter_context(talking)
            talking.sendall(piece)
        time.sleep(0.1)
        yield


def _stopped(installation: Installation, name: str, signals: Sequence[signal.Signals]) -> None:
    """Stop a part with these signals and start it again."""
    started = time.monotonic()
    for each in signals[:-1]:
        os.kill(installation.pid(name), each)
        time.sleep(0.2)
    with contextlib.suppress(ProcessLookupError):
        installation.kill(name, signals[-1])
    took = time.monotonic() - started
    assert took < STOPS_WITHIN, f"{name} took {took:.1f} s to stop"
    installation.start(name)


@scenario("F14", options={"environ": {"DESTINATION_REQUEST_TIMEOUT": "30"}})
def asked_to_stop_while_klaviyo_is_silent(ordeal: Ordeal) -> None:
    """A worker does not wait for an answer that may take half a minute."""
    installation = ordeal.installation
    silence = Weather(black_hole=True)
    ordeal.post(40)
    with installation.weather(installation.sandbox_proxy, silence, "klaviyo swallows"):
        ordeal.post(40)
        time.sleep(2)
        for name in installation.workers:
            _stopped(installation, name, (signal.SIGTERM,))


@scenario("F16", started=False)
def started_in_the_wrong_order(ordeal: Ordeal) -> None:
    """Workers and server before Redis, Klaviyo last."""
    installation = ordeal.installation
    order = (*installation.workers, "serve", "redis", "sandbox")
    installation.up(order, pause=1.0)
    ordeal.observer.start()
    ordeal.post(60)


@scenario("F17")
def strange_jobs_in_the_queue(ordeal: Ordeal) -> None:
    """What another version may have left: a job that is not there, one that is no job of ours."""
    installation = ordeal.installation
    client = installation.client()
    queue = "rq:queue:destination"
    client.rpush(queue, "there-is-no-such-job")
    client.hset(
        "rq:job:old",
        mapping={"data": b"\x80\x04K\x01.", "status": "queued", "origin": "destination"},
    )
    client.rpush(queue, "old")
    ordeal.post(60)
    installation.count("strange jobs", 2)
