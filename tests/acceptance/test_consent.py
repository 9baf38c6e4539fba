"""Consent through the real processes: an older yes never undoes a newer no."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.acceptance.stack import KEY, Stack, until

MAIL = "ana@acme.io"
NAMES = {"yes": "User Subscribed", "no": "User Unsubscribed"}


def decision(what: str, minutes: float, email: str = MAIL, **properties: Any) -> dict[str, Any]:
    """An event in which a person decided, so many minutes ago."""
    when = (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()
    return {
        "type": "track",
        "event": NAMES[what],
        "userId": f"u-{email}",
        "messageId": f"{what}-{email}-{minutes}",
        "timestamp": when,
        "properties": {"email": email, **properties},
    }


def post(stack: Stack, *events: dict[str, Any]) -> None:
    """Post events as one batch."""
    answer = stack.http.post(f"{stack.server}/v1/batch", json={"batch": events}, auth=(KEY, ""))
    assert answer.status_code == 200, answer.text


def settle(stack: Stack) -> dict[str, Any]:
    """The connection's counts when nothing is pending and Klaviyo has done what it took."""
    counts: dict[str, Any] = stack.settle()["connections"]["default"]
    control(stack, "advance", {"seconds": 5})
    return counts


def control(stack: Stack, what: str, body: Any) -> None:
    """Tell the sandbox something."""
    answer = stack.http.post(f"{stack.sandbox}/sandbox/{what}", json=body)
    assert answer.status_code == 200, answer.text


def consent(stack: Stack, email: str = MAIL) -> str:
    """A person's consent to marketing mail, empty for somebody unknown."""
    for profile in stack.held()["profiles"]:
        if profile.get("email") == email:
            return str(profile["consent"].get("email.marketing", ""))
    return ""


def reasons(counts: dict[str, Any]) -> dict[str, int]:
    """Why rows were dropped."""
    found: dict[str, int] = {}
    for mapping in counts["mappings"].values():
        for reason, by in mapping["reasons"].items():
            found[reason] = found.get(reason, 0) + by
    return found


def command(stack: Stack, *arguments: str) -> str:
    """What a ``destination`` command says of this installation."""
    environ = {**os.environ, "REDIS_URL": stack.redis.url, "DESTINATION_WRITE_KEY": KEY}
    done = subprocess.run(
        [sys.executable, "-m", "destination", *arguments],
        env=environ,
        cwd=stack.folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout


@pytest.fixture
def opted(stack: Stack) -> Stack:
    """An installation whose account asks nobody to confirm."""
    control(stack, "switches", {"account_opt_in": "single_opt_in"})
    return stack


def test_an_older_yes_that_comes_later_is_dropped(opted: Stack) -> None:
    """In one batch and in the next; other people are not concerned."""
    post(
        opted,
        decision("yes", 50),
        decision("no", 10),
        decision("yes", 30),
        decision("yes", 30, "bo@acme.io"),
    )
    settle(opted)
    post(opted, decision("yes", 20), decision("yes", 20, "bo@acme.io"))
    counts = settle(opted)
    assert (consent(opted), consent(opted, "bo@acme.io")) == ("UNSUBSCRIBED", "SUBSCRIBED")
    assert reasons(counts) == {"dropped:older_than_unsubscribe": 2}
    post(opted, decision("yes", 5))
    settle(opted)
    assert consent(opted) == "SUBSCRIBED"


def test_a_no_outlives_workers_redis_and_the_key(opted: Stack) -> None:
    """What was decided is kept where the events are kept, under the connection's name."""
    post(opted, decision("yes", 60), decision("no", 10))
    settle(opted)
    opted.kill("work")
    opted.kill("redis")
    opted.environ["KLAVIYO_API_KEY"] = "pk_another"
    control(opted, "keys", {"key": "pk_another"})
    until(opted.redis.ready, 20, opted.logs)
    opted.start("work")
    opted.wait_ready()
    post(opted, decision("yes", 30))
    assert reasons(settle(opted)) == {"dropped:older_than_unsubscribe": 1}
    assert consent(opted) == "UNSUBSCRIBED"


def test_a_replayed_yes_does_not_undo_a_newer_no(opted: Stack) -> None:
    """However long it was a dead letter."""
    refusal = {"errors": [{"id": "x", "code": "invalid", "title": "no", "detail": "not today"}]}
    rule = {"match": {"operation": "bulk_subscribe_profiles"}, "status": 400, "body": refusal}
    control(opted, "faults", [{**rule, "times": 1}])
    post(opted, decision("yes", 60))
    assert settle(opted)["dead"] == 1
    post(opted, decision("no", 10))
    settle(opted)
    assert "1 dead letters" in command(opted, "dead", "replay", "--all")
    counts = settle(opted)
    assert counts["dead"] == 0
    assert reasons(counts) == {"dropped:older_than_unsubscribe": 1}
    assert consent(opted) != "SUBSCRIBED"


def test_a_missing_list_keeps_nobody_from_unsubscribing(opted: Stack) -> None:
    """A yes that waits for its list lets the same person's no pass, and then it is too old.

    Other lists go on, and one line tells of the missing one, not a line for each row.
    """
    news = {"id": "Y6nRLr", "name": "News", "opt_in_process": "single_opt_in"}
    control(opted, "seed", {"lists": [news]})
    waiting = [decision("yes", 60 + n, f"p{n}@acme.io", list_id="GoneXX") for n in range(5)]
    post(opted, decision("yes", 60, list_id="GoneXX"), *waiting)
    until(lambda: "waiting_for" in (opted.folder / "work.log").read_text(), 20, opted.logs)
    post(opted, decision("no", 10), decision("yes", 20, "p0@acme.io", list_id="Y6nRLr"))
    until(lambda: len(delivered(opted)) == 2, 20, opted.logs)
    control(opted, "advance", {"seconds": 5})
    assert consent(opted, "p0@acme.io") == "SUBSCRIBED"
    log = [json.loads(line) for line in (opted.folder / "work.log").read_text().splitlines()]
    alarms = [line for line in log if line.get("event") == "waiting_for"]
    assert [(line["code"], line["what"]) for line in alarms] == [("list_not_found", "list:GoneXX")]
    counts = opted.counts()["connections"]["default"]
    assert (counts["pending"], counts["dead"]) == (6, 0)


def test_a_suppression_is_delivered_when_klaviyo_has_done_it(opted: Stack) -> None:
    """Klaviyo takes it as a job, which is asked about until it has ended."""
    fields = {"email": {"@path": "$.properties.email"}}
    entries = [
        {"name": name, "action": name, "trigger": f'event = "{event}"', "fields": fields}
        for name, event in (("suppressProfile", "Stop"), ("unsuppressProfile", "Go on"))
    ]
    told = json.dumps({"name": "stops", "mappings": entries})
    (opted.mappings / "stops.json").write_text(told, "utf-8")
    for name in ("serve", "work"):
        opted.kill(name)
        opted.start(name)
    opted.wait_ready()

    def said(event: str, number: int, minutes: float) -> dict[str, Any]:
        told = decision("no", minutes, f"p{number}@acme.io")
        return {**told, "event": event, "messageId": f"{event}-{number}"}

    post(opted, *(said("Stop", n, 20) for n in range(5)), *(said("Go on", n, 10) for n in range(2)))
    counts = opted.settle()["connections"]["default"]["mappings"]
    assert counts["stops/suppressProfile"]["delivered"] == 5
    assert counts["stops/unsuppressProfile"]["delivered"] == 2
    held = {each.get("email"): str(each["consent"]) for each in opted.held()["profiles"]}
    assert {mail for mail, has in held.items() if "USER_SUPPRESSED" in has} == {
        f"p{n}@acme.io" for n in (2, 3, 4)
    }
    assert "accepted_by_klaviyo" not in {
        line["code"]
        for line in map(json.loads, (opted.folder / "work.log").read_text("utf-8").splitlines())
        if str(line.get("mapping", "")).startswith("stops/") and line.get("outcome") == "delivered"
    }


def delivered(stack: Stack) -> list[str]:
    """The operations on consent that Klaviyo took."""
    return [
        each["operation"]
        for each in stack.requests()
        if each["operation"].startswith(("bulk_subscribe", "bulk_unsubscribe"))
        and each["status"] == 202
    ]


def test_a_bad_phone_number_costs_nobody_their_mail(opted: Stack) -> None:
    """The person is subscribed by e-mail; the recent deliveries say what was left out."""
    post(opted, decision("yes", 5, phone="12"))
    assert settle(opted)["delivered"] == 1
    assert consent(opted) == "SUBSCRIBED"
    assert "phone_number_ignored" in command(opted, "tail", "--no-follow")


def test_the_same_person_twice_is_asked_for_once(opted: Stack) -> None:
    """Under two names, in one batch."""
    other = {**decision("yes", 4), "userId": "another", "messageId": "another"}
    post(opted, decision("yes", 5), other, decision("yes", 5, "bo@acme.io"))
    assert settle(opted)["delivered"] == 3
    rows = [
        row["attributes"]["email"]
        for each in opted.requests()
        if each["operation"] == "bulk_subscribe_profiles"
        for row in each["body"]["data"]["attributes"]["profiles"]["data"]
    ]
    assert sorted(rows) == [MAIL, "bo@acme.io"]
