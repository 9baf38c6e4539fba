"""What a check-up says of an account, whatever Klaviyo answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from destination.errors import NoRoom, Unanswered
from destination.klaviyo import KLAVIYO
from destination.klaviyo.doctor import (
    MOST_LISTS,
    Use,
    examine,
    examine_key,
    examine_lists,
    examine_revision,
    lists_named,
)
from destination.klaviyo.revision import DEFAULT, NEWEST, SHAPES, lifetime
from destination.sending import Request, Response
from tests.unit.klaviyo.klaviyo_script import NOW, Script, account, answer, refusal

OWNER = {
    "type": "account",
    "id": "ABC123",
    "attributes": {"contact_information": {"organization_name": "Acme"}, "test_account": False},
}
TAKEN = answer(200, {"data": [OWNER]})


def at(day: str) -> float:
    """A day as unix seconds."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()


def use(action: str = "upsertProfile", **fields: Any) -> Use:
    """A mapping in use."""
    return Use("m", action, fields, batched=True)


@pytest.mark.parametrize(
    ("revision", "day", "state"),
    [
        ("2026-07-15", "2026-11-22", "ok"),
        ("2026-07-15", "2027-07-14", "ok"),
        ("2026-07-15", "2027-07-16", "warning"),
        ("2026-07-15", "2028-07-16", "problem"),
        ("2025-01-15", "2026-11-22", "warning"),
        ("2026-10-15", "2026-11-22", "ok"),
        ("2026-07-15.pre", "2026-11-22", "ok"),
        ("2027-01-15", "2026-11-22", "problem"),
        ("2027-01-15", "2027-02-01", "warning"),
        ("2026-07-14", "2026-11-22", "problem"),
        ("2026-08-15", "2026-11-22", "problem"),
        ("latest", "2026-11-22", "problem"),
        ("2026-07-15T00", "2026-11-22", "problem"),
    ],
)
def test_a_revision_has_its_time(revision: str, day: str, state: str) -> None:
    """Out, deprecated after a year, retired after two; one that never was is none."""
    found = examine_revision(revision, at(day))
    assert found.state == state
    assert revision in found.message
    assert bool(found.remedy) is (state != "ok")


def test_all_revisions_that_are_known_are_revisions() -> None:
    """The default is among them."""
    assert all(lifetime(each.since) for each in SHAPES)
    assert DEFAULT in {each.since for each in SHAPES}
    assert SHAPES[-1].since == NEWEST


@pytest.mark.parametrize(
    ("response", "state", "said"),
    [
        (TAKEN, "ok", "opens Acme (ABC123), a live account"),
        (answer(200, {"data": [{"type": "account", "id": "X"}]}), "ok", "opens an account (X)"),
        (answer(200, {"data": []}), "problem", "names no account"),
        (refusal(401), "problem", "401"),
        (refusal(403, detail="missing required scopes: accounts:read"), "problem", "accounts:read"),
        (answer(403, "<html>"), "warning", "could not be tested now"),
        (answer(429, retry_after="40"), "warning", "could not be tested now"),
        (answer(500), "warning", "could not be tested now"),
        (refusal(410), "problem", "410"),
        (answer(302), "problem", "302"),
        (answer(200, "no json"), "warning", "could not be tested now"),
        (Unanswered("connection refused"), "problem", "connection refused"),
        (NoRoom(40, "get_accounts"), "warning", "no room"),
    ],
)
def test_what_klaviyo_says_of_the_key(
    response: Response | Exception, state: str, said: str
) -> None:
    """What only lasts a while is no problem; what a person must act on is one."""
    found = examine_key(account(Script(response)))
    assert (found.check, found.state) == ("key", state)
    assert said in found.message


def test_nothing_is_asked_with_a_key_that_does_not_work() -> None:
    """One request, and two findings."""
    script = Script(refusal(401))
    found = list(examine(account(script), [use(list_id="L")]))
    assert [each.check for each in found] == ["revision", "key"]
    assert len(script.requests) == 1


def test_every_question_changes_nothing_and_reads_nobody() -> None:
    """GET only; of profiles no more than one, and of it no personal data."""
    asked: list[Request] = []

    def send(request: Request) -> Response:
        asked.append(request)
        return TAKEN if request.operation == "get_accounts" else KLAVIYO.rehearse(request)

    uses = [use(name, list_id="L", list_name="News") for name in sorted(KLAVIYO.actions)]
    findings = list(examine(account(send, now=at("2026-11-22")), uses))
    assert {each.method for each in asked} == {"GET"}
    (people,) = [each for each in asked if each.operation == "get_profiles"]
    assert people.query == {"page[size]": "1", "fields[profile]": "created"}
    assert not [each for each in findings if each.state == "problem"]


def test_scopes_that_deliveries_have_shown_need_no_test() -> None:
    """And those that nobody needs are not spoken of."""
    one = account(Script(TAKEN))
    uses = [use("trackEvent")]
    (unknown,) = [each for each in examine(one, uses) if each.check == "scopes"]
    assert (unknown.state, "events:write cannot be tested" in unknown.message) == ("warning", True)
    (known,) = [each for each in examine(one, uses, ["create_event"]) if each.check == "scopes"]
    assert (known.state, known.message) == ("ok", "has events:write")
    (none,) = [each for each in examine(one, []) if each.check == "scopes"]
    assert none.state == "ok"


def test_only_lists_that_stand_in_the_mapping_are_looked_up() -> None:
    """A template or a path has no value before there is an event."""
    uses = [
        use(list_id="A", list_name={"@literal": "News"}),
        use(override_list_id="A"),
        use(list_id="{{properties.list}}"),
        use(list_id={"@path": "$.list"}),
        use(list_id=""),
    ]
    named = lists_named(uses)
    assert {place: len(users) for place, users in named.items()} == {
        ("list_id", "A"): 2,
        ("list_name", "News"): 1,
    }


def test_leaving_a_list_that_is_not_there_is_worth_a_word() -> None:
    """Nobody makes it for that; whoever adds to it does."""
    none = Script(answer(200, {"data": []}))
    (leaves,) = examine_lists(account(none), [use("removeProfile", list_name="News")])
    assert leaves.state == "warning"
    joins = [use("removeProfile", list_name="News"), use("addProfileToList", list_name="News")]
    (made,) = examine_lists(account(none), joins)
    assert made.state == "ok"


def test_so_many_lists_are_not_looked_up_at_once() -> None:
    """The account's limit is shared with deliveries."""
    found = [
        {"type": "list", "id": f"L{n}", "attributes": {"name": "x"}} for n in range(MOST_LISTS)
    ]
    script = Script(*(answer(200, {"data": each}) for each in found))
    uses = [use(list_id=f"L{n}") for n in range(MOST_LISTS + 5)]
    *lines, last = examine_lists(account(script, now=NOW), uses)
    assert len(lines) == len(script.requests) == MOST_LISTS
    assert last.message.startswith("5 more")


def test_a_list_that_cannot_be_looked_up_now_is_not_missing() -> None:
    """Klaviyo being down says nothing of it."""
    (found,) = examine_lists(account(Script(answer(503))), [use(list_id="L")])
    assert found.state == "warning"
