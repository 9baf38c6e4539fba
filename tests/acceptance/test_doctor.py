"""``destination doctor`` on a running installation whose parts are broken one by one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.stack import KEY, Stack, until

LATELY = f"{datetime.now(UTC).year - 1}-10-15"
"""A revision that is out and not two years old, whenever this runs."""

READS = ["accounts:read", "profiles:read", "lists:read"]
FIELDS = {"email": {"@path": "$.traits.email"}}
MAPPING: dict[str, Any] = {
    "name": "people",
    "action": "upsertProfile",
    "trigger": 'type = "identify"',
    "fields": FIELDS,
}
Lines = list[dict[str, str]]


@pytest.fixture(scope="module")
def started() -> Iterator[Stack]:
    """A Redis and a sandbox; a check-up needs neither server nor worker."""
    with tempfile.TemporaryDirectory(prefix="dst") as folder:
        found = Stack(Path(folder))
        try:
            found.redis.start()
            found.start("sandbox")
            until(lambda: reachable(f"{found.sandbox}/sandbox/counts"), 20, found.logs)
            yield found
        finally:
            found.down()


@pytest.fixture
def ground(started: Stack) -> Stack:
    """The same, as if new."""
    client = started.client()
    client.flushall()
    client.config_set("appendonly", "yes")
    client.config_set("maxmemory-policy", "noeviction")
    until(lambda: client.info("persistence")["aof_last_write_status"] == "ok", 5, "no AOF")
    control(started, "reset", {})
    control(started, "keys", {"key": "pk_test", "revoked": False, "scopes": None})
    use(started, MAPPING)
    return started


def reachable(url: str) -> bool:
    """Whether something answers there."""
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def doctor(stack: Stack, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command on this installation."""
    settings = {
        **os.environ,
        "REDIS_URL": stack.redis.url,
        "KLAVIYO_API_URL": stack.sandbox,
        "KLAVIYO_API_KEY": "pk_test",
        "DESTINATION_WRITE_KEY": KEY,
        "DESTINATION_MAPPINGS": str(stack.mappings),
        "KLAVIYO_REVISION": LATELY,
        **environ,
    }
    return subprocess.run(
        [sys.executable, "-m", "destination", "doctor", *arguments],
        env=settings,
        cwd=stack.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def findings(stack: Stack, **environ: str) -> tuple[int, Lines]:
    """Its status and what it found."""
    done = doctor(stack, "--format", "json", **environ)
    assert "Traceback" not in done.stderr, done.stderr
    found: Lines = json.loads(done.stdout)["findings"]
    return done.returncode, found


def about(found: Lines, check: str) -> list[tuple[str, str]]:
    """State and message of the findings of one check."""
    return [(each["state"], each["message"]) for each in found if each["check"] == check]


def control(stack: Stack, what: str, body: Any) -> None:
    """Tell the sandbox something."""
    answer = stack.http.post(f"{stack.sandbox}/sandbox/{what}", json=body)
    assert answer.status_code == 200, answer.text


def use(stack: Stack, *entries: dict[str, Any]) -> None:
    """Use these mappings and no others."""
    for file in stack.mappings.glob("*.json"):
        file.unlink()
    text = json.dumps({"name": "mine", "mappings": list(entries)})
    (stack.mappings / "mine.json").write_text(text)


def test_a_sound_installation(ground: Stack) -> None:
    """Every part is named; nothing was written at Klaviyo; what cannot be known is not claimed."""
    status, found = findings(ground)
    assert status == 0
    assert {each["state"] for each in found} <= {"ok", "warning"}
    checks = {each["check"] for each in found}
    assert checks >= {"redis", "target", "mappings", "revision", "key", "scopes"}
    ((state, said),) = about(found, "key")
    assert (state, said) == ("ok", "opens Sandbox main (MAINSA), a test account")
    ((state, said),) = about(found, "scopes")
    assert state == "warning"
    assert "has lists:read, profiles:read" in said
    assert "profiles:write" in said
    assert "cannot be tested without writing" in said
    assert {each["method"] for each in ground.requests()} == {"GET"}
    text = doctor(ground)
    assert text.returncode == 0
    assert "0 problems" in text.stdout
    assert "pk_test" not in text.stdout + text.stderr


def test_deliveries_show_what_the_key_may_do(stack: Stack) -> None:
    """What was done of late needs no doubt."""
    event = {"type": "identify", "userId": "u", "messageId": "m", "traits": {"email": "a@acme.io"}}
    stack.http.post(f"{stack.server}/v1/identify", json=event, auth=(KEY, "")).raise_for_status()
    stack.settle()
    use(stack, {**MAPPING, "batch": {"enabled": False}})
    _status, found = findings(stack)
    assert about(found, "scopes") == [("ok", "has profiles:read, profiles:write")]


def test_a_revoked_key(ground: Stack) -> None:
    """It is named with what to do, and nothing else is asked with it."""
    control(ground, "keys", {"key": "pk_test", "revoked": True})
    status, found = findings(ground)
    assert status == 1
    ((state, said),) = about(found, "key")
    assert state == "problem"
    assert "401" in said
    (remedy,) = [each["remedy"] for each in found if each["check"] == "key"]
    assert remedy.startswith("Put a valid")
    assert not about(found, "scopes")


def test_a_missing_scope(ground: Stack) -> None:
    """It is named with the mappings that need it."""
    use(ground, {**MAPPING, "fields": {**FIELDS, "list_id": "Y6nRLr"}})
    control(ground, "keys", {"key": "pk_test", "scopes": READS[:2]})
    status, found = findings(ground)
    assert status == 1
    problems = [said for state, said in about(found, "scopes") if state == "problem"]
    assert len(problems) == 1
    assert problems[0].startswith("lists:read")
    assert "mine/people" in problems[0]
    assert about(found, "lists") == [("warning", "not looked up: the key lacks lists:read")]


def test_without_the_scope_of_accounts_nothing_could_resume(ground: Stack) -> None:
    """A paused connection asks for the account to find out whether it may go on."""
    control(ground, "keys", {"key": "pk_test", "scopes": ["profiles:read", "profiles:write"]})
    status, found = findings(ground)
    assert status == 1
    ((state, said),) = about(found, "key")
    assert state == "problem"
    assert "accounts:read" in said


def test_lists_that_mappings_name(ground: Stack) -> None:
    """By id and by name, there and not there, and in another case."""
    control(ground, "seed", {"lists": [{"id": "Y6nRLr", "name": "News"}]})
    named: list[dict[str, Any]] = [
        {"list_id": "Y6nRLr"},
        {"list_id": {"@literal": "y6nrlr"}},
        {"list_id": "XXXXXX"},
        {"list_name": "News"},
        {"list_name": "Offers"},
        {"list_id": {"@path": "$.context.list"}},
        {"list_id": "{{properties.list}}"},
    ]
    entries = [
        {**MAPPING, "name": f"m{place}", "fields": {**FIELDS, **each}}
        for place, each in enumerate(named)
    ]
    use(ground, *entries)
    status, found = findings(ground)
    assert status == 1
    lists = about(found, "lists")
    assert lists[0] == ("ok", "Y6nRLr is 'News'")
    assert lists[1][0] == lists[2][0] == "problem"
    assert "Y6nRLr is meant ('News')?" in lists[1][1]
    assert "mine/m2" in lists[2][1]
    assert lists[3] == ("ok", "'News' is Y6nRLr")
    assert lists[4] == ("ok", "'Offers' does not exist yet; it is made when it is needed")
    assert len(lists) == 5


def test_a_connection_that_is_paused(ground: Stack) -> None:
    """With the reason, as long as it lasts."""
    reason = json.dumps({"code": "key_refused", "message": "Klaviyo answered 401"})
    ground.client().hset("destination:default:halt", mapping={"reason": reason, "probe_at": 10**15})
    status, found = findings(ground)
    assert status == 1
    assert about(found, "state") == [("problem", "deliveries are paused: Klaviyo answered 401")]


def test_the_revision_in_use(ground: Stack) -> None:
    """One that came out lately is served, an old one is a problem."""
    for revision, retired in ((LATELY, False), ("2024-07-15", True)):
        _status, found = findings(ground, KLAVIYO_REVISION=revision)
        ((state, said),) = about(found, "revision")
        assert revision in said
        assert (state == "problem") is retired


def test_broken_mappings(ground: Stack) -> None:
    """They are named, and the rest is looked at all the same."""
    use(ground, {**MAPPING, "action": "noSuchAction"})
    status, found = findings(ground)
    assert status == 1
    assert [state for state, _ in about(found, "mappings")] == ["problem"]
    assert about(found, "key")[0][0] == "ok"


def test_a_redis_that_forgets(ground: Stack) -> None:
    """Whatever it forgets by is a problem of its own."""
    client = ground.client()
    client.config_set("appendonly", "no")
    client.config_set("maxmemory-policy", "allkeys-lru")
    status, found = findings(ground)
    assert status == 1
    said = " ".join(said for state, said in about(found, "redis") if state == "problem")
    assert "append-only" in said
    assert "noeviction" in said


def test_a_redis_that_does_not_answer(ground: Stack) -> None:
    """What does not need it is looked at all the same."""
    # The account may be asked about once a second, and without Redis nobody keeps count.
    ground.http.post(f"{ground.sandbox}/sandbox/advance", json={"seconds": 2}).raise_for_status()
    status, found = findings(ground, REDIS_URL="redis://127.0.0.1:1/0")
    assert status == 1
    assert about(found, "redis") == [("problem", "does not answer")]
    assert about(found, "key")[0][0] == "ok"


def test_without_a_key_nothing_reaches_klaviyo(ground: Stack) -> None:
    """The sandbox is named as what it is."""
    _status, found = findings(ground, KLAVIYO_API_KEY="", DESTINATION_SANDBOX_URL=ground.sandbox)
    ((state, said),) = about(found, "target")
    assert state == "ok"
    assert "sandbox" in said
    status, found = findings(ground, KLAVIYO_API_KEY="")
    assert status == 0
    assert about(found, "key")[0][0] == "warning"
