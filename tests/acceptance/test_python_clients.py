"""The SDKs of Segment and RudderStack for Python, unchanged, through everything a server can answer."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rudderstack.analytics.client import Client as RudderClient
from segment.analytics.client import Client as SegmentClient

from destination.runtime.store import connect
from tests.acceptance.stack import KEY, Stack, until

Sdk = Callable[..., Any]


def segment(stack: Stack, key: str = KEY) -> SegmentClient:
    """As it is installed, but for short batches and waits."""
    return SegmentClient(key, host=stack.server, upload_interval=0.1, upload_size=5)


def rudder(stack: Stack, key: str = KEY) -> RudderClient:
    """As it is installed: gzip, batches, retries."""
    return RudderClient(key, host=stack.server, upload_interval=0.1, upload_size=5)


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What the SDKs say of the answers that they get."""
    caplog.set_level(logging.DEBUG, "segment")
    caplog.set_level(logging.DEBUG, "backoff")
    return caplog


def send(client: Any, people: range) -> None:
    """An identify and a track for each."""
    for n in people:
        who = {"email": f"python{n}@acme.io"}
        client.identify(f"u-{n}", who)
        client.track(f"u-{n}", "Signed Up", {"n": n}, context={"traits": who})


def check(stack: Stack, people: int) -> None:
    """Everybody's profile and event has arrived, once."""
    source = stack.settle()["sources"]["default"]
    assert source["accepted"] == 2 * people
    assert source["received"] == 2 * people + source["duplicate"]
    held = stack.held()
    assert {each["email"] for each in held["profiles"]} == {
        f"python{n}@acme.io" for n in range(people)
    }
    assert held["counts"]["events_by_metric"] == {"Signed Up": people}


@pytest.mark.parametrize("sdk", [segment, rudder])
def test_nothing_is_lost_through_trouble(
    stack: Stack, heard: pytest.LogCaptureFixture, sdk: Sdk
) -> None:
    """200; 503 while Redis stands still; no answer while the server is away."""
    client = sdk(stack)
    send(client, range(10))
    client.flush()
    assert stack.counts()["sources"]["default"]["accepted"] == 20

    with connect(stack.redis.url) as redis:
        pid = int(redis.info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: stack.http.get(f"{stack.server}/ready").status_code == 503, 10, stack.logs)
        answer = stack.http.post(f"{stack.server}/v1/track", json={}, auth=(KEY, ""))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        send(client, range(10, 15))
        until(lambda: "503" in heard.text, 20, "the SDK was never refused")
    finally:
        os.kill(pid, signal.SIGCONT)
    client.flush()

    stack.kill("serve")
    send(client, range(15, 20))
    until(lambda: "refused" in heard.text, 20, "the SDK found a server")
    stack.start("serve")
    client.flush()
    client.join()
    check(stack, 20)


@pytest.mark.parametrize(
    ("sdk", "final"),
    [(segment, "Non-retryable error 401 after 1 attempts"), (rudder, "after 1 tries")],
)
def test_what_is_refused_for_good_is_not_repeated(
    stack: Stack, heard: pytest.LogCaptureFixture, sdk: Sdk, final: str
) -> None:
    """401 for a strange key: the SDK gives up at once and says why; its neighbour is not touched."""
    stranger, client = sdk(stack, "a-strange-key"), sdk(stack)
    send(stranger, range(1))
    send(client, range(1))
    for each in (stranger, client):
        each.flush()
        each.join()
    told = [line for line in heard.messages if final in line]
    assert len(told) == 1, heard.text
    assert "401" in heard.text
    assert "write key that no source has" in heard.text
    check(stack, 1)


@pytest.mark.parametrize("sdk", [segment, rudder])
def test_a_source_that_is_held_back_loses_nothing(
    tmp_path: Path, heard: pytest.LogCaptureFixture, sdk: Sdk
) -> None:
    """429: the SDK comes again later, until everything is taken."""
    stack = Stack(tmp_path)
    stack.environ["DESTINATION_SOURCE_RATE"] = "5"
    try:
        stack.up()
        client = sdk(stack)
        send(client, range(10))
        client.flush()
        client.join()
        assert "429" in heard.text
        check(stack, 10)
    finally:
        stack.down()
