"""Choosing among dead letters, and moving each once."""

from __future__ import annotations

import math
import threading
from typing import Any

import msgspec
import pytest
import redis

from destination.errors import Rejected
from destination.event import encode
from destination.runtime.counts import imbalance, read_counts
from destination.runtime.delivery.lanes import Lane, Record
from destination.runtime.letters.dead_letters import (
    PAGE,
    DeadLetters,
    Selection,
    person_named,
    renewed,
    selection_of,
    shown,
)
from destination.runtime.store import DeadLetter, Row, Scripts
from destination.runtime.subject import subject
from tests.unit.runtime.accepting import accept


def letter(number: int = 1, **about: Any) -> DeadLetter:
    """A dead letter; ``about`` replaces what it says."""
    body = {"type": "track", "messageId": f"m-{number}", "userId": f"u-{number % 7}"}
    source = about.pop("source", "web")
    row = Row(msgspec.Raw(encode(body)), f"m-{number}", source, "p", attempts=9, since=5.0)
    said = DeadLetter(
        f"{source}:m-{number}:a", "a", "a", "upsertProfile", "v1", "rejected", "why", 100.0, row
    )
    return msgspec.structs.replace(said, **about)


def buried(scripts: Scripts, url: str, *letters: DeadLetter) -> DeadLetters:
    """Letters as a worker leaves them."""
    for each in letters:
        accept(url, (each.row.id, "p", each.mapping, each.lane))
    for lane_name in {each.lane for each in letters}:
        lane = Lane(scripts, "default", lane_name, lease=20)
        assert lane.begin().state == "taken"
        mine = [each for each in letters if each.lane == lane_name]
        record = Record(taken=len(mine))
        for each in mine:
            record.bury(each)
            record.end(each.mapping, "dead")
        lane.commit(record)
        lane.release()
    return DeadLetters(scripts, "default")


def counted(scripts: Scripts) -> dict[str, int]:
    """The counts of the connection, which add up."""
    found = read_counts(scripts, ["default"])
    assert imbalance(found) == []
    connection: dict[str, int] = found["connections"]["default"]
    return connection


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        (Selection(), True),
        (Selection(code="rejected"), True),
        (Selection(code="other"), False),
        (Selection(mappings=frozenset({"a", "b"})), True),
        (Selection(mappings=frozenset({"b"})), False),
        (Selection(source="web"), True),
        (Selection(source="app"), False),
        (Selection(since=100.0, until=100.0), True),
        (Selection(since=100.5), False),
        (Selection(until=99.5), False),
        (Selection(who=subject({"user_id": "u-1"})), True),
        (Selection(who=subject({"user_id": "u-2"})), False),
        (Selection(code="rejected", source="app"), False),
    ],
)
def test_a_letter_is_meant_when_all_that_is_said_fits(selection: Selection, wanted: bool) -> None:
    """An empty word says nothing."""
    assert selection.wants(letter(1)) is wanted
    assert selection.says_something is (selection != Selection())


def test_a_person_is_named_by_whatever_is_known_of_them() -> None:
    """What it looks like says what it is."""
    assert person_named("Jane@Acme.io").email == "jane@acme.io"
    assert person_named("+1 415 555 0100").phone == "14155550100"
    named = person_named("u-1")
    assert (named.user_id, named.anonymous_id) == ("u-1", "u-1")


@pytest.mark.parametrize(
    "given",
    [{"code": 1}, {"since": "yesterday"}, {"until": True}, {"person": "jane@"}, {"source": ["x"]}],
)
def test_a_selection_that_cannot_be_read_is_refused(given: dict[str, Any]) -> None:
    """Rather than taken for none."""
    with pytest.raises(Rejected):
        selection_of(given)


def test_a_selection_is_read_as_it_is_written() -> None:
    """Every filter."""
    given = {"code": "x", "mapping": "a/b", "source": "web", "since": 5, "person": "u-1"}
    found = selection_of(given)
    assert (found.code, found.mappings, found.source) == ("x", frozenset({"a/b"}), "web")
    assert (found.since, found.until) == (5, math.inf)
    assert found.who == person_named("u-1")
    assert selection_of({}) == Selection()


def test_letters_are_found_over_many_pages(redis_url: str, scripts: Scripts) -> None:
    """Oldest first, each once."""
    many = 2 * PAGE + 5
    letters = buried(scripts, redis_url, *(letter(number) for number in range(many)))
    found = [each.row.id for each in letters.matching(Selection(who=subject({"user_id": "u-3"})))]
    assert found == [f"m-{number}" for number in range(many) if number % 7 == 3]
    assert [each.row.id for each in letters] == [f"m-{number}" for number in range(many)]
    assert len(letters) == many
    assert [each.row.id for each in letters.some(["web:m-4:a", "gone", "web:m-2:a"])] == [
        "m-4",
        "m-2",
    ]
    assert letters.some([]) == []


def test_a_letter_that_is_put_back_has_a_new_budget() -> None:
    """And tells that it is one."""
    fresh = renewed(letter(1), version="v9", live=True)
    assert (fresh.attempts, fresh.since, fresh.replayed) == (0, 0.0, 1)
    assert (fresh.mapping, fresh.version, fresh.live) == ("a", "v9", True)
    assert renewed(letter(1, row=fresh)).replayed == 2
    assert renewed(letter(1, row=fresh)).version == ""


def test_however_many_replay_at_once_a_letter_moves_once(redis_url: str, scripts: Scripts) -> None:
    """Six at a time, some dropping instead."""
    letters = buried(scripts, redis_url, *(letter(number) for number in range(60)))
    found, ready = list(letters), threading.Barrier(6)
    moved: list[int] = []

    def move(number: int) -> None:
        client = redis.Redis.from_url(redis_url)
        mine = DeadLetters(Scripts(client), "default")
        ready.wait()
        for start in range(0, 60, 5):
            some = found[start : start + 5]
            moved.append(mine.discard(some) if number % 3 == 0 else mine.replay(some))
        client.close()

    threads = [threading.Thread(target=move, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(moved) == 60
    counts = counted(scripts)
    assert counts["pending"] + counts["dropped"] == 60
    assert counts["dead"] == 0


def test_what_is_shown_holds_the_event_only_when_asked_for() -> None:
    """A list of letters may be looked at by more people."""
    assert "event" not in shown(letter(1))
    assert shown(letter(1), event=True)["event"]["userId"] == "u-1"
