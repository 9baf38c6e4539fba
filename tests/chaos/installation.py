"""An installation to be mistreated: the real processes with misbehaving cables between them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from destination.runtime.store import PREFIX, connect
from tests.acceptance.stack import KEY, ROOT, Stack, until
from tests.chaos.poster import Pace, Poster
from tests.chaos.proxy import Proxy, Weather
from tests.chaos.traffic import LISTS

ADMIN = "admin-canary-5b1c"
KLAVIYO_KEY = "pk_canary_77e0"
QUICK = {"job_queued_seconds": 0.05, "consent_seconds": 0.05, "merge_seconds": 0.1}


class Fault:
    """A rule at the sandbox: how often it has fired is read when it is lifted."""

    def __init__(self, name: str, number: int, rule: dict[str, Any]) -> None:
        self.name = name
        self.number = number
        self.rule = rule
        self.fired = 0
        self.lifted = False


class Installation(Stack):
    """A ``Stack`` with proxies before Redis and the sandbox, several workers, one server or several
    on one port, and records of what was done to it. ``saboteur`` are arguments for ``tests.chaos.saboteur``: then the product's
    processes run with those bugs or crash points. ``batch`` is that of the mapping of track events;
    ``settings`` is the text of a ``destination.toml``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 2,
        servers: int = 1,
        proxies: bool = True,
        saboteur: Sequence[str] = (),
        switches: dict[str, Any] | None = None,
        environ: dict[str, str] | None = None,
        batch: dict[str, Any] | None = None,
        settings: str = "",
    ) -> None:
        super().__init__(folder)
        if batch is not None:
            _batch(self.mappings / "segment.json", batch)
        if settings:
            (folder / "destination.toml").write_text(settings)
        self.http = httpx.Client(
            trust_env=False, timeout=30, headers={"Authorization": f"Bearer {ADMIN}"}
        )
        self.workers = [f"work-{number}" for number in range(1, workers + 1)]
        self.servers = ["serve", *(f"serve-{number}" for number in range(2, servers + 1))]
        self.saboteur = list(saboteur)
        self._switches = {**QUICK, "account_opt_in": "single_opt_in", **(switches or {})}
        self.proxies = proxies
        self.redis_proxy = Proxy(str(folder / "redis" / "redis.sock"))
        self.sandbox_proxy = Proxy(self.sandbox.removeprefix("http://"))
        self.disturbances: list[tuple[float, str]] = []
        self.faults: list[Fault] = []
        self.fired: dict[str, int] = {}
        self.posters: list[Poster] = []
        self.deaths: list[str] = []
        self._guard = threading.RLock()
        self.environ = {
            "PYTHONPATH": str(ROOT),
            "DESTINATION_ADMIN_TOKEN": ADMIN,
            "KLAVIYO_API_KEY": KLAVIYO_KEY,
            **(environ or {}),
        }

    def up(self, order: Sequence[str] = (), *, pause: float = 0.0) -> None:
        """Start everything, in this order when it is given, and wait until it is ready."""
        if self.proxies:
            self.redis_proxy.start()
            self.sandbox_proxy.start()
            self.environ["REDIS_URL"] = f"redis://127.0.0.1:{self.redis_proxy.port}"
            self.environ["KLAVIYO_API_URL"] = f"http://127.0.0.1:{self.sandbox_proxy.port}"
        for name in order or ("redis", "sandbox", *self.servers, *self.workers):
            if name == "redis":
                self.redis.start()
            else:
                self.start(name)
            time.sleep(pause)
        self.wait_ready()
        self.control("switches", self._switches)
        self.control("seed", {"lists": [{"id": each, "name": each.lower()} for each in LISTS]})

    def down(self) -> None:
        """Stop everything, also what was stopped in its tracks."""
        for poster in self.posters:
            poster.stop()
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
        if self.proxies:
            self.redis_proxy.calm()
            self.sandbox_proxy.calm()
        for name in list(self._processes):
            self._end(name)
        super().down()
        if self.proxies:
            self.redis_proxy.stop()
            self.sandbox_proxy.stop()

    def _end(self, name: str) -> None:
        try:
            self.kill(name, signal.SIGTERM)
        except subprocess.TimeoutExpired:
            self._processes.setdefault(name, self._stubborn)
            self.kill(name)

    def start(self, name: str) -> None:
        """Start one part."""
        with self._guard:
            super().start(name)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to one part and wait for its end."""
        self.disturb(f"{signal.Signals(number).name} {name}")
        if name == "redis":
            super().kill(name, number)
            return
        with self._guard:
            self._stubborn = self._processes[name]
            super().kill(name, number)

    def restart(self, name: str, number: int = signal.SIGKILL) -> None:
        """Kill a part and start it again at once; Redis' keeper does that by itself."""
        self.kill(name, number)
        if name != "redis":
            self.start(name)

    def revive(self) -> None:
        """Start again what has ended by itself, as a supervisor does."""
        with self._guard:
            for name, process in list(self._processes.items()):
                status = process.poll()
                if status is not None:
                    del self._processes[name]
                    lines = (self.folder / f"{name}.log").read_text("utf-8", "replace").splitlines()
                    said = lines[-1][-200:] if lines else ""
                    self.deaths.append(f"{name} ended by itself with {status}: {said}")
                    self.disturb(self.deaths[-1])
                    self.start(name)

    @contextlib.contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """SIGSTOP a part for as long as the block runs, then SIGCONT."""
        pid = self.pid(name)
        self.disturb(f"SIGSTOP {name}")
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
            self.disturb(f"SIGCONT {name}")

    @contextlib.contextmanager
    def redis_gone(self) -> Iterator[None]:
        """Kill Redis, and let nobody start it again while the block runs."""
        keeper, server = self.redis._keeper, self.pid("redis")
        assert keeper is not None
        self.disturb("redis is gone")
        keeper.send_signal(signal.SIGSTOP)
        os.kill(server, signal.SIGKILL)
        try:
            yield
        finally:
            keeper.send_signal(signal.SIGCONT)
            self.disturb("end of redis is gone")
            self.count("redis gone", 1)

    def pid(self, name: str) -> int:
        """The process id of a part."""
        if name != "redis":
            return self._processes[name].pid
        with connect(self.redis.url) as client:
            return int(client.info("server")["process_id"])

    def pids(self) -> dict[str, int]:
        """The process ids of server and workers."""
        return {
            name: each.pid
            for name, each in list(self._processes.items())
            if name != "sandbox" and each.poll() is None
        }

    @contextlib.contextmanager
    def weather(self, proxy: Proxy, weather: Weather, name: str) -> Iterator[None]:
        """Bad weather at a proxy while the block runs; counts how much it met."""
        before = proxy.hits
        self.disturb(name)
        proxy.turn(weather)
        try:
            yield
        finally:
            proxy.calm()
            self.disturb(f"end of {name}")
            self.count(name, proxy.hits - before)

    def disturb(self, what: str) -> None:
        """Note that something was done, and when."""
        self.disturbances.append((time.time(), what))

    def count(self, fault: str, times: int) -> None:
        """Note how often a fault has fired."""
        self.fired[fault] = self.fired.get(fault, 0) + times

    def fault(self, name: str, **rule: Any) -> Fault:
        """Make the sandbox misbehave as its README describes."""
        answer = self.control("faults", [rule])
        fault = Fault(name, answer["ids"][0], rule)
        self.faults.append(fault)
        return fault

    def unmet(self) -> list[Fault]:
        """The rules at the sandbox that no request has met yet; notes how often the others have."""
        listed = self.http.get(f"{self.sandbox}/sandbox/faults").json()["faults"]
        fired = {rule["id"]: rule["fired"] for rule in listed}
        for fault in self.faults:
            fault.fired = fired.get(fault.number, fault.fired)
        return [fault for fault in self.faults if fault.number in fired and not fault.fired]

    def lift(self) -> None:
        """End all rules at the sandbox, and note how often each has fired."""
        self.unmet()
        for fault in self.faults:
            if not fault.lifted:
                fault.lifted = True
                self.count(fault.name, fault.fired)
        self.control("faults/clear", {})

    def control(self, command: str, body: Any) -> Any:
        """Give the sandbox a command."""
        answer = self.http.post(f"{self.sandbox}/sandbox/{command}", json=body)
        assert answer.status_code == 200, f"{command}: {answer.text}"
        return answer.json()

    def poster(
        self,
        *,
        threads: int = 2,
        batch: int = 10,
        doubled: float = 0.1,
        pace: Pace | None = None,
        key: str = KEY,
        fresh: int = 0,
    ) -> Poster:
        """A source of this installation; what it was told is evidence."""
        poster = Poster(
            self.server,
            key,
            threads=threads,
            batch=batch,
            doubled=doubled,
            pace=pace,
            fresh=fresh,
        )
        self.posters.append(poster)
        return poster

    def drained(self, seconds: float) -> bool:
        """Wait until nothing is pending; False when that does not happen in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(httpx.TransportError, ValueError, KeyError):
                counts = self.counts()
                found = counts["connections"].values()
                if found and not any(each["pending"] for each in found):
                    return True
            time.sleep(0.1)
        return False

    def halted(self) -> bool:
        """Whether the connection waits for somebody to act."""
        return bool(self.client().exists(f"{PREFIX}default:halt"))

    def going_on(self) -> bool:
        """Whether all is delivered. A connection that is halted asks at once whether it may go on;
        a request that was under way may halt it once more after that.
        """
        if self.halted():
            self.probe_now()
        return self.drained(0.5)

    def probe_now(self) -> None:
        """Let a halted connection ask at once whether it may go on, not within a minute."""
        client: Any = self.client()
        client.hset(f"{PREFIX}default:halt", "probe_at", 0)
        for lane in client.zrange(f"{PREFIX}due", 0, -1):
            client.zadd(f"{PREFIX}due", {lane: 0})

    def attempts_file(self) -> Path:
        """The sandbox's ledger."""
        return self.folder / "sandbox.jsonl"

    def deliveries(self) -> list[dict[str, Any]]:
        """The workers' log lines about deliveries, in the order of their times."""
        found = []
        for log in sorted(self.folder.glob("work*.log")):
            for line in log.read_text("utf-8", "replace").splitlines():
                if '"delivery"' in line:
                    with contextlib.suppress(ValueError):
                        found.append(json.loads(line))
        return sorted(found, key=lambda line: str(line.get("time")))

    def _command(self, name: str) -> list[str]:
        part = name.partition("-")[0]
        if part == "sandbox":
            port = self.sandbox.rpartition(":")[2]
            where = ["--port", port, "--ledger", str(self.attempts_file()), "--scripts"]
            return [sys.executable, "-m", "destination.sandbox", *where]
        command = super()._command(part)
        if part == "serve" and len(self.servers) > 1:
            command.append("--reuse-port")
        if self.saboteur:
            command[2:3] = ["tests.chaos.saboteur", *self.saboteur, "--"]
        return command


def _batch(file: Path, batch: dict[str, Any]) -> None:
    """Set how track events are batched."""
    document = json.loads(file.read_text("utf-8"))
    for mapping in document["mappings"]:
        if mapping["name"] == "track-to-event":
            mapping["batch"] = batch
    file.write_text(json.dumps(document), "utf-8")


__all__ = ["ADMIN", "KEY", "KLAVIYO_KEY", "Fault", "Installation", "until"]
