"""Everything on one machine: ``destination up``."""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from destination.errors import SettingsError
from destination.runtime.local.embedded import EmbeddedRedis
from destination.runtime.local.processes import Child, Supervisor
from destination.settings import Settings

READY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Running:
    """What ``up`` started: where it listens."""

    supervisor: Supervisor
    server: str
    sandbox: str | None
    redis: str


@contextlib.contextmanager
def running(settings: Settings, host: str, port: int, workers: int) -> Iterator[Running]:
    """Start Redis (unless set), the sandbox (unless a key is set), server and workers.

    Leaves no process behind, however it ends. Raises ``SettingsError`` when a part cannot start.
    """
    _refuse_taken(host, port)
    embedded = None if settings.redis_url else EmbeddedRedis(settings.data_dir)
    redis_url = settings.redis_url or (embedded.url if embedded else "")
    wants = any(c.klaviyo_api_key is None for c in settings.connections.values())
    sandbox_port = _free_port(8090) if wants and settings.sandbox_url is None else None
    children = list(_children(settings, redis_url, host, port, workers, sandbox_port))
    if embedded:
        children.append(embedded.child())
    server = f"http://{_reachable(host)}:{port}"
    sandbox = f"http://127.0.0.1:{sandbox_port}" if sandbox_port else None
    with Supervisor(children) as supervisor:
        try:
            ready = supervisor.wait_ready(lambda: _answers(server, sandbox), READY_SECONDS)
        except TimeoutError as error:
            raise SettingsError(
                f"the server did not become ready within {READY_SECONDS:g} s; the log above says why"
            ) from error
        if ready:
            yield Running(supervisor, server, sandbox, redis_url)
        else:
            raise SettingsError("stopped before everything was ready; the log above says why")


def _children(
    settings: Settings, redis_url: str, host: str, port: int, workers: int, sandbox: int | None
) -> Iterator[Child]:
    environ = {"REDIS_URL": redis_url, **_inherited(settings)}
    command = [sys.executable, "-m", "destination"]
    if sandbox is not None:
        environ["DESTINATION_SANDBOX_URL"] = f"http://127.0.0.1:{sandbox}"
        ledger = str(Path(settings.data_dir) / "sandbox.jsonl")
        arguments = ["sandbox", "--port", str(sandbox), "--ledger", ledger]
        yield Child("sandbox", [*command, *arguments], environ, order=2)
    listen = ["--host", host, "--port", str(port)]
    yield Child("serve", [*command, "serve", *listen], environ, order=0)
    for number in range(workers):
        yield Child(f"work-{number + 1}", [*command, "work"], environ, order=1)


def _inherited(settings: Settings) -> dict[str, str]:
    """The settings that were given as arguments or are defaults of ``up``, for the children."""
    keys = ",".join(key.get_secret_value() for key in settings.write_key)
    return {
        **({"DESTINATION_WRITE_KEY": keys} if keys else {}),
        "DESTINATION_MAPPINGS": str(settings.mappings),
        "DESTINATION_DATA_DIR": str(settings.data_dir),
        "DESTINATION_LOG_LEVEL": settings.log_level,
        "DESTINATION_LOG_FORMAT": settings.log_format,
    }


def _answers(server: str, sandbox: str | None) -> bool:
    try:
        ready = httpx.get(f"{server}/ready", timeout=1, trust_env=False).status_code == 200
        there = sandbox is None or httpx.get(
            f"{sandbox}/sandbox/counts", timeout=1, trust_env=False
        )
    except httpx.TransportError:
        return False
    return ready and bool(there)


def _refuse_taken(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {host}:{port}: {error.strerror}. Stop what listens there, or"
                " choose another port with --port."
            ) from error


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise SettingsError("no free port on the loopback address")


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 compared, not bound


def wait_settled(server: str, seconds: float) -> bool:
    """Wait until no delivery is pending; False when some still are after ``seconds``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        counts = httpx.get(f"{server}/admin/counts", timeout=5, trust_env=False).json()
        if not any(each["pending"] for each in counts["connections"].values()):
            return True
        time.sleep(0.1)
    return False
