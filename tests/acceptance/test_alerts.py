"""Alerts as an operator gets them: posted by the worker, signed, once, and taken back."""

from __future__ import annotations

import datetime as dt
import http.server
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from destination.event import decode
from destination.ingress.format import Inbound, Options
from destination.ingress.webhooks import standard
from destination.runtime.alerts.beats import BEATS, silence
from tests.acceptance.stack import Stack, until
from tests.acceptance.test_operating import command, post, track

SECRET = "whsec_c29tZXRoaW5nLXNlY3JldC1hbmQtbG9uZw=="


class Receiver(http.server.ThreadingHTTPServer):
    """Takes alerts and notes them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.taken: list[Inbound] = []

    @property
    def url(self) -> str:
        """Where it takes them."""
        return f"http://127.0.0.1:{self.server_port}/hook"

    def told(self) -> list[tuple[str, str]]:
        """Each alert's type and name, once however often it came."""
        documents = {each.headers["webhook-id"]: decode(each.body) for each in self.taken}
        return [(each["type"], each["data"]["alert"]) for each in documents.values()]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.taken.append(Inbound("standard", body, dt.datetime.now(dt.UTC), headers))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_args: Any) -> None:
        return


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of alerts."""
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def restart(stack: Stack, receiver: Receiver) -> None:
    """Restart the worker with alerts."""
    stack.environ |= {
        "DESTINATION_ALERT_URL": receiver.url,
        "DESTINATION_ALERT_SECRET": SECRET,
        "DESTINATION_ALERT_DEAD_LETTERS": "3",
    }
    stack.kill("work")
    stack.start("work")


def test_a_halted_connection_is_told_and_taken_back(stack: Stack, receiver: Receiver) -> None:
    """With nothing in it of whose events wait, nor of the key."""
    restart(stack, receiver)

    def revoke(revoked: bool) -> None:
        url = f"{stack.sandbox}/sandbox/keys"
        stack.http.post(url, json={"key": "pk_test", "revoked": revoked}).raise_for_status()

    revoke(True)
    post(stack, *(track(number) for number in range(5)))
    until(lambda: ("alert.firing", "connection_halted") in receiver.told(), 30, stack.logs())
    listed = command(stack, "alerts", "list")
    assert (listed.returncode, "connection_halted" in listed.stdout) == (1, True)
    revoke(False)
    stack.client().hset("destination:default:halt", "probe_at", 0)
    stack.client().zadd("destination:due", {"default\tsegment/track-to-event": 0})
    stack.settle()
    until(lambda: ("alert.resolved", "connection_halted") in receiver.told(), 30, stack.logs())
    assert len(receiver.told()) == 2
    assert command(stack, "alerts", "list").returncode == 0
    for each in receiver.taken:
        now = each.received_at.timestamp()
        assert standard.verify(each, [SECRET], now, Options()).code == "verified"
        for canary in (b"acme.io", b"pk_test", b"u-1", b"t-1"):
            assert canary not in each.body


def test_a_part_that_is_gone_is_told_by_the_other(stack: Stack, receiver: Receiver) -> None:
    """A server by the worker, the worker by the server; both are taken back."""
    restart(stack, receiver)
    stack.kill("serve")
    stack.start("serve")
    stack.wait_ready()
    for part, process in (("server", "serve"), ("worker", "work")):
        until(lambda part=part: part in silence(stack.client()), 20, stack.logs)  # type: ignore[misc]  # bound early on purpose
        stack.kill(process)
        stack.client().hset(BEATS, part, int((time.time() - 61) * 1000))
        until(lambda part=part: ("alert.firing", f"no_{part}") in receiver.told(), 30, stack.logs)  # type: ignore[misc]  # as above
        stack.start(process)
        over = ("alert.resolved", f"no_{part}")
        until(lambda over=over: over in receiver.told(), 30, stack.logs)  # type: ignore[misc]  # as above
    assert len(receiver.told()) == 4
    stack.wait_ready()
    found = stack.http.get(f"{stack.server}/admin/alerts").json()
    assert (found["alerts"], sorted(found["silence"])) == ([], ["server", "worker"])
    metrics = stack.http.get(f"{stack.server}/metrics").text
    assert 'destination_silence_seconds{part="worker"}' in metrics


def test_a_test_alert_says_whether_it_arrives(stack: Stack, receiver: Receiver) -> None:
    """Status 1 with the reason where it does not."""
    (stack.folder / ".env").write_text(f"DESTINATION_ALERT_URL={receiver.url}\n")
    assert command(stack, "alerts", "test").returncode == 0
    assert receiver.told() == [("alert.test", "test")]
    (stack.folder / ".env").write_text("DESTINATION_ALERT_URL=http://127.0.0.1:9/secret\n")
    failed = command(stack, "alerts", "test")
    assert (failed.returncode, "no answer" in failed.stderr) == (1, True)
    assert "secret" not in failed.stderr
    (stack.folder / ".env").unlink()
    assert command(stack, "alerts", "test").returncode == 2
