"""``kill -9`` in the middle of the work: nothing that was answered 200 is lost or doubled."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import httpx
import pytest

from destination.runtime.store import PREFIX
from tests.acceptance.stack import KEY, Stack, until

EVENTS = 3000
BATCH = 10
KILLS = 3


class Poster(threading.Thread):
    """Plays an SDK: posts batches, repeats what was not answered 200, and notes what was.

    It posts no more than it was allowed to, so that every kill finds work under way.
    """

    def __init__(self, stack: Stack) -> None:
        super().__init__(daemon=True)
        self._stack = stack
        self._allowed = threading.Semaphore(0)
        self.answered: list[str] = []

    def allow(self, events: int) -> None:
        """Let it post as many events more."""
        self._allowed.release(events // BATCH)

    def run(self) -> None:
        """Post everything, however long it takes."""
        with httpx.Client(trust_env=False, timeout=5) as http:
            for start in range(0, EVENTS, BATCH):
                self._allowed.acquire()
                batch = [event(n) for n in range(start, start + BATCH)]
                until(partial(self._post, http, batch), 60, "not accepted")
                self.answered += [each["messageId"] for each in batch]

    def has_posted(self, events: float) -> bool:
        """Whether so many were answered."""
        return len(self.answered) >= events

    def _post(self, http: httpx.Client, batch: list[dict[str, Any]]) -> bool:
        try:
            url = f"{self._stack.server}/v1/batch"
            return http.post(url, json={"batch": batch}, auth=(KEY, "")).status_code == 200
        except httpx.TransportError:
            return False


def has_asked_more_than(stack: Stack, requests: int) -> bool:
    """Whether Klaviyo got more requests than that; those under way count."""
    return len(stack.requests()) > requests


def event(number: int) -> dict[str, Any]:
    """Every third a profile, the rest events of 50 people."""
    who = {"email": f"person{number % 50}@acme.io"}
    common = {"messageId": f"m-{number}", "userId": f"u-{number % 50}"}
    if number % 3 == 0:
        return {**common, "type": "identify", "traits": {**who, "last": number}}
    return {
        **common,
        "type": "track",
        "event": "Done",
        "properties": {"n": number},
        "context": {"traits": who},
    }


@pytest.mark.timeout(180)
@pytest.mark.parametrize("part", ["work", "redis", "sandbox"])
def test_kill_9_in_mid_delivery_loses_and_doubles_nothing(stack: Stack, part: str) -> None:
    """Three kills, each while requests are under way, each followed by a restart."""
    stack.http.post(f"{stack.sandbox}/sandbox/faults", json=[{"delay": 0.3}]).raise_for_status()
    poster = Poster(stack)
    poster.start()
    for _ in range(KILLS):
        before = len(stack.requests())
        poster.allow(EVENTS // KILLS)
        until(partial(has_asked_more_than, stack, before), 60, stack.logs)
        stack.kill(part)
        if part != "redis":
            stack.start(part)
        stack.wait_ready()
        if part == "sandbox":
            hurry(stack)
    check_everything_arrived_once(stack, poster)


@pytest.mark.timeout(180)
def test_kill_9_of_the_server_loses_and_doubles_nothing(stack: Stack) -> None:
    """Three kills while events are posted, each followed by a restart."""
    poster = Poster(stack)
    poster.start()
    poster.allow(EVENTS)
    for share in (0.2, 0.5, 0.8):
        until(partial(poster.has_posted, EVENTS * share), 60, stack.logs)
        stack.kill("serve")
        stack.start("serve")
    check_everything_arrived_once(stack, poster)


def hurry(stack: Stack) -> None:
    """Let no lane wait out its pause, which grows while nobody answers and proves nothing here."""
    client = stack.client()
    for held in client.scan_iter(f"{PREFIX}default:hold:*"):
        client.delete(held)
    lanes: Any = client.zrange(f"{PREFIX}due", 0, -1)
    for lane in lanes:
        client.zadd(f"{PREFIX}due", {lane: 0}, xx=True)


def check_everything_arrived_once(stack: Stack, poster: Poster) -> None:
    """Every event answered 200 is at the sandbox once, and the latest profile has won."""
    poster.join(90)
    assert len(poster.answered) == EVENTS
    stack.wait_ready()
    counts = stack.settle(90)
    connection = counts["connections"]["default"]
    assert connection["accepted"] == EVENTS
    assert connection["dead"] == connection["dropped"] == 0
    held = stack.held()
    ids = sorted(each["unique_id"] for each in held["events"])
    assert ids == sorted(f"m-{n}" for n in range(EVENTS) if n % 3)
    assert len(held["profiles"]) == 50
    last = {each["email"]: each["properties"]["last"] for each in held["profiles"]}
    assert last == {f"person{p}@acme.io": last_identify(p) for p in range(50)}


def last_identify(person: int) -> int:
    """The number of the last identify of a person, which must have won."""
    return max(n for n in range(EVENTS) if n % 3 == 0 and n % 50 == person)
