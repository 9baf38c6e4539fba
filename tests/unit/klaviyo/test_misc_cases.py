"""Recorded cases of what surrounds Segment's actions: lists, audiences, deletion, the key's check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from destination.delivery import Delivered, Discard, Outcome
from destination.errors import Ended, Unanswered
from destination.klaviyo import KLAVIYO
from destination.klaviyo.lists import all_lists, find_or_create_list, get_list
from destination.sending import Account, Request, Response
from tests.unit.klaviyo.klaviyo_script import NOW, remembering
from tests.unit.klaviyo.segment_cases import Recorded
from tests.unit.klaviyo.segment_forms import recorded, seen

# What Segment's framework answers by itself, which has no place here.
OTHER_LAYER = {"schema", "no_such_hook", "no_such_dynamic_field", "missing_api_key"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each recorded case, from the folder that ``--vectors`` names."""
    folder: Path = metafunc.config.getoption("--vectors")
    cases = json.loads((folder / "klaviyo-misc.json").read_text())
    metafunc.parametrize("case", cases, ids=[case["id"] for case in cases])


class Looked(Recorded):
    """The case's script, which nobody by that name precedes: lists are looked for before made."""

    def __call__(self, request: Request) -> Response:
        """The next answer."""
        if request.query.get("filter", "").startswith("equals(name,"):
            return Response(200, {}, b'{"data":[]}')
        return super().__call__(request)


def ours(case: dict[str, Any], account: Account) -> Outcome:
    """What corresponds to the call; it has ended well when nothing was raised."""
    given = case["input"]
    hooked = given.get("hookInputs") or {}
    chosen = (given.get("audienceSettings") or {}).get("listId")
    match case["call"]:
        case "createAudience" if not chosen:
            find_or_create_list(given.get("audienceName") or "", account)
        case "getAudience":
            get_list(str(chosen or given.get("externalId")), account)
        case "hook" if hooked.get("list_identifier"):
            get_list(hooked["list_identifier"], account)
        case "hook":
            find_or_create_list(hooked.get("list_name") or "", account)
        case "dynamicField" | "dynamicHookField":
            all_lists(account)
        case "testAuthentication":
            return KLAVIYO.probe(account)
        case "onDelete":
            action = KLAVIYO.actions["deleteProfile"]
            who = {"external_id": given["event"].get("userId")}
            return action.perform(action.prepare(who, NOW), account)
    return Delivered()


def done(case: dict[str, Any]) -> tuple[Looked, Outcome | None]:
    """The requests of a case and how it ended; None without an answer."""
    send = Looked(case["responses"])
    try:
        return send, ours(case, Account(send, remembering(), NOW, "2026-07-15"))
    except Ended as ended:
        return send, ended.outcome
    except Unanswered:
        return send, None


def test_the_same_is_asked_and_it_ends_the_same(case: dict[str, Any]) -> None:
    """But that a list is looked for by name before it is made, and read to its last page.

    A deletion is another: Segment puts its user id where Klaviyo's profile id belongs; we look the
    profile up by it.
    """
    result = case["result"]
    error = result.get("error") or (result.get("value") or {}).get("error")
    if error and error.get("reason") in OTHER_LAYER:
        return
    send, outcome = done(case)
    if case["call"] == "onDelete":
        assert all(each.method == "GET" for each in send.requests[:1])
        assert not any('"id": "user-1"' in json.dumps(each.json) for each in send.requests)
        return
    assert [seen(each) for each in send.requests][:1] == [
        recorded(each) for each in case["requests"]
    ][:1]
    if case["call"].startswith("dynamic"):
        return  # the script gives its first page again and again
    if getattr(outcome, "code", "") == "unreadable_answer":
        return  # a success without an id, which Segment takes for one
    assert isinstance(outcome, Delivered) is (error is None)
    if error and error.get("status") == 404:
        assert isinstance(outcome, Discard)
        assert outcome.code == "list_not_found"
