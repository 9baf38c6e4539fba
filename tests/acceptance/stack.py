"""The real processes, driven from outside: redis-server, sandbox, server, worker."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from segment.analytics.client import Client

from destination.runtime.local.embedded import EmbeddedRedis
from destination.runtime.store import connect

ROOT = Path(__file__).parents[2]
KEY = "test-write-key"


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(check: Callable[[], Any], seconds: float, what: str | Callable[[], str]) -> Any:
    """Wait for ``check`` to be true and give its value; fail with ``what`` when it is not."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = check()
        if found:
            return found
        time.sleep(0.05)
    pytest.fail(f"after {seconds:g} s: {what() if callable(what) else what}")


class Stack:
    """One installation. ``kill`` and ``start`` work on its parts: sandbox, serve, work, and on more
    workers under names such as work-2.

    Redis can be killed too; its keeper starts it again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = f"http://127.0.0.1:{free_port()}"
        self.sandbox = f"http://127.0.0.1:{free_port()}"
        self.redis = EmbeddedRedis(folder / "redis")
        self.environ: dict[str, str] = {}
        self.mappings = folder / "mappings"
        self.mappings.mkdir()
        for file in (ROOT / "mappings").glob("*.json"):
            (self.mappings / file.name).write_bytes(file.read_bytes())
        self._client: redis.Redis | None = None
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.http = httpx.Client(trust_env=False, timeout=10)

    def up(self) -> None:
        """Start everything and wait until it is ready."""
        self.redis.start()
        for name in ("sandbox", "serve", "work"):
            self.start(name)
        self.wait_ready()

    def _command(self, name: str) -> list[str]:
        port = {"serve": self.server, "sandbox": self.sandbox}.get(name, "").rpartition(":")[2]
        command = [sys.executable, "-m", "destination", name.partition("-")[0]]
        if port:
            command += ["--port", port]
        if name == "sandbox":
            command += ["--ledger", str(self.folder / "sandbox.jsonl")]
        return command

    def start(self, name: str) -> None:
        """Start one part."""
        environ = {
            **os.environ,
            "REDIS_URL": self.redis.url,
            "KLAVIYO_API_URL": self.sandbox,
            "KLAVIYO_API_KEY": "pk_test",
            "DESTINATION_WRITE_KEY": KEY,
            "DESTINATION_MAPPINGS": str(self.mappings),
            "DESTINATION_LEASE": "5",
            "DESTINATION_REQUEST_TIMEOUT": "1.5",
            "PYTHONUNBUFFERED": "1",
            **self.environ,
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                self._command(name), env=environ, cwd=self.folder, stdout=log, stderr=log
            )

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to one part and wait for its end."""
        if name == "redis":
            until(self.redis.ready, 20, "redis was not started again")
            with connect(self.redis.url) as client:
                pid = int(client.info("server")["process_id"])
            os.kill(pid, number)
            return
        process = self._processes.pop(name)
        process.send_signal(number)
        process.wait(15)

    def wait_ready(self) -> None:
        """Wait until events are accepted and the sandbox answers."""
        until(lambda: self._status(f"{self.sandbox}/sandbox/counts") == 200, 20, self.logs)
        until(lambda: self._status(f"{self.server}/ready") == 200, 20, self.logs)

    def _status(self, url: str) -> int:
        try:
            return self.http.get(url).status_code
        except httpx.TransportError:
            return 0

    def sdk(self, **options: Any) -> Client:
        """Segment's own Python SDK, pointed at the server."""
        return Client(KEY, host=self.server, **options)

    def client(self) -> redis.Redis:
        """The Redis behind it."""
        if self._client is None:
            self._client = connect(self.redis.url)
        return self._client

    def counts(self) -> dict[str, Any]:
        """What ``/admin/counts`` says."""
        found: dict[str, Any] = self.http.get(f"{self.server}/admin/counts?audit=1").json()
        return found

    def settle(self, seconds: float = 60) -> dict[str, Any]:
        """Wait until nothing is pending; the counts then, which must add up."""

        def settled() -> dict[str, Any] | None:
            try:
                counts = self.counts()
            except (httpx.TransportError, ValueError):
                return None
            connection = counts.get("connections", {}).get("default")
            return counts if connection and not connection["pending"] else None

        counts: dict[str, Any] = until(settled, seconds, lambda: f"still pending\n{self.logs()}")
        assert counts["imbalance"] == []
        return counts

    def held(self) -> dict[str, Any]:
        """Everything that the sandbox holds."""
        found: dict[str, Any] = self.http.get(f"{self.sandbox}/sandbox/state").json()
        return found

    def requests(self) -> list[dict[str, Any]]:
        """Every request that the sandbox got."""
        found: Any = self.http.get(f"{self.sandbox}/sandbox/requests").json()
        listed: list[dict[str, Any]] = found["requests"] if isinstance(found, dict) else found
        return listed

    def logs(self) -> str:
        """The ends of all logs, for a failure's message."""
        parts = [
            f"--- {log.name}\n{log.read_text('utf-8', 'replace')[-3000:]}"
            for log in sorted(self.folder.glob("*.log"))
        ]
        return "\n".join(parts)

    def down(self) -> None:
        """Stop everything."""
        for name in list(self._processes):
            self.kill(name, signal.SIGTERM)
        if self._client is not None:
            self._client.close()
        self.redis.stop()
        self.http.close()
