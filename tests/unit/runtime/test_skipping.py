"""What was delivered already is left out, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
import redis

from destination.delivery import Delivered, Discard, Outcome, Retry, Submitted
from destination.event import encode
from destination.klaviyo import KLAVIYO
from destination.mapping.file import read_mapping_file
from destination.pipeline import Route, route
from destination.runtime.delivery.remembered import LastSent
from destination.runtime.delivery.skipping import UNCHANGED, Skipping, job_committed


def a_route(name: str = "people", *, skip: bool = True, action: str = "upsertProfile") -> Route:
    """A route of a mapping that asks for it, or does not."""
    entry = {
        "name": name,
        "action": action,
        "trigger": 'type = "identify"',
        "fields": {"email": {"@path": "$.traits.email"}},
        "batch": {"skip_unchanged": True} if skip else {},
    }
    text = encode({"name": "f", "mappings": [entry]})
    (mapping,), _ = read_mapping_file(text, "f.json", KLAVIYO.actions)
    return route(mapping, KLAVIYO.actions)


PEOPLE = a_route()


class Lane:
    """Passes over rows of the mapping, each a person and a title."""

    def __init__(self, client: redis.Redis) -> None:
        self.last = LastSent(client, "default")

    def pass_over(
        self,
        rows: Sequence[tuple[str, Any]],
        end: Outcome = Delivered(),  # noqa: B008 it cannot be changed
        *,
        commit: bool = True,
        by: Route = PEOPLE,
        account: str = "one",
    ) -> list[bool]:
        """Which rows were left out; the others ended so."""
        skipping = Skipping(self.last, [PEOPLE, by], account)
        planned = [
            (number, person, by, {"email": f"{person}@acme.io", "title": title})
            for number, (person, title) in enumerate(rows)
        ]
        ends = skipping.left_out(planned)
        if commit:
            skipping.committed([ends.get(number, end) for number in range(len(rows))])
        return [ends.get(number) is UNCHANGED for number in range(len(rows))]


@pytest.fixture
def lane(client: redis.Redis) -> Lane:
    """On an empty Redis."""
    return Lane(client)


def test_the_same_is_sent_once(lane: Lane) -> None:
    """For each person; something else is sent, and what it replaced is sent again after it."""
    assert lane.pass_over([("p", "A"), ("q", "A")]) == [False, False]
    assert lane.pass_over([("p", "A"), ("q", "B"), ("p", "A")]) == [True, False, True]
    assert lane.pass_over([("p", "B"), ("p", "A")]) == [False, False]
    assert lane.pass_over([("p", "A"), ("q", "B")]) == [True, True]


@pytest.mark.parametrize("end", [Retry("throttled"), Discard("x", "y"), Submitted("J", {})])
def test_only_what_was_delivered_counts(lane: Lane, end: Outcome) -> None:
    """What waits, was refused or is still being worked on may be sent again."""
    lane.pass_over([("p", "A")], end)
    assert lane.pass_over([("p", "A")]) == [False]


def test_what_a_job_took_counts_when_it_has_ended(lane: Lane) -> None:
    """For the rows that it delivered."""
    lane.pass_over([("p", "A"), ("q", "A")], Submitted("J", {}))
    rows = [("p", PEOPLE.mapping.name), ("q", PEOPLE.mapping.name), ("r", "gone")]
    routes = {PEOPLE.mapping.name: PEOPLE}
    job_committed(lane.last, rows, [Delivered(), Discard("x", "y"), Delivered()], routes)
    assert lane.pass_over([("p", "A"), ("q", "A")]) == [True, False]


def test_a_worker_that_died_leaves_nothing_standing(lane: Lane) -> None:
    """What it sent may have arrived, so what was there before is no longer known."""
    lane.pass_over([("p", "A")])
    lane.pass_over([("p", "B")], commit=False)
    assert lane.pass_over([("p", "A")]) == [False]


def test_mappings_that_do_not_ask_are_left_alone(lane: Lane, client: redis.Redis) -> None:
    """Nothing is kept for them."""
    for by in (a_route(skip=False), a_route(action="removeProfile", skip=False)):
        lane.pass_over([("p", "A")], by=by)
        assert lane.pass_over([("p", "A")], by=by) == [False]
    assert not client.keys("destination:default:sent:*")


def test_mappings_are_told_apart(lane: Lane) -> None:
    """The same payload by another mapping is another delivery."""
    lane.pass_over([("p", "A")])
    assert lane.pass_over([("p", "A")], by=a_route("others")) == [False]


def test_another_account_holds_nothing_yet(lane: Lane) -> None:
    """A connection that was given another key sends everything again."""
    lane.pass_over([("p", "A")])
    assert lane.pass_over([("p", "A")], account="two") == [False]
    assert lane.pass_over([("p", "A")], account="two") == [True]


@pytest.mark.parametrize("commit", [True, False])
@pytest.mark.parametrize("action", ["deleteProfile", "mergeProfiles"])
def test_what_was_deleted_is_sent_again(lane: Lane, action: str, commit: bool) -> None:
    """Klaviyo holds nothing of the person any more, even if nobody lived to record it."""
    lane.pass_over([("p", "A"), ("q", "A")])
    lane.pass_over([("p", "")], by=a_route("gone", skip=False, action=action), commit=commit)
    assert lane.pass_over([("p", "A"), ("q", "A")]) == [False, True]


def test_what_arrives_while_a_deletion_is_under_way_does_not_count(lane: Lane) -> None:
    """Which of the two Klaviyo did last is not known."""
    going = Skipping(lane.last, [PEOPLE], "one")
    going.left_out([(0, "p", a_route("gone", skip=False, action="deleteProfile"), {})])
    lane.pass_over([("p", "A")])
    going.committed([Delivered()])
    assert lane.pass_over([("p", "A")]) == [False]


def test_a_job_of_an_older_version_of_the_mapping_counts_too(lane: Lane) -> None:
    """What is replayed with it is kept under the same name."""
    lane.pass_over([("p", "A")], Submitted("J", {}))
    job_committed(lane.last, [("p", "people@v1")], [Delivered()], {"people@v1": PEOPLE})
    assert lane.pass_over([("p", "A")]) == [True]


@pytest.mark.parametrize("seed", range(20))
def test_klaviyo_holds_what_the_last_row_said(lane: Lane, seed: int) -> None:
    """Whatever arrives, fails and dies: leaving out never loses a value."""
    random = Random(seed)
    holds: dict[str, str] = {}
    for _ in range(60):
        rows = [(random.choice("pq"), random.choice("AB")) for _ in range(random.randint(1, 4))]
        fate = random.choice(["delivered", "delivered", "lost", "died"])
        end = Delivered() if fate == "delivered" else Retry("unanswered")
        skipped = lane.pass_over(rows, end, commit=fate != "died")
        for (person, title), skip in zip(rows, skipped, strict=True):
            if skip:
                assert holds[person] == title
            elif fate != "lost" or random.random() < 0.5:
                holds[person] = title
