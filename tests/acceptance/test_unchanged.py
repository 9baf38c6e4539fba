"""Not sending what was sent already, through the real processes."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.stack import KEY, Stack, until
from tests.acceptance.test_crashes import has_asked_more_than

PEOPLE = {
    "name": "people",
    "action": "upsertProfile",
    "trigger": 'type = "identify"',
    "fields": {"email": {"@path": "$.traits.email"}, "title": {"@path": "$.traits.title"}},
    "batch": {"skip_unchanged": True},
}
GONE = {
    "name": "gone",
    "action": "deleteProfile",
    "trigger": 'type = "delete"',
    "fields": {"email": {"@path": "$.traits.email"}},
}


@pytest.fixture
def lean(stack: Stack) -> Stack:
    """An installation with a mapping that asks to leave out what is unchanged, and no other."""
    for file in stack.mappings.glob("*.json"):
        file.unlink()
    told = json.dumps({"name": "lean", "mappings": [PEOPLE, GONE]})
    (stack.mappings / "lean.json").write_text(told, "utf-8")
    for name in ("serve", "work"):
        stack.kill(name)
        stack.start(name)
    stack.wait_ready()
    return stack


class Posting:
    """Posts what is to be said of people, each time under a new id, and waits for the ends."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._posted = 0

    def post(self, *people: tuple[int, str], kind: str = "identify") -> None:
        """The person with this number has this title."""
        events = []
        for number, title in people:
            self._posted += 1
            traits = {"email": f"person{number}@acme.io", "title": title}
            event = {"type": kind, "userId": f"u-{number}", "messageId": f"m-{self._posted}"}
            events.append({**event, "traits": traits})
        url = f"{self._stack.server}/v1/batch"
        answer = self._stack.http.post(url, json={"batch": events}, auth=(KEY, ""))
        assert answer.status_code == 200, answer.text

    def settle(self, *people: tuple[int, str], kind: str = "identify") -> dict[str, Any]:
        """Post, and wait; the counts of the mapping then."""
        self.post(*people, kind=kind)
        counts: dict[str, Any] = self._stack.settle()
        found: dict[str, Any] = counts["connections"]["default"]["mappings"]["lean/people"]
        return found


def titles(stack: Stack) -> dict[str, str]:
    """What Klaviyo holds."""
    return {each["email"]: each["title"] for each in stack.held()["profiles"]}


def skipped(counts: dict[str, Any]) -> int:
    """How many rows were left out, which is the only reason for a drop here."""
    assert counts["dropped"] == sum(counts["reasons"].values())
    return int(counts["reasons"].get("dropped:unchanged", 0))


def metric(stack: Stack) -> float:
    """What the metrics say of rows left out."""
    text = stack.http.get(f"{stack.server}/metrics").text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "destination_drops_total" and sample.labels["reason"] == "unchanged"
    )


@pytest.mark.parametrize("people", [1, 40])
def test_what_was_delivered_is_not_sent_again(lean: Stack, people: int) -> None:
    """Alone and in a job of many; a change is sent, and so is the change back."""
    posting = Posting(lean)
    everybody = range(people)
    assert skipped(posting.settle(*((n, "A") for n in everybody))) == 0
    asked = len(lean.requests())
    counts = posting.settle(*((n, "A") for n in everybody))
    assert (skipped(counts), counts["delivered"]) == (people, people)
    assert len(lean.requests()) == asked
    assert metric(lean) == people
    posting.settle(*((n, "B") for n in everybody))
    counts = posting.settle(*((n, "A") for n in everybody))
    assert (skipped(counts), counts["delivered"]) == (people, 3 * people)
    assert set(titles(lean).values()) == {"A"}


def test_a_change_and_the_change_back_in_one_post_are_both_sent(lean: Stack) -> None:
    """The last one of three is no repetition of what was delivered before them."""
    posting = Posting(lean)
    posting.settle((1, "A"), (2, "A"))
    counts = posting.settle((1, "B"), (1, "A"), (2, "A"))
    assert (skipped(counts), counts["delivered"]) == (1, 4)
    assert titles(lean) == {"person1@acme.io": "A", "person2@acme.io": "A"}


def test_what_was_deleted_is_sent_again(lean: Stack) -> None:
    """Klaviyo holds it no more."""
    posting = Posting(lean)
    posting.settle((1, "A"), (2, "A"))
    posting.settle((1, ""), kind="delete")
    lean.http.post(f"{lean.sandbox}/sandbox/advance", json={"seconds": 60}).raise_for_status()
    assert set(titles(lean)) == {"person2@acme.io"}
    counts = posting.settle((1, "A"), (2, "A"))
    assert (skipped(counts), counts["delivered"]) == (1, 3)
    assert set(titles(lean)) == {"person1@acme.io", "person2@acme.io"}


def test_nothing_is_left_out_that_did_not_arrive(lean: Stack) -> None:
    """Workers die while Klaviyo fails now and then: in the end it holds what was said last."""
    posting = Posting(lean)
    rules = [{"delay": 0.2, "every": 2}, {"status": 503, "every": 3, "times": 12}]
    lean.http.post(f"{lean.sandbox}/sandbox/faults", json=rules).raise_for_status()
    said: dict[str, str] = {}
    for turn, death in enumerate((False, True, False, True, True, False)):
        asked = len(lean.requests())
        people = [(n, "AB"[(n * turn // 3 + turn) % 2]) for n in range(12)]
        posting.post(*people, *people[:3])
        said |= {f"person{number}@acme.io": title for number, title in people}
        if death:
            until(partial(has_asked_more_than, lean, asked), 20, lean.logs)
            lean.kill("work")
            lean.start("work")
    lean.wait_ready()
    counts = lean.settle(90)["connections"]["default"]
    assert counts["dead"] == 0
    assert titles(lean) == said
