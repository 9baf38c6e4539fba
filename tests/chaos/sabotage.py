"""The sabotage lane: each deliberate bug meets the scenario that lets it do harm, and is found."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.installation import Installation, until
from tests.chaos.ordeal import Ordeal
from tests.chaos.reconciler import reconcile


@dataclass(frozen=True, slots=True)
class Sabotage:
    """What is done to an installation with the bug, and the invariants of which one must fail."""

    scenario: Callable[[Ordeal], None]
    found_by: frozenset[str]
    patience: float = 15.0


def _requests(installation: Installation) -> int:
    return len(installation.requests())


def reposts(ordeal: Ordeal) -> None:
    """Every batch is posted twice."""
    ordeal.post(60, doubled=1.0)


def server_killed(ordeal: Ordeal) -> None:
    """The server dies while it takes events in."""
    with ordeal.posting(200, batch=5) as poster:
        poster.wait(60)
        ordeal.installation.restart("serve")


def answers_lost(ordeal: Ordeal) -> None:
    """Klaviyo has taken what it could not say so about."""
    for operation in ("bulk_create_events", "create_event"):
        match = {"operation": operation}
        ordeal.installation.fault(f"reset {operation}", match=match, apply="after", times=3)
    ordeal.post(60)


def throttled(ordeal: Ordeal) -> None:
    """Klaviyo asks for three seconds of rest, and takes its time to say so."""
    match = {"operation": "bulk_create_events"}
    ordeal.installation.fault("429", match=match, status=429, retry_after="3", delay=0.6, times=1)
    ordeal.post(ordeal.traffic.take(30, kind="track"))


def worker_killed(ordeal: Ordeal) -> None:
    """The only worker dies with a lane in hand, and nothing new comes for that lane."""
    installation = ordeal.installation
    installation.kill("work-2")
    installation.fault("slow answers", match={"method": "POST"}, delay=1.2, times=3)
    ordeal.post(ordeal.traffic.take(20, kind="track"))
    before = _requests(installation)
    until(lambda: _requests(installation) > before, 20, installation.logs())
    installation.restart("work-1")


def zombie(ordeal: Ordeal) -> None:
    """A worker sleeps longer than its lease; another does its work, and new work has come."""
    installation = ordeal.installation
    installation.kill("work-2")
    installation.fault("slow answers", match={"method": "POST"}, delay=1, times=1)
    ordeal.post(ordeal.traffic.take(30, kind="track"))
    until(lambda: _requests(installation), 20, installation.logs())
    with installation.stopped("work-1"):
        time.sleep(6)
        installation.fault("slower answers", match={"method": "POST"}, delay=1.3, times=3)
        ordeal.post(ordeal.traffic.take(40, kind="track"))
        installation.start("work-2")
        seen = _requests(installation)
        until(lambda: _requests(installation) > seen, 30, installation.logs())
    time.sleep(1)


def bad_row(ordeal: Ordeal) -> None:
    """Klaviyo refuses a row."""
    bad = ordeal.traffic.take(1, kind="track")
    ordeal.doom(bad)
    match = {"method": "POST", "body_contains": f'"{bad[0].id}"'}
    ordeal.installation.fault("bad row", match=match, status=400)
    ordeal.post([*bad, *ordeal.traffic.take(20, kind="track")])
    ordeal.installation.drained(15)


def slow_import(ordeal: Ordeal) -> None:
    """Klaviyo works on an import for three seconds, on the next one at once."""
    installation = ordeal.installation
    installation.control("switches", {"job_queued_seconds": 3.0})
    ordeal.post(ordeal.traffic.take(30, kind="identify"))
    until(lambda: _requests(installation), 20, installation.logs())
    time.sleep(0.5)
    installation.control("switches", {"job_queued_seconds": 0.05})
    ordeal.post(ordeal.traffic.take(30, kind="identify"))
    time.sleep(3)


def slowly(ordeal: Ordeal) -> None:
    """Klaviyo is slow, and new rows come while the head of the lane is on its way."""
    ordeal.installation.fault("slow answers", match={"method": "POST"}, delay=0.4)
    for _ in range(10):
        ordeal.post(16)
        time.sleep(0.2)


def plain(ordeal: Ordeal) -> None:
    """Nothing but traffic."""
    ordeal.post(120)


LANE: Mapping[str, Sabotage] = {
    "dedupe-off": Sabotage(reposts, frozenset({"I2"})),
    "ack-before-write": Sabotage(server_killed, frozenset({"I1"})),
    "random-unique-ids": Sabotage(answers_lost, frozenset({"I4"})),
    "retry-after-ignored": Sabotage(throttled, frozenset({"I9"})),
    "visibility-off": Sabotage(worker_killed, frozenset({"I16"})),
    "fence-off": Sabotage(zombie, frozenset({"I1", "I2"})),
    "double-trim": Sabotage(slowly, frozenset({"I1", "I2"})),
    "dead-letters-dropped": Sabotage(bad_row, frozenset({"I1", "I2"})),
    "order-ignored": Sabotage(slow_import, frozenset({"I5"})),
    "counts-skipped": Sabotage(plain, frozenset({"I2"})),
}
"""By the name of the bug (``bugs.py``)."""


def commit_sabotage(bug: str, seed: int, *, innocent: bool = False) -> tuple[bool, str]:
    """Run a bug's scenario: whether the right invariant failed, and the lines of those that did.

    ``innocent`` runs the same scenario without the bug: then nothing may fail.
    """
    chosen = LANE[bug]
    saboteur = () if innocent else ("--bug", bug)
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        ordeal = Ordeal(Installation(Path(folder), saboteur=saboteur), seed, people=8)
        try:
            ordeal.start()
            chosen.scenario(ordeal)
            evidence = ordeal.settle(60 if innocent else chosen.patience)
        finally:
            ordeal.close()
    wrong = {finding.name: finding for finding in reconcile(evidence) if not finding.holds}
    told = [f"{each.line()}: {each.violations[0].text}" for each in wrong.values()]
    caught = not wrong if innocent else bool(chosen.found_by & wrong.keys())
    return caught, "\n".join(told)
