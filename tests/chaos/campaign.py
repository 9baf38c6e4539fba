"""The campaign: random ``kill -9`` of every process while events are posted, then the reckoning."""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from pathlib import Path

from click import echo as say

from tests.chaos.evidence import Evidence
from tests.chaos.installation import Installation
from tests.chaos.invariants.conservation import STATES
from tests.chaos.ordeal import Ordeal
from tests.chaos.poster import Pace
from tests.chaos.reconciler import reconcile, report

SHARES = {"identify": 38, "track": 50, "order": 2, "list": 6, "consent": 4}
"""Few orders: each takes three requests of its own, and the account's rate limit is real."""

VICTIMS = ("serve", "work-1", "work-2", "redis", "sandbox")

BREAK = (0.2, 2.2)
"""Seconds between two kills, at least and at most."""

DRAIN = 600.0


def run(seed: int, *, kills: int = 200, events: int = 50_000, people: int = 1_000) -> bool:
    """Post ``events`` and kill ``kills`` times meanwhile. True when every invariant holds."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        ordeal = Ordeal(Installation(Path(folder), proxies=False), seed, people=people)
        ordeal.traffic.shares = SHARES
        try:
            ordeal.start()
            killed = _post_and_kill(ordeal, rng, kills, events)
            say(f"killed -9: {_listed(killed)}; draining")
            evidence = ordeal.settle(DRAIN)
        finally:
            ordeal.close()
    findings = reconcile(evidence)
    say(_figures(evidence))
    say(report(findings, evidence))
    return all(finding.holds for finding in findings)


def _post_and_kill(ordeal: Ordeal, rng: random.Random, kills: int, events: int) -> Counter[str]:
    """Each kill lets its share of the events go, so that every kill happens under load."""
    pace = Pace()
    installation = ordeal.installation
    killed: Counter[str] = Counter()
    started = time.monotonic()
    with ordeal.posting(events, threads=4, batch=25, pace=pace, patience=300) as poster:
        for number in range(1, kills + 1):
            pace.allow(-(-events // kills))
            time.sleep(rng.uniform(*BREAK))
            victim = rng.choice(VICTIMS)
            installation.restart(victim)
            killed[victim] += 1
            if number % 20 == 0:
                took = time.monotonic() - started
                say(f"{number} kills, {poster.answered()} events accepted after {took:.0f} s")
    return killed


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def _figures(evidence: Evidence) -> str:
    """The numbers of the run in a few lines."""
    statuses = Counter(str(each.status or "no answer") for each in evidence.trips)
    totals = evidence.counts["connections"][evidence.connection]
    counts = evidence.state["counts"]
    healed = (evidence.drained or 0) - evidence.lifted
    return "\n".join(
        (
            f"posts: {_listed(statuses)}",
            ", ".join(f"{state} {totals[state]}" for state in STATES),
            f"requests at Klaviyo {len(evidence.attempts)}",
            f"events recorded {counts['events']}, came again {counts['duplicate_events']} times",
            f"profiles {counts['profiles']}",
            f"nothing pending {healed:.1f} s after the last fault",
        )
    )
