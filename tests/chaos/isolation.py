"""The isolation lane (I11): a healthy connection beside a dead, a throttled and a flooding one."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from click import echo as say

from tests.chaos.evidence import attempts_in
from tests.chaos.expected import events
from tests.chaos.installation import Installation
from tests.chaos.poster import Posted
from tests.chaos.proxy import Proxy, Weather
from tests.chaos.traffic import Traffic

NEIGHBOURS = ("dead", "throttled", "flooding")
RATE, SECONDS = 10, 20
"""Messages a second of the healthy source, and for how long."""

FLOOD = 30_000
PROMISED = 1.5
"""How much longer the healthy one's deliveries may take beside the others, by the promise."""

SLACK = 0.3
"""Seconds more, before this lane fails: a busy machine is no broken promise."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds from the post to Klaviyo, of messages that arrived; how many did not."""

    p50: float
    p95: float
    missing: int

    def __str__(self) -> str:
        return f"p50 {self.p50:.2f} s, p95 {self.p95:.2f} s, {self.missing} missing"


def run(seed: int) -> bool:
    """Measure alone, then beside each neighbour and beside all. True when the promise is kept."""
    alone = _measure(seed, ())
    say(f"alone: {alone}")
    good = not alone.missing
    for neighbours in (*((each,) for each in NEIGHBOURS), NEIGHBOURS):
        beside = _measure(seed, neighbours)
        ratio = beside.p95 / alone.p95
        kept = "kept" if ratio <= PROMISED else "not kept"
        say(f"beside {' + '.join(neighbours)}: {beside}; {ratio:.1f} times, {PROMISED} {kept}")
        good &= not beside.missing and beside.p95 <= PROMISED * alone.p95 + SLACK
    return good


def _settings(silent: int, sandbox: str) -> str:
    """The other connections, each with a source of its own."""
    urls = {"dead": f"http://127.0.0.1:{silent}", "throttled": sandbox, "flooding": sandbox}
    return "\n".join(
        f"""
        [connections.{name}]
        klaviyo_api_key = "pk_{name}"
        klaviyo_api_url = "{urls[name]}"
        [sources.{name}]
        write_keys = ["key-of-{name}"]
        connection = "{name}"
        """
        for name in NEIGHBOURS
    )


def _measure(seed: int, neighbours: Sequence[str]) -> Measured:
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        installation = Installation(Path(folder), proxies=False)
        silent = Proxy(installation.sandbox.removeprefix("http://"))
        silent.start()
        settings = _settings(silent.port, installation.sandbox)
        (Path(folder) / "destination.toml").write_text(settings)
        try:
            installation.up()
            return _posted_beside(installation, silent, seed, neighbours)
        finally:
            silent.calm()
            installation.down()
            silent.stop()


def _posted_beside(
    installation: Installation, silent: Proxy, seed: int, neighbours: Sequence[str]
) -> Measured:
    for name in NEIGHBOURS:
        installation.control("keys", {"key": f"pk_{name}", "account": name})
    match = {"account": "throttled"}
    installation.fault("throttled", match=match, status=429, retry_after="1")
    silent.turn(Weather(black_hole=True))
    for name in neighbours:
        traffic = Traffic(seed, people=500, tag=name)
        poster = installation.poster(key=f"key-of-{name}", threads=1, batch=50)
        poster.post(traffic.each(FLOOD if name == "flooding" else 1000))
    if neighbours:
        time.sleep(3)
    healthy = installation.poster(batch=1, threads=1, doubled=0)
    traffic = Traffic(seed, tag="healthy", shares={"identify": 30, "track": 60, "order": 10})
    ticking = threading.Event()
    for _ in range(RATE * SECONDS):
        healthy.post(traffic.take(1))
        ticking.wait(1 / RATE)
    healthy.join(30)
    _await(installation, len(healthy.posted))
    return _read(installation, healthy.posted)


def _await(installation: Installation, messages: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        states = installation.counts()["connections"]["default"]
        if states["accepted"] >= messages and not states["pending"]:
            return
        time.sleep(0.5)


def _read(installation: Installation, posted: dict[str, Posted]) -> Measured:
    """From the ledgers: when each event was posted, and when Klaviyo first had it."""
    wanted = {key[0] for key in events(each.message for each in posted.values())}
    arrived: dict[str, float] = {}
    for attempt in attempts_in(installation.attempts_file()):
        if attempt.applied and attempt.operation in {"create_event", "bulk_create_events"}:
            text = str(attempt.body)
            for mid in wanted - arrived.keys():
                if f"'{mid}'" in text:
                    arrived[mid] = attempt.t
    waits = sorted(arrived[mid] - posted[mid].tries[0].t for mid in arrived)
    if not waits:
        return Measured(0, 0, len(wanted))
    return Measured(waits[len(waits) // 2], waits[int(len(waits) * 0.95)], len(wanted) - len(waits))
