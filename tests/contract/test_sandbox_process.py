"""The sandbox as a process: connections that break, and a life after kill -9."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.server import sandbox_process

HEADERS = {
    "Authorization": "Klaviyo-API-Key pk_process",
    "revision": "2026-07-15",
    "Content-Type": "application/vnd.api+json",
}


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """The address of a sandbox."""
    with sandbox_process("--no-limits", "--scripts") as (url, _):
        yield url


@pytest.fixture
def client(base: str) -> Iterator[httpx.Client]:
    """A client of an empty sandbox."""
    with httpx.Client(base_url=base, headers=HEADERS, timeout=5) as found:
        found.post("/sandbox/reset").raise_for_status()
        yield found


def event(unique: str, **properties: Any) -> dict[str, Any]:
    """An event's request body."""
    attributes = {
        "properties": properties,
        "unique_id": unique,
        "metric": {"data": {"type": "metric", "attributes": {"name": "Viewed"}}},
        "profile": {"data": {"type": "profile", "attributes": {"email": "a@acme.io"}}},
    }
    return {"data": {"type": "event", "attributes": attributes}}


def recorded(client: httpx.Client) -> int:
    """How many events there are."""
    found: int = client.get("/sandbox/counts").json()["events"]
    return found


@pytest.mark.parametrize(("step", "applied"), [("reset_before_apply", 0), ("reset_after_apply", 1)])
def test_a_connection_is_cut_around_the_write(
    client: httpx.Client, step: str, applied: int
) -> None:
    """No answer comes either way; the retry is recorded once."""
    body = event("1", __script=[step])
    with pytest.raises(httpx.TransportError):
        client.post("/api/events", json=body)
    assert recorded(client) == applied
    assert client.post("/api/events", json=body).status_code == 202
    assert recorded(client) == 1


def test_answers_break_in_the_middle_come_late_or_slowly(client: httpx.Client) -> None:
    """As the fault says."""
    rules = [
        {"times": 1, "cut": 20},
        {"times": 1, "delay": 2},
        {"times": 1, "trickle": 0.3, "status": 400, "body": "slowly"},
        {"times": 1, "header": {"Content-Length": "100000"}, "cut": 30},
    ]
    client.post("/sandbox/faults", json=rules).raise_for_status()
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/api/lists")
    with pytest.raises(httpx.ReadTimeout):
        client.get("/api/lists", timeout=0.5)
    with pytest.raises(httpx.ReadTimeout):
        client.get("/api/lists", timeout=0.1)
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/api/lists")
    assert client.get("/api/lists").status_code == 200


def test_it_answers_like_a_web_server(client: httpx.Client) -> None:
    """No redirects, a page to look at, commands that say what is wrong with them."""
    for path in ("/api/lists", "/api/lists/"):
        assert client.get(path).status_code == 200
    client.post("/api/events", json=event("<b>1</b>")).raise_for_status()
    page = client.get("/sandbox").text
    assert "&lt;b&gt;1" in page
    assert "<b>1" not in page
    assert client.get("/").status_code == 404
    assert client.get("/sandbox/nothing").status_code == 404
    for command, body in (("nothing", "{}"), ("switches", "["), ("advance", '{"seconds": -1}')):
        assert client.post(f"/sandbox/{command}", content=body).status_code == 400
    assert client.delete("/sandbox/faults").json() == {"faults": []}
    assert client.get("/sandbox/requests?since=x").status_code == 400
    (entry,) = [each for each in client.get("/sandbox/requests").json()["requests"] if each["body"]]
    assert entry["body"]["data"]["attributes"]["unique_id"] == "<b>1</b>"
    assert "pk_process" not in str(entry)


def test_a_killed_sandbox_resumes_from_its_ledger(tmp_path: Path) -> None:
    """What was answered is there again; what is sent once more is recorded once."""
    ledger = tmp_path / "ledger.jsonl"
    arguments = ("--no-limits", "--scripts", "--ledger", str(ledger))
    with sandbox_process(*arguments) as (url, process):
        with httpx.Client(base_url=url, headers=HEADERS) as client:
            for number in range(20):
                client.post("/api/events", json=event(str(number))).raise_for_status()
            cut = event("20", __script=["reset_after_apply"])
            with pytest.raises(httpx.TransportError):
                client.post("/api/events", json=cut)
            before = client.get("/sandbox/state").json()
        process.kill()
        process.wait(10)
    with (
        sandbox_process(*arguments) as (url, _),
        httpx.Client(base_url=url, headers=HEADERS) as client,
    ):
        after = client.get("/sandbox/state").json()
        for each in (before, after):
            each["counts"].pop("now")
            each.pop("now")
        assert after == before
        assert client.post("/api/events", json=cut).status_code == 202
        assert recorded(client) == 21
        assert len(client.get("/sandbox/requests").json()["requests"]) == 22
