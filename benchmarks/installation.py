"""The product as it is installed on one machine, and what its processes use while it works."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec
import redis

from benchmarks.imitation import Arrival, Seen
from benchmarks.load import source_key
from benchmarks.machine import (
    ROOT,
    cpu_seconds,
    environ,
    measured_cores,
    other_cores,
    peak_rss,
    python,
    rss,
    until,
)
from destination.runtime.local.embedded import EmbeddedRedis

MEMORY = "6gb"
"""What Redis may hold here: a backlog of a million events needs more than the default."""


@dataclass(slots=True)
class Plan:
    """How to install it: ``mappings`` are files by name, ``latency`` is Klaviyo's, in seconds.

    Several ``servers`` share one port. Each of the ``connections``, accounts at Klaviyo, has a source of
    its own. Klaviyo's rate limits are lifted unless ``limits`` is true.
    """

    fsync: str = "always"
    servers: int = 1
    workers: int = 1
    latency: float = 0.0
    mappings: dict[str, bytes] = field(default_factory=lambda: mappings("segment.json"))
    settings: dict[str, str] = field(default_factory=dict)
    connections: int = 1
    limits: bool = False
    redis_url: str = ""


def mappings(*names: str) -> dict[str, bytes]:
    """Mapping files as they are shipped."""
    return {Path(name).name: (ROOT / "mappings" / name).read_bytes() for name in names}


class Installation:
    """Redis, server, workers and the imitation of Klaviyo, each a process. A context manager."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.folder = Path(tempfile.mkdtemp(prefix="dst-bench-"))
        self.port, self._klaviyo_port = free_port(), free_port()
        self._embedded = EmbeddedRedis(
            self.folder / "redis", maxmemory=MEMORY, appendfsync=plan.fsync
        )
        self.redis_url = plan.redis_url or self._embedded.url
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._http = httpx.Client(trust_env=False, timeout=60)
        self.ready_seconds = 0.0

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.callback(self.stop)
            self.start()
            stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and wait until it is ready."""
        folder = self.folder / "mappings"
        folder.mkdir()
        for name, text in self.plan.mappings.items():
            (folder / name).write_bytes(text)
        (self.folder / "destination.toml").write_text(self._connections())
        if not self.plan.redis_url:
            self._embedded.start()
        self.redis = redis.Redis.from_url(self.redis_url)
        self.redis.flushall()
        _pin(self.redis_pid, measured_cores())
        self._start("klaviyo", python("benchmarks.imitation", *self._imitation()), other_cores())
        self.start_server()
        self.start_workers(self.plan.workers)
        self.workers_waiting()

    def _connections(self) -> str:
        return "\n".join(
            f'[connections.c{number}]\nklaviyo_api_key = "pk_{number}"\n'
            f'[sources.s{number}]\nwrite_keys = ["{source_key(number)}"]\nconnection = "c{number}"'
            for number in range(self.plan.connections)
        )

    def _imitation(self) -> tuple[str, str]:
        return str(self._klaviyo_port), str(self.plan.latency)

    def start_server(self) -> None:
        """Start the servers and wait until they take events; ``ready_seconds`` says how long."""
        began = time.monotonic()
        command = python("destination", "serve", "--port", str(self.port))
        if self.plan.servers > 1:
            command.append("--reuse-port")
        for name in ("server", *(f"server-{each}" for each in range(2, self.plan.servers + 1))):
            self._start(name, command, measured_cores())
        until(self._ready, 30, self.logs, 0.005)
        self.ready_seconds = time.monotonic() - began
        until(lambda: _listening(self.port) == self.plan.servers, 30, self.logs, 0.005)

    def start_workers(self, workers: int) -> None:
        """Start so many workers; ``workers_waiting`` tells when they have started."""
        module = "destination" if self.plan.limits else "benchmarks.unlimited"
        for number in range(workers):
            self._start(f"worker-{number + 1}", python(module, "work"), measured_cores())

    def workers_waiting(self) -> None:
        """Wait until every worker has told RQ that it is there: from then on it only waits."""
        until(lambda: self._workers() == self.plan.workers, 120, self.logs, 0.02)
        time.sleep(0.3)

    def _workers(self) -> int:
        found: Any = self.redis.scard("rq:workers")
        return int(found)

    def _start(self, name: str, command: list[str], places: list[int]) -> None:
        settings = {
            "REDIS_URL": self.redis_url,
            "KLAVIYO_API_URL": f"http://127.0.0.1:{self._klaviyo_port}",
            "DESTINATION_MAPPINGS": str(self.folder / "mappings"),
            **self.plan.settings,
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, env=environ(**settings), cwd=self.folder, stdout=log, stderr=log
            )
        _pin(process.pid, places)
        self._processes[name] = process

    def _ready(self) -> bool:
        if self._processes["server"].poll() is not None:
            raise RuntimeError(f"the server could not start\n{self.logs()}")
        try:
            return self._http.get(f"http://127.0.0.1:{self.port}/ready").status_code == 200
        except httpx.TransportError:
            return False

    def end(self, *names: str) -> None:
        """Stop processes and wait for their end."""
        for name in names:
            self._processes[name].send_signal(signal.SIGTERM)
        for name in names:
            process = self._processes.pop(name)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @contextlib.contextmanager
    def workers_stopped(self) -> Iterator[None]:
        """Let the workers stand still."""
        workers = [each for name, each in self._processes.items() if name.startswith("worker")]
        for worker in workers:
            worker.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for worker in workers:
                worker.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Stop everything and forget its data."""
        self.end(*list(self._processes))
        if not self.plan.redis_url:
            self._embedded.stop()
        self._http.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def clear(self) -> None:
        """Forget all events, here and at Klaviyo; processes go on."""
        self.redis.flushall()
        self._ask("reset")

    @property
    def redis_pid(self) -> int:
        """The process of Redis."""
        return int(self._info("server")["process_id"])

    def _info(self, section: str) -> dict[str, Any]:
        found: Any = self.redis.info(section)
        return dict(found)

    @property
    def redis_version(self) -> str:
        """Name and version of the Redis in use."""
        told = self._info("server")
        kind = told.get("server_name") or "redis"
        return f"{kind} {told.get('valkey_version') or told['redis_version']}"

    def pids(self) -> dict[str, int]:
        """The processes by name."""
        return {"redis": self.redis_pid, **{k: p.pid for k, p in self._processes.items()}}

    def cpu(self) -> dict[str, float]:
        """CPU seconds that each process has used until now; the workers' together."""
        return _summed({name: cpu_seconds(pid) for name, pid in self.pids().items()})

    def peaks(self) -> dict[str, float]:
        """The most memory that each process has held, in MB."""
        return _summed({name: peak_rss(pid) for name, pid in self.pids().items()})

    def memory(self) -> dict[str, float]:
        """The memory that each process holds, in MB."""
        return _summed({name: rss(pid) for name, pid in self.pids().items()})

    def used_memory(self) -> int:
        """Bytes that Redis says its data take."""
        return int(self._info("memory")["used_memory"])

    def seen(self) -> Seen:
        """What Klaviyo has got."""
        return msgspec.json.decode(self._ask("state"), type=Seen)

    def arrivals(self) -> list[Arrival]:
        """The marks that Klaviyo has got, request by request."""
        return msgspec.json.decode(self._ask("marks"), type=list[Arrival])

    def _ask(self, what: str) -> bytes:
        return self._http.get(f"http://127.0.0.1:{self._klaviyo_port}/bench/{what}").content

    def hash(self, key: str) -> dict[str, int]:
        """The integers that stand in a hash of the product's."""
        found: Any = self.redis.hgetall(f"destination:{key}")
        return {field.decode(): int(by) for field, by in found.items()}

    def pending(self) -> int:
        """Deliveries that have not ended."""
        counts = [self.hash(f"c{number}:counts") for number in range(self.plan.connections)]
        return sum(by for each in counts for field, by in each.items() if "|pending" in field)

    def settle(self, seconds: float = 300) -> None:
        """Wait until nothing is pending."""
        until(lambda: not self.pending(), seconds, self.logs, 0.02)

    def counts(self) -> dict[str, Any]:
        """What ``/admin/counts`` says."""
        address = f"http://127.0.0.1:{self.port}/admin/counts?audit=1"
        found: dict[str, Any] = self._http.get(address).json()
        return found

    def logs(self) -> str:
        """The ends of all logs."""
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"--- {each.name}\n{each.read_bytes()[-2000:].decode()}" for each in logs)


def _summed(by_process: dict[str, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in by_process.items():
        kind = name.partition("-")[0]
        found[kind] = found.get(kind, 0.0) + value
    return found


def _listening(port: int) -> int:
    """How many sockets listen on a port."""
    place, listens = f":{port:04X}", "0A"
    lines = [each.split() for each in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[1].endswith(place) and line[3] == listens for line in lines)


def _pin(pid: int, places: list[int]) -> None:
    os.sched_setaffinity(pid, places)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
