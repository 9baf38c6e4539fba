"""Collects the evidence of a run from an installation."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx

from tests.acceptance.stack import KEY
from tests.chaos.evidence import Evidence, Usage, attempts_in
from tests.chaos.installation import ADMIN, KLAVIYO_KEY, Installation
from tests.chaos.poster import Posted, Try
from tests.chaos.traffic import SECRET

DOORS = (
    "/metrics",
    "/admin/counts",
    "/admin/deliveries",
    "/admin/dead",
    "/admin/dead/x",
    "/admin/replay",
    "/admin/discard",
)

CANARIES = (KEY, ADMIN, KLAVIYO_KEY, SECRET, "@acme.io")


class Observer(threading.Thread):
    """Looks every half second at what the processes use and whether the server says it is ready.

    It starts again what has ended by itself, as ``destination up`` or a container's restart would.
    """

    def __init__(self, installation: Installation) -> None:
        super().__init__(name="observer", daemon=True)
        self._installation = installation
        self._done = threading.Event()
        self.usage: list[Usage] = []
        self.readiness: list[tuple[float, int]] = []

    def run(self) -> None:
        """Until told to stop."""
        url = f"{self._installation.server}/ready"
        with httpx.Client(trust_env=False, timeout=2) as http:
            while not self._done.wait(0.5):
                now = time.time()
                self._installation.revive()
                with contextlib.suppress(httpx.TransportError):
                    self.readiness.append((now, http.get(url).status_code))
                for name, pid in self._installation.pids().items():
                    with contextlib.suppress(OSError, KeyError):  # it ends at this moment
                        self.usage.append(_usage(now, name, pid))

    def stop(self) -> None:
        """Look no more."""
        self._done.set()
        self.join(5)


def _usage(now: float, name: str, pid: int) -> Usage:
    folder = Path(f"/proc/{pid}")
    status = dict(
        line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line
    )
    rss = int(status["VmRSS"].split()[0]) * 1024
    return Usage(now, name, rss, len(list((folder / "fd").iterdir())), int(status["Threads"]))


def gather(
    installation: Installation,
    *,
    observer: Observer | None = None,
    doomed: Iterable[str] = (),
    doubtful: Iterable[str] = (),
    lifted: float = 0.0,
    drained: float | None = None,
    connection: str = "default",
) -> Evidence:
    """Everything at this moment; the faults must have been lifted."""
    http, server = installation.http, installation.server
    posted: dict[str, Posted] = {}
    trips: list[Try] = []
    for poster in installation.posters:
        posted |= poster.posted
        trips += poster.trips
    return Evidence(
        posted=posted,
        trips=trips,
        attempts=attempts_in(installation.attempts_file()),
        state=installation.held(),
        counts=installation.counts(),
        dead=_dead(installation, connection),
        metrics=http.get(f"{server}/metrics").text,
        connection=connection,
        deliveries=installation.deliveries(),
        disturbances=list(installation.disturbances),
        fired=dict(installation.fired),
        rules={fault.number: fault.rule for fault in installation.faults},
        doomed=frozenset(doomed),
        doubtful=frozenset(doubtful),
        canaries=CANARIES,
        texts=_texts(installation),
        doors=_doors(installation),
        readiness=observer.readiness if observer else [],
        usage=observer.usage if observer else [],
        deaths=list(installation.deaths),
        lifted=lifted,
        drained=drained,
    )


def _dead(installation: Installation, connection: str) -> list[dict[str, Any]]:
    query = {"connection": connection, "limit": "1000"}
    answer = installation.http.get(f"{installation.server}/admin/dead", params=query).json()
    listed: list[dict[str, Any]] = answer["dead"]
    assert len(listed) == answer["total"], "more dead letters than one page shows"
    return listed


def _texts(installation: Installation) -> dict[str, str]:
    """All that an operator's tools collect: logs, metrics, counts, key names, arguments."""
    texts = {
        log.name: log.read_text("utf-8", "replace")
        for log in installation.folder.glob("*.log")
        if log.name != "sandbox.log"
    }
    http, server = installation.http, installation.server
    for path in ("/metrics", "/admin/counts", "/admin/deliveries?limit=1000", "/admin/dead"):
        texts[path] = http.get(f"{server}{path}").text
    keys: list[bytes] = list(installation.client().scan_iter(count=1000))
    texts["names of Redis keys"] = "\n".join(key.decode("utf-8", "replace") for key in keys)
    for name, pid in installation.pids().items():
        with contextlib.suppress(OSError):
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
            texts[f"arguments of {name}"] = arguments.decode("utf-8", "replace")
    return texts


def _doors(installation: Installation) -> dict[str, int]:
    """What somebody without, and somebody with a wrong token is answered."""
    found: dict[str, int] = {}
    with httpx.Client(trust_env=False, timeout=10) as stranger:
        for path in DOORS:
            for token in ("", "Bearer wrong", f"Bearer {KEY}"):
                method = "POST" if path.endswith(("replay", "discard")) else "GET"
                answer = stranger.request(
                    method,
                    f"{installation.server}{path}",
                    headers={"Authorization": token} if token else {},
                    json={"all": True} if method == "POST" else None,
                )
                found[f"{method} {path} {token}"] = answer.status_code
    return found
