"""Faults on demand, scripts in the data, and a ledger that outlives the process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from destination.sandbox.clock import ManualClock
from destination.sandbox.sandbox import Sandbox
from destination.sandbox.switches import Switches
from tests.unit.sandbox.api import Api, bulk_events, event, event_attributes, members, profile

ANN = {"email": "a@acme.io"}


def faults(api: Api, *rules: dict[str, Any]) -> None:
    """Set rules."""
    api.sandbox.command("faults", list(rules))


def test_a_fault_answers_instead_and_nothing_is_applied(api: Api) -> None:
    """As often as it says, where it says."""
    match = {"method": "POST", "path_prefix": "/api/prof"}
    faults(api, {"match": match, "times": 2, "status": 429, "retry_after": "7"})
    api.get("/api/profiles")
    for _ in range(2):
        reply = api.send("POST", "/api/profiles", profile(email="a@acme.io"))
        assert (reply.status, reply.headers["retry-after"]) == (429, "7")
        assert json.loads(reply.body)["errors"][0]["code"] == "throttled"
    assert api.state()["profiles"] == []
    api.profile(email="a@acme.io")
    assert api.sandbox.bench.faults.state()[0]["fired"] == 2


def test_faults_match_and_repeat_as_told(api: Api) -> None:
    """By operation and body; skipping some, every second one."""
    match = {"operation": "create_profile", "body_contains": "poison"}
    faults(api, {"match": match, "status": 500, "skip": 1, "every": 2})
    api.profile(email="a@acme.io")
    found = [
        api.send("POST", "/api/profiles", profile(email=f"poison{n}@acme.io")).status
        for n in range(5)
    ]
    assert found == [201, 500, 201, 500, 201]
    api.sandbox.command("faults/clear", {})
    api.profile(email="poison9@acme.io")


def test_a_cut_connection_before_or_after_the_write(api: Api) -> None:
    """No answer either way; the ledger knows which it was."""
    faults(api, {"times": 1, "apply": "before"}, {"times": 1, "apply": "after"})
    for applied in (False, True):
        reply = api.send("POST", "/api/profiles", profile(email="a@acme.io"))
        assert reply.cut == -1
        entry = api.sandbox.requests()[-1]
        assert (entry["status"], entry["applied"]) == (0, applied)
        assert bool(api.state()["profiles"]) is applied


def test_odd_answers(api: Api) -> None:
    """HTML, a status after the write, a body of one's own, delays, further headers."""
    faults(
        api,
        {"times": 1, "status": 403, "html": True},
        {"times": 1, "status": 503, "apply": "after"},
        {"times": 1, "status": 409, "body": {"errors": []}},
        {"times": 1, "delay": 2.5, "header": {"X-Odd": "1"}, "cut": 10},
        {"times": 1, "body": "<html>", "html": True},
    )
    api.contract = None
    reply = api.send("GET", "/api/lists")
    assert (reply.status, reply.headers["content-type"]) == (403, "text/html; charset=UTF-8")
    assert api.send("POST", "/api/profiles", profile(email="a@acme.io")).status == 503
    assert len(api.state()["profiles"]) == 1
    assert api.send("POST", "/api/lists", raw=b"x").status == 409
    reply = api.send("GET", "/api/lists")
    assert (reply.status, reply.delay, reply.cut, reply.headers["x-odd"]) == (200, 2.5, 10, "1")
    reply = api.send("GET", "/api/lists")
    assert (reply.status, reply.body) == (200, b"<html>")


@pytest.mark.parametrize(
    "rule", [{"stat": 1}, {"match": {"host": "x"}}, {"apply": "later"}, {"match": {}, "delay": "x"}]
)
def test_a_wrong_fault_is_refused(api: Api, rule: dict[str, Any]) -> None:
    """With a word about what is known."""
    with pytest.raises(ValueError, match=r"fault|apply|delay|convert"):
        api.sandbox.command("faults", rule)


def test_a_script_answers_the_attempts_of_one_event(api: Api) -> None:
    """One step for each attempt, also inside a batch; afterwards all is well."""
    steps = [
        "500",
        "429:2",
        "429:none",
        "html:502",
        "reset_before_apply",
        "reset_after_apply",
        "202",
    ]
    row = event_attributes(unique_id="1", properties={"__script": steps})
    body = bulk_events(({"email": "b@acme.io"}, [event_attributes(unique_id="2")]), (ANN, [row]))
    path = "/api/event-bulk-create-jobs"
    replies = [api.send("POST", path, body) for _ in range(8)]
    assert [each.status for each in replies[:4]] == [500, 429, 429, 502]
    assert [each.headers.get("retry-after") for each in replies[:4]] == [None, "2", None, None]
    assert [each.cut for each in replies[4:6]] == [-1, -1]
    assert [each.status for each in replies[6:]] == [202, 202]
    assert [each["applied"] for each in api.sandbox.requests()] == [False] * 5 + [True] * 3
    assert api.state()["counts"]["events"] == 2
    assert api.state()["counts"]["duplicate_events"] == 4


def test_scripts_are_honoured_in_test_mode_only(api: Api) -> None:
    """Without the switch they are data like any other."""
    api.switches.update({"scripts": False})
    body = event(ANN, properties={"__script": ["500"]})
    api.post("/api/events", body, status=202)


def replayed(path: Path, clock: ManualClock) -> Sandbox:
    """A sandbox that resumes from the ledger."""
    return Sandbox(clock=clock, switches=Switches(scripts=True), ledger=path)


def test_a_ledger_rebuilds_the_state(tmp_path: Path) -> None:
    """Everything: jobs in flight, clock, keys, faults, scripts, used-up limits, numbering."""
    path = tmp_path / "ledger.jsonl"
    api = Api()
    api.sandbox = replayed(path, api.clock)
    api.sandbox.command("keys", {"key": "pk_gone", "revoked": True})
    ann, news = api.profile(email="a@acme.io"), api.list()
    api.post(f"/api/lists/{news}/relationships/profiles", members(ann), status=204)
    api.clock.advance(5)
    api.post("/api/events", event(ANN, unique_id="1", properties={"x": "a\nb"}), status=202)
    api.send("POST", "/api/profiles", raw=b'{\n"data": {"type": "profile",\n"attributes": {}}}')
    rows = {"profiles": {"data": [{"type": "profile", "attributes": {"email": "job@acme.io"}}]}}
    job = {"data": {"type": "profile-bulk-import-job", "attributes": rows}}
    api.post("/api/profile-bulk-import-jobs", job, status=202)
    scripted = event(ANN, unique_id="2", properties={"__script": ["500", "503"]})
    api.contract = None
    assert api.send("POST", "/api/events", scripted).status == 500
    faults(api, {"match": {"path_prefix": "/api/lists"}, "times": 2, "status": 500})
    assert api.send("GET", "/api/lists").status == 500
    assert api.send("GET", "/api/accounts").status == 200
    faults(api, {"match": {"path_prefix": "/api/metrics"}, "skip": 2, "every": 2, "status": 500})
    assert [api.send("GET", "/api/metrics").status for _ in range(3)] == [200, 200, 500]
    before, requests = api.state(), api.sandbox.requests()

    api.sandbox = replayed(path, api.clock)
    assert api.state() == before
    assert api.sandbox.requests() == requests
    assert api.send("GET", "/api/accounts").status == 429
    assert (
        api.send(
            "GET", "/api/accounts", headers={"authorization": "Klaviyo-API-Key pk_gone"}
        ).status
        == 401
    )
    assert [api.send("GET", "/api/lists").status for _ in range(2)] == [500, 200]
    assert [api.send("GET", "/api/metrics").status for _ in range(2)] == [200, 500]
    assert api.send("POST", "/api/events", scripted).status == 503
    assert api.send("POST", "/api/events", scripted).status == 202
    api.clock.advance(60)
    assert "job@acme.io" in {each.get("email") for each in api.state()["profiles"]}
    assert [each["seq"] for each in api.sandbox.requests()] == sorted(
        {each["seq"] for each in api.sandbox.requests()}
    )


def test_a_torn_line_is_forgotten(tmp_path: Path) -> None:
    """A crash in mid-write loses that line, and later ones do not run into it."""
    path = tmp_path / "ledger.jsonl"
    api = Api()
    api.sandbox = replayed(path, api.clock)
    api.profile(email="a@acme.io")
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:50])
    api.sandbox = replayed(path, api.clock)
    api.profile(email="b@acme.io")
    api.sandbox = replayed(path, api.clock)
    assert len(api.state()["profiles"]) == 2


def test_the_ledger_in_memory_has_bounds(api: Api) -> None:
    """By count and by bytes; since gives what came later."""
    api.sandbox.ledger.most = 3
    for number in range(5):
        api.profile(email=f"p{number}@acme.io")
    assert [each["seq"] for each in api.sandbox.requests()] == [3, 4, 5]
    assert [each["seq"] for each in api.sandbox.requests(since=4)] == [5]
    api.sandbox.ledger.most_bytes = 100
    api.profile(email="p9@acme.io")
    assert [each["seq"] for each in api.sandbox.requests()] == [6]


def test_reset_forgets_data_but_not_keys(api: Api) -> None:
    """A fresh start for the next test."""
    api.sandbox.command("keys", {"key": "pk_gone", "revoked": True})
    api.profile(email="a@acme.io")
    faults(api, {"status": 500})
    api.sandbox.command("reset", {})
    assert api.sandbox.requests() == []
    assert api.state()["profiles"] == []
    assert api.send("GET", "/api/lists").status == 200
    assert api.sandbox.bench.keys.state()[0]["revoked"] is True


def test_seeding_puts_things_there_under_known_ids(api: Api) -> None:
    """Lists, segments, profiles; doing it twice changes nothing."""
    seed = {
        "profiles": [{"email": "a@acme.io", "properties": {"plan": "pro"}}],
        "lists": [{"id": "Y6nRLr", "name": "News", "opt_in_process": "single_opt_in"}],
        "segments": [{"id": "Sg1234", "name": "VIP", "members": ["a@acme.io", "b@acme.io"]}],
    }
    for _ in range(2):
        api.sandbox.command("seed", seed)
    assert api.get("/api/lists/Y6nRLr")["data"]["attributes"]["opt_in_process"] == "single_opt_in"
    assert len(api.get("/api/segments/Sg1234/profiles")["data"]) == 2
    assert len(api.state()["profiles"]) == 2


def test_switches_are_checked(api: Api) -> None:
    """Names, types and choices."""
    for wrong in ({"nope": 1}, {"scripts": "yes"}, {"limits": "some"}, {"request_bytes": True}):
        with pytest.raises(ValueError, match="switch"):
            api.sandbox.command("switches", wrong)
