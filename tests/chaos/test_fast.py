"""One of each fault, within a minute and a half. More of it: ``python -m tests.chaos --help``."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from tests.chaos.installation import Installation, until
from tests.chaos.ordeal import Ordeal
from tests.chaos.proxy import Weather


def requests(installation: Installation, operation: str = "") -> int:
    """How many requests the sandbox has seen, of one operation if given."""
    seen = installation.requests()
    return sum(not operation or each["operation"] == operation for each in seen)


@pytest.mark.timeout(110)
def test_kill_9_of_each_process(ordeal: Ordeal) -> None:
    """Server, workers, Redis and sandbox die under load, one after the other."""
    installation = ordeal.installation
    installation.fault("slow sandbox", delay=0.15)
    with ordeal.posting(240, batch=5) as poster:
        for number, name in enumerate(("serve", "work-1", "redis", "sandbox", "work-2"), 1):
            poster.wait(40 * number)
            installation.restart(name)
    ordeal.judge()


@pytest.mark.timeout(110)
def test_redis_that_hangs_resets_or_swallows(ordeal: Ordeal) -> None:
    """Writes whose answer is lost are applied, some of them late; nothing counts twice."""
    installation = ordeal.installation
    proxy = installation.redis_proxy
    with ordeal.posting(160, batch=4):
        with installation.stopped("redis"):
            time.sleep(2)
        with installation.weather(proxy, Weather(reset="after", times=4), "redis resets"):
            time.sleep(0.7)
        with installation.weather(proxy, Weather(reset="before", times=4), "redis refusals"):
            time.sleep(0.7)
        with installation.weather(proxy, Weather(black_hole=True), "redis black hole"):
            time.sleep(3)
    ordeal.judge()


@pytest.mark.timeout(110)
def test_a_worker_that_wakes_up_after_its_work_was_taken_over(ordeal: Ordeal) -> None:
    """Stopped in the middle of a request for longer than its lease, then it goes on."""
    installation = ordeal.installation
    installation.kill("work-2")
    installation.fault("slow answers", match={"method": "POST"}, delay=0.5, times=6)
    before = requests(installation)
    with ordeal.posting(60):
        until(lambda: requests(installation) > before, 30, installation.logs())
        with installation.stopped("work-1"):
            installation.start("work-2")
            assert installation.drained(40), installation.logs()
    time.sleep(1.5)
    ordeal.judge()


@pytest.mark.timeout(110)
def test_klaviyo_in_all_kinds_of_trouble(ordeal: Ordeal) -> None:
    """Throttling, server errors, answers that are lost, cut, delayed or trickle."""
    installation = ordeal.installation
    writes = {"method": "POST"}
    rules: dict[str, dict[str, Any]] = {
        "429 storm": {"status": 429, "retry_after": "1", "times": 3},
        "503 burst": {"status": 503, "times": 2},
        "502 in HTML": {"status": 502, "html": True, "times": 2},
        "reset before": {"apply": "before", "times": 2},
        "reset after": {"apply": "after", "times": 2},
        "500 after": {"status": 500, "apply": "after", "times": 2},
        "cut answer": {"cut": 1, "times": 1},
        "trickled answer": {"trickle": 0.2, "times": 1},
    }
    for name, rule in rules.items():
        installation.fault(name, match=writes, skip=1, every=2, **rule)
    scripts = (["500"], ["429:1"], ["reset_after_apply", "reset_before_apply"])
    ordeal.post([m for s in scripts for m in ordeal.traffic.take(2, script=s, kind="track")])
    slow = Weather(trickle=0.02, times=2)
    with (
        ordeal.posting(100, batch=4),
        installation.weather(installation.sandbox_proxy, slow, "slow headers"),
    ):
        time.sleep(4)
    # A rule fires when a request comes by: give the rest of them something to meet.
    for _ in range(12):
        ordeal.post(3)
        time.sleep(0.3)
    ordeal.judge()


@pytest.mark.timeout(110)
def test_bad_rows_and_a_revoked_key(ordeal: Ordeal) -> None:
    """A bad row costs its neighbours nothing; a key that is refused costs nobody anything."""
    installation = ordeal.installation
    bad = ordeal.traffic.take(2, kind="track")
    ordeal.doom(bad)
    for each in bad:
        match = {"method": "POST", "body_contains": f'"{each.id}"'}
        installation.fault("bad row", match=match, status=400)
    rows = ordeal.traffic.take(40, kind="track")
    ordeal.post([*rows[:15], bad[0], *rows[15:30], bad[1], *rows[30:]], batch=42)
    assert installation.drained(30), installation.logs()
    installation.lift()
    key = {"key": installation.environ["KLAVIYO_API_KEY"]}
    installation.control("keys", {**key, "revoked": True})
    ordeal.post(20)
    until(installation.halted, 20, installation.logs())
    installation.control("keys", {**key, "revoked": False})
    until(installation.going_on, 30, installation.logs())
    ordeal.judge()


@pytest.mark.timeout(110)
def test_the_same_events_posted_at_once(ordeal: Ordeal) -> None:
    """Twenty sources post the same batches at the same time."""
    messages = ordeal.traffic.take(30)
    posters = [ordeal.installation.poster(batch=10, threads=1) for _ in range(20)]
    barrier = threading.Barrier(len(posters))

    def run(number: int) -> None:
        barrier.wait(10)
        posters[number].post(messages)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(posters))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert all(poster.join(30) for poster in posters)
    ordeal.judge()
