"""The resume lane: how long a lane stands still after ``kill -9`` of the worker that had it.

With the product's own settings: the lease is what decides.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

from click import echo as say

from tests.chaos.evidence import attempts_in
from tests.chaos.installation import Installation
from tests.chaos.traffic import Traffic

WORKERS, ROUNDS = 6, 10
PROMISED = 30.0
"""Seconds at the 99th percentile."""

LATEST_KILL = 1.2
"""Seconds after the post within which the workers are killed: before, while and after they send."""

OWN = {"DESTINATION_LEASE": "20", "DESTINATION_REQUEST_TIMEOUT": "30"}
"""What the product does by itself, where the harness otherwise is quicker."""


def run(seed: int) -> bool:
    """Kill all workers at once, again and again. True when the promise is kept."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        installation = Installation(
            Path(folder),
            workers=WORKERS,
            proxies=False,
            environ=OWN,
            batch={},
            settings=_settings(),
        )
        try:
            installation.up()
            for name in _names():
                installation.control("keys", {"key": f"pk_{name}", "account": name})
            installation.fault("slow", match={"method": "POST"}, delay=0.4)
            waits = [wait for number in range(ROUNDS) for wait in _round(installation, rng, number)]
        finally:
            installation.down()
    waits.sort()
    if not waits:
        say("nothing was under way at any kill")
        return False
    p50, p99 = waits[len(waits) // 2], waits[min(len(waits) - 1, int(len(waits) * 0.99))]
    say(
        f"{ROUNDS * WORKERS} workers killed, {len(waits)} lanes had work left:"
        f" resumed after p50 {p50:.1f} s, p99 {p99:.1f} s, longest {waits[-1]:.1f} s"
    )
    return p99 <= PROMISED


def _names() -> list[str]:
    return [f"c{number}" for number in range(WORKERS)]


def _settings() -> str:
    return "\n".join(
        f"""
        [connections.{name}]
        klaviyo_api_key = "pk_{name}"
        [sources.{name}]
        write_keys = ["key-of-{name}"]
        connection = "{name}"
        """
        for name in _names()
    )


def _round(installation: Installation, rng: random.Random, number: int) -> list[float]:
    """Give every lane an event, kill all workers, start them again; the seconds it took each lane
    that had not recorded the end of its event.
    """
    for name in _names():
        traffic = Traffic(number, tag=f"{name}-{number}")
        poster = installation.poster(key=f"key-of-{name}", threads=1, doubled=0)
        poster.post(traffic.take(1, kind="track"))
        assert poster.join(20)
    time.sleep(rng.uniform(0, LATEST_KILL))
    killed = time.time()
    for name in installation.workers:
        installation.kill(name)
    left = {
        name
        for name, states in installation.counts()["connections"].items()
        if states.get("pending")
    }
    for name in installation.workers:
        installation.start(name)
    assert installation.drained(3 * PROMISED), installation.logs()
    again: dict[str, float] = {}
    for attempt in attempts_in(installation.attempts_file()):
        name = attempt.account
        if name in left and attempt.t > killed and attempt.applied:
            again.setdefault(name, attempt.t - killed)
    assert again.keys() == left, f"{left - again.keys()} were never sent again"
    return list(again.values())
