"""Lists by name, through the real processes: made once, however many workers want them at once."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from destination.runtime.store import PREFIX
from tests.acceptance.stack import KEY, Stack, until

LIST_NAME = {"@path": "$.traits.list"}
EMAIL = {"@path": "$.traits.email"}


def entry(name: str, action: str) -> dict[str, Any]:
    """A mapping that names the list which the event says."""
    fields = {"email": EMAIL, "list_name": LIST_NAME}
    return {"name": name, "action": action, "trigger": 'type = "identify"', "fields": fields}


@pytest.fixture
def crowded(stack: Stack) -> Stack:
    """An installation with three workers and two lanes that both make lists."""
    for file in stack.mappings.glob("*.json"):
        file.unlink()
    entries = [entry("members", "addProfileToList"), entry("yes", "subscribeProfile")]
    (stack.mappings / "mine.json").write_text(json.dumps({"name": "mine", "mappings": entries}))
    for name in ("serve", "work"):
        stack.kill(name)
        stack.start(name)
    for name in ("work-2", "work-3"):
        stack.start(name)
    stack.wait_ready()
    return stack


def join(stack: Stack, *pairs: tuple[int, str]) -> None:
    """Have people with these numbers join the lists with these names."""
    batch = [
        {
            "type": "identify",
            "userId": f"u-{number}",
            "messageId": f"{number}-{name}",
            "traits": {"email": f"p{number}@acme.io", "list": name},
        }
        for number, name in pairs
    ]
    answer = stack.http.post(f"{stack.server}/v1/batch", json={"batch": batch}, auth=(KEY, ""))
    assert answer.status_code == 200, answer.text


def hurry(stack: Stack) -> None:
    """Let nothing wait any longer, and what was remembered of lists be forgotten."""
    client: Any = stack.client()
    for key in client.scan_iter(f"{PREFIX}*:known:list:*"):
        client.delete(key)
    for key in client.scan_iter(f"{PREFIX}default:parked:*"):
        for person in client.zrange(key, 0, -1):
            client.zadd(key, {person: 0})
    for lane in client.smembers(f"{PREFIX}lanes"):
        client.zadd(f"{PREFIX}due", {lane: 0})


def alarms(stack: Stack) -> int:
    """Lines that tell of a list that rows wait for."""
    logs = [path.read_text("utf-8") for path in stack.folder.glob("work*.log")]
    return sum(log.count('"waiting_for"') for log in logs)


def test_racing_workers_make_a_list_once(crowded: Stack) -> None:
    """Every look-up takes so long that both lanes look before either makes a list; one worker dies
    meanwhile.
    """
    rule = {"match": {"operation": "get_lists"}, "delay": 1.2}
    crowded.http.post(f"{crowded.sandbox}/sandbox/faults", json=[rule]).raise_for_status()
    names = [f"List {number}" for number in range(6)]
    join(crowded, *((n, names[n % 6]) for n in range(30)))
    until(lambda: len(crowded.held()["lists"]) > 1, 20, crowded.logs)
    crowded.kill("work")
    client: Any = crowded.client()
    for key in client.scan_iter(f"{PREFIX}*:finding"):
        client.expire(key, 1)  # the dead worker's, which would hold for two minutes
    counts = crowded.settle()["connections"]["default"]
    assert (counts["delivered"], counts["dead"]) == (60, 0)
    made = Counter(each["name"] for each in crowded.held()["lists"])
    assert made == Counter(names)
    asked = [each for each in crowded.requests() if each["operation"] == "create_list"]
    assert len(asked) <= len(names) + 1  # the one under way at the death may be asked again


def test_a_list_that_is_deleted_parks_its_rows_and_is_made_anew(crowded: Stack) -> None:
    """One alarm however many rows wait; rows for other lists go on."""
    join(crowded, (1, "News"), (2, "Offers"))
    crowded.settle()
    (news,) = [each["id"] for each in crowded.held()["lists"] if each["name"] == "News"]
    headers = {"authorization": "Klaviyo-API-Key pk_test", "revision": "2026-07-15"}
    gone = crowded.http.delete(f"{crowded.sandbox}/api/lists/{news}", headers=headers)
    assert gone.status_code == 204
    join(crowded, *((n, "News") for n in range(10, 16)), (20, "Offers"))

    def waiting() -> bool:
        counts = crowded.counts()["connections"]["default"]
        return bool((counts["delivered"], counts["pending"]) == (6, 12))

    until(waiting, 30, crowded.logs)
    assert alarms(crowded) == 1
    hurry(crowded)
    counts = crowded.settle()["connections"]["default"]
    assert (counts["delivered"], counts["dead"]) == (18, 0)
    assert sorted(each["name"] for each in crowded.held()["lists"]) == ["News", "Offers"]
    assert alarms(crowded) == 1
