"""Operating it: throttling, refused rows, a revoked key, dead letters, health, counts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.stack import KEY, Stack, until


def post(stack: Stack, *events: dict[str, Any]) -> None:
    """Post events as one batch."""
    answer = stack.http.post(f"{stack.server}/v1/batch", json={"batch": events}, auth=(KEY, ""))
    assert answer.status_code == 200, answer.text


def identify(number: int, **traits: Any) -> dict[str, Any]:
    """An identify call of one person."""
    traits = {"email": f"person{number}@acme.io", **traits}
    return {
        "type": "identify",
        "userId": f"u-{number}",
        "messageId": f"i-{number}",
        "traits": traits,
    }


def track(number: int, **properties: Any) -> dict[str, Any]:
    """A track call of one person."""
    return {
        "type": "track",
        "event": "Done",
        "userId": f"u-{number}",
        "messageId": f"t-{number}",
        "properties": properties,
        "context": {"traits": {"email": f"person{number}@acme.io"}},
    }


def fault(stack: Stack, **rule: Any) -> None:
    """Make the sandbox misbehave."""
    stack.http.post(f"{stack.sandbox}/sandbox/faults", json=[rule]).raise_for_status()


def command(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the ``destination`` command on this installation."""
    environ = {**os.environ, "REDIS_URL": stack.redis.url, "DESTINATION_WRITE_KEY": KEY}
    return subprocess.run(
        [sys.executable, "-m", "destination", *arguments],
        env=environ,
        cwd=stack.folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def delivered(counts: dict[str, Any]) -> tuple[int, int, int]:
    """accepted, delivered, dead of the connection."""
    connection = counts["connections"]["default"]
    return connection["accepted"], connection["delivered"], connection["dead"]


def test_a_429_waits_for_retry_after_and_holds_the_lane(stack: Stack) -> None:
    """Nobody asks that endpoint before the time is over, and no row spends an attempt."""
    fault(stack, match={"operation": "create_event"}, status=429, retry_after="2", times=1)
    post(stack, track(1))
    until(lambda: [r for r in stack.requests() if r["status"] == 429], 20, stack.logs)
    post(stack, track(2), track(3))
    counts = stack.settle()
    assert delivered(counts) == (3, 3, 0)
    times = [r["t"] for r in stack.requests() if "event" in r["operation"]]
    first, second = sorted(times)[:2]
    assert second - first >= 2


def test_a_server_error_is_tried_again(stack: Stack) -> None:
    """With the same id, so that it counts once."""
    fault(stack, match={"operation": "create_event"}, status=503, times=2)
    post(stack, track(1))
    assert delivered(stack.settle()) == (1, 1, 0)
    sent = [r for r in stack.requests() if r["operation"] == "create_event"]
    assert [r["status"] for r in sent] == [503, 503, 202]
    assert len({r["body"]["data"]["attributes"]["unique_id"] for r in sent}) == 1


def test_an_answer_lost_after_it_was_applied_counts_once(stack: Stack) -> None:
    """The connection is cut when Klaviyo has already taken the event."""
    fault(stack, match={"operation": "create_event"}, apply="after", times=1)
    post(stack, track(1))
    assert delivered(stack.settle()) == (1, 1, 0)
    held = stack.held()
    assert len(held["events"]) == 1
    assert held["counts"]["duplicate_events"] == 1


def test_a_bad_row_is_dead_and_its_neighbours_are_delivered(stack: Stack) -> None:
    """What Klaviyo refuses is buried with its reason; replay sends it when the cause is gone."""
    rule = {
        "match": {"operation": "bulk_create_events", "body_contains": "t-7"},
        "status": 400,
        "body": {
            "errors": [
                {
                    "id": "x",
                    "status": 400,
                    "code": "invalid",
                    "title": "Invalid input.",
                    "detail": "a reason",
                    "source": {"pointer": "/data/attributes/events-bulk-create/data/99"},
                }
            ]
        },
    }
    fault(stack, **rule)
    alone = {"operation": "create_event", "body_contains": "t-7"}
    fault(stack, **{**rule, "match": alone})
    post(stack, *(track(n) for n in range(20)))
    assert delivered(stack.settle()) == (20, 19, 1)
    listed = json.loads(command(stack, "dead", "list", "--format", "json").stdout)
    assert (listed["mapping"], listed["code"]) == ("segment/track-to-event", "rejected_by_klaviyo")
    assert "a reason" in listed["message"]
    assert listed["remedy"]
    shown = json.loads(command(stack, "dead", "show", listed["id"]).stdout)
    assert shown["event"]["messageId"] == "t-7"
    stack.http.post(f"{stack.sandbox}/sandbox/faults/clear", json={}).raise_for_status()
    assert "1 dead letters are pending" in command(stack, "dead", "replay", "--all").stdout
    until(lambda: delivered(stack.counts()) == (20, 20, 0), 20, stack.logs)
    stack.settle()


def test_a_discarded_dead_letter_counts_as_dropped(stack: Stack) -> None:
    """The counts go on adding up."""
    post(stack, identify(1, email="no address"))
    assert delivered(stack.settle()) == (1, 0, 1)
    assert "1 dead letters are dropped" in command(stack, "dead", "discard", "--all").stdout
    counts = stack.settle()
    assert counts["connections"]["default"]["dropped"] == 1
    status = command(stack, "status")
    assert status.returncode == 0
    assert "dropped 1" in status.stdout


def test_a_revoked_key_halts_and_resumes_by_itself(stack: Stack) -> None:
    """Nothing is lost, nothing is hammered, and it goes on when the key works again."""

    def revoke(revoked: bool) -> None:
        url = f"{stack.sandbox}/sandbox/keys"
        stack.http.post(url, json={"key": "pk_test", "revoked": revoked}).raise_for_status()

    revoke(True)
    post(stack, *(track(n) for n in range(5)))
    until(lambda: stack.client().exists("destination:default:halt"), 20, stack.logs)
    assert stack.counts()["connections"]["default"]["pending"] == 5
    refused = len(stack.requests())
    assert refused <= 8  # those that were under way at once
    halted = stack.counts()["halted"]["default"]
    assert (halted["code"], time.time() - halted["since"] < 60) == ("key_refused", True)
    shown = command(stack, "status").stdout
    assert "HALTED since" in shown
    assert "KLAVIYO_API_KEY" in shown
    assert '"event": "connection_halted"' in (stack.folder / "work.log").read_text()
    revoke(False)
    stack.client().hset("destination:default:halt", "probe_at", 0)
    stack.client().zadd("destination:due", {"default\tsegment/track-to-event": 0})
    assert delivered(stack.settle()) == (5, 5, 0)
    assert stack.counts()["halted"] == {}
    assert '"event": "connection_resumed"' in (stack.folder / "work.log").read_text()


def test_a_refusal_of_the_edge_is_no_revoked_key(stack: Stack) -> None:
    """Cloudflare answers 403 in HTML: the connection is not paused, and nothing is lost."""
    rule = {"match": {"operation": "create_event"}, "status": 403, "html": True, "times": 2}
    fault(stack, **rule)
    post(stack, track(1))
    until(lambda: [r for r in stack.requests() if r["status"] == 403], 20, stack.logs)
    assert not stack.client().exists("destination:default:halt")
    assert delivered(stack.settle()) == (1, 1, 0)


def test_two_events_under_one_id_are_told_of(stack: Stack) -> None:
    """The first is delivered; the command shows the other."""
    post(stack, track(1))
    post(stack, {**track(1), "event": "Undone"})
    stack.settle()
    assert [each["metric"] for each in stack.held()["events"]] == ["Done"]
    assert "conflicting 1" in command(stack, "status").stdout
    (found,) = command(stack, "status", "--conflicts").stdout.splitlines()
    assert (json.loads(found)["id"], json.loads(found)["event"]["event"]) == ("t-1", "Undone")


def test_health_readiness_and_metrics(stack: Stack) -> None:
    """The metrics are the counts; ready is false when events would be refused."""
    post(stack, track(1), track(2))
    counts = stack.settle()
    text = stack.http.get(f"{stack.server}/metrics").text
    values = {
        (sample.name, sample.labels.get("mapping", sample.labels.get("state", ""))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    mapping = "segment/track-to-event"
    assert values["destination_deliveries_delivered_total", mapping] == 2
    assert values["destination_deliveries_pending", mapping] == 0
    assert values["destination_events_total", "received"] == 2
    assert counts["sources"]["default"]["received"] == 2
    assert stack.http.get(f"{stack.server}/health").status_code == 200
    stack.client().config_set("maxmemory", 1)
    try:
        until(lambda: stack.http.get(f"{stack.server}/ready").status_code == 503, 10, "still ready")
        answer = stack.http.post(f"{stack.server}/v1/track", json=track(3), auth=(KEY, ""))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["code"] == "queue_full"
    finally:
        stack.client().config_set("maxmemory", 0)
    stack.wait_ready()


def test_logs_hold_one_line_per_delivery_and_nothing_personal(stack: Stack) -> None:
    """No address, no trait, no key; the ids that lead to the event."""
    post(stack, track(1, secret="canary-property"), identify(2, plan="canary-trait"))
    stack.settle()
    text = (stack.folder / "work.log").read_text()
    lines = [json.loads(line) for line in text.splitlines() if '"delivery"' in line]
    ends = [line["id"] for line in lines if line["outcome"] == "delivered"]
    assert sorted(ends) == ["i-2", "t-1"]
    for canary in ("person1@acme.io", "person2@acme.io", "canary", "pk_test", KEY):
        assert canary not in text
        assert canary not in (stack.folder / "serve.log").read_text()


def test_a_changed_mapping_is_taken_over_and_a_broken_one_refused(stack: Stack) -> None:
    """Without a restart; the last good file stays in force."""
    file = stack.mappings / "extra.json"
    extra = {
        "name": "extra",
        "mappings": [
            {
                "name": "pages",
                "action": "trackEvent",
                "trigger": 'type = "page"',
                "fields": {
                    "metric_name": "Viewed Page",
                    "profile": {"external_id": {"@path": "$.userId"}},
                    "properties": {},
                    "unique_id": {"@path": "$.messageId"},
                },
            }
        ],
    }
    page = {"type": "page", "userId": "u-1", "name": "Home", "properties": {}}
    file.write_text(json.dumps(extra))

    def recorded(message: str) -> bool:
        post(stack, {**page, "messageId": message})
        stack.settle()
        return bool(stack.held()["counts"]["events_by_metric"].get("Viewed Page"))

    numbers = iter(range(1000))
    until(lambda: recorded(f"p-{next(numbers)}"), 20, stack.logs)
    before = stack.held()["counts"]["events_by_metric"]["Viewed Page"]
    file.write_text('{"name": "extra", "mappings": [{"name": "pages"')
    until(lambda: "mappings_refused" in (stack.folder / "serve.log").read_text(), 20, "not refused")
    post(stack, {**page, "messageId": "after"})
    stack.settle()
    assert stack.held()["counts"]["events_by_metric"]["Viewed Page"] == before + 1
