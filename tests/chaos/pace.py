"""The pace lane: how much of the allowed rate is used while there is work, and no 429 for it."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
from click import echo as say

from tests.acceptance.stack import until
from tests.chaos.evidence import Attempt, attempts_in
from tests.chaos.installation import KLAVIYO_KEY, Installation
from tests.chaos.invariants.politeness import limits
from tests.chaos.traffic import Traffic

OPERATION = "bulk_create_events"
ROWS = 10
"""Events of one request: few, so that it is the rate limit that bounds, and not the machine."""

MINUTES = 3
"""The first, of which the burst is left out of the account, and those that are measured."""

PROMISED = 0.9
TOLERATED = 0.1
"""Share of requests that may be refused where somebody else uses the account up."""

OTHERS = 60
"""Requests a minute of another program that uses the same account."""

OTHER = "Somebody else's"


def run(seed: int) -> bool:
    """Alone, then with another program on the same account. True when the promise is kept."""
    kept = [_run(seed, others=others) for others in (0, OTHERS)]
    return all(kept)


def _run(seed: int, *, others: int) -> bool:
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        installation = Installation(Path(folder), proxies=False, batch={"size": ROWS})
        done = threading.Event()
        stranger = threading.Thread(target=_spend, args=(installation, others, done), daemon=True)
        try:
            installation.up()
            stranger.start()
            poster = installation.poster(batch=250, threads=1)
            poster.post(Traffic(seed, people=5000).take(_enough(), kind="track"))
            until(lambda: _attempts(installation), 30, "no requests")
            time.sleep(60 * MINUTES + 5)
        finally:
            done.set()
            stranger.join(5)
            installation.down()
        return _judged(_attempts(installation), others)


def _enough() -> int:
    return int(ROWS * limits()[OPERATION]["steady"] * (MINUTES + 1.5))


def _spend(installation: Installation, others: int, done: threading.Event) -> None:
    """Another program: so many requests a minute with the same key."""
    profile = {"type": "profile", "attributes": {"email": "else@acme.io"}}
    metric = {"type": "metric", "attributes": {"name": OTHER}}
    event = {"type": "event", "attributes": {"metric": {"data": metric}, "properties": {}}}
    row = {
        "type": "event-bulk-create",
        "attributes": {"profile": {"data": profile}, "events": {"data": [event]}},
    }
    body = {
        "data": {
            "type": "event-bulk-create-job",
            "attributes": {"events-bulk-create": {"data": [row]}},
        }
    }
    headers = {"Authorization": f"Klaviyo-API-Key {KLAVIYO_KEY}", "revision": "2026-07-15"}
    with httpx.Client(base_url=installation.sandbox, headers=headers, trust_env=False) as client:
        while others and not done.wait(60 / others):
            client.post("/api/event-bulk-create-jobs", json=body)


def _attempts(installation: Installation) -> list[Attempt]:
    return [
        each for each in attempts_in(installation.attempts_file()) if each.operation == OPERATION
    ]


def _judged(attempts: Sequence[Attempt], others: int) -> bool:
    """Count what was asked after the first minute, in which a whole window may be asked at once."""
    begin = attempts[0].t + 60
    end = begin + 60 * (MINUTES - 1)
    passed = [each for each in attempts if begin <= each.t < end and each.status != 429]
    theirs = sum(OTHER in str(each.body) for each in passed)
    refused = sum(each.status == 429 and OTHER not in str(each.body) for each in attempts)
    allowed = limits()[OPERATION]["steady"] * (MINUTES - 1)
    used = len(passed) / allowed
    who = f"beside {others} a minute of somebody else" if others else "alone"
    say(
        f"{who}: {len(passed) - theirs} of ours and {theirs} others of {allowed} allowed"
        f" {OPERATION}: {used:.1%} used, {refused} of ours answered 429"
    )
    # The answers tell of the minute only: within a second somebody else's may come in between.
    return used >= PROMISED and refused <= (len(passed) * TOLERATED if others else 0)
