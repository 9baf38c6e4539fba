"""Every request that we make is one that the revision in use knows, with no key too many.

``tests/cases/klaviyo-requests.json`` says what each revision takes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from destination.errors import Ended
from destination.klaviyo import KLAVIYO
from destination.klaviyo.doctor import PROBES
from destination.klaviyo.operations import OPERATIONS
from destination.klaviyo.requests import get_accounts
from destination.klaviyo.revision import DEFAULT, NEWEST, SHAPES
from destination.sending import Request, Response
from tests.unit.klaviyo.full_payloads import PAYLOADS, Recorder
from tests.unit.klaviyo.klaviyo_script import NOW, account, answer, refusal

CASES = Path(__file__).parents[2] / "cases" / "klaviyo-requests.json"
REVISIONS = [
    "2025-01-15",
    "2025-04-15",
    "2025-07-15",
    "2025-10-15",
    "2026-01-15",
    "2026-04-15",
    "2026-07-15",
    "2026-10-15",
]
Tree = dict[str, Any]


@cache
def taken(revision: str) -> dict[str, Tree]:
    """What each operation takes at a revision."""
    operations = json.loads(CASES.read_text())["operations"]
    return {
        name: next(each for since, each in reversed(list(variants.items())) if since <= revision)
        for name, variants in operations.items()
    }


def faults(request: Request, revision: str) -> list[str]:
    """What a revision does not know about a request, or misses in it."""
    known = taken(revision)[request.operation]
    unknown = [f"?{name}" for name in request.query if name not in known["query"]]
    if request.json is None:
        return unknown
    return unknown + list(amiss(request.json, known["body"], ""))


def amiss(value: Any, tree: Tree | None, place: str) -> Iterator[str]:
    """The keys that a tree does not know, and those that it requires and misses."""
    if isinstance(value, list):
        for each in value:
            yield from amiss(each, tree, place)
    elif isinstance(value, dict) and tree is not None:
        known = {name.rstrip("!"): inner for name, inner in tree.items()}
        yield from (f"{place}/{name} is unknown" for name in value if name not in known)
        for name in tree:
            if name.endswith("!") and name[:-1] not in value:
                yield f"{place}/{name[:-1]} is missing"
        for name, each in value.items():
            yield from amiss(each, known.get(name), f"{place}/{name}")


def nobody_named(request: Request) -> Response:
    """A Klaviyo that reports conflicts without saying with whom."""
    if request.operation == "create_profile":
        return refusal(409, code="duplicate_profile")
    return KLAVIYO.rehearse(request)


def named(request: Request) -> Response:
    """A Klaviyo that knows everybody already."""
    if request.operation == "create_profile":
        return refusal(409, code="duplicate_profile", duplicate_profile_id="01" + "A" * 24)
    return KLAVIYO.rehearse(request)


def unlisted(request: Request) -> Response:
    """A Klaviyo that has none of the lists that are named."""
    if request.operation == "get_lists":
        return answer(200, {"data": []})
    return KLAVIYO.rehearse(request)


def requests_of(name: str, revision: str) -> list[Request]:
    """Every request that an action makes: full and plain payloads, alone and in bulk, polling."""
    action = KLAVIYO.actions[name]
    full = PAYLOADS[name]
    plain = {key: each for key, each in full.items() if not key.endswith("end_properties")}
    plain.pop("unset_properties", None)
    recorders = [Recorder(send) for send in (KLAVIYO.rehearse, nobody_named, named, unlisted)]
    for send in recorders:
        one = account(send, now=NOW, revision=revision)
        for payload in (full, plain, {**full, "list_name": "News", "list_id": None}):
            ready = action.prepare(payload, NOW)
            try:
                action.perform(ready, one)
            except Ended:  # an order without its metric, a person without a list
                continue
            if action.batch is None:
                continue
            outcomes = action.batch.perform([ready], one)
            if action.batch.poll:
                keys = [getattr(each, "key", {}) for each in outcomes]
                action.batch.poll("J", keys, one)
    return [request for send in recorders for request in send.requests]


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize("name", sorted(KLAVIYO.actions))
def test_every_request_is_one_of_its_revision(name: str, revision: str) -> None:
    """Query parameters and bodies, whatever is met on the way."""
    found = requests_of(name, revision)
    assert found
    wrong = {(each.operation, fault) for each in found for fault in faults(each, revision)}
    assert not wrong


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_check_up_asks_what_every_revision_knows(revision: str) -> None:
    """Or it would take an unknown parameter for a missing scope."""
    for request in (get_accounts(), *PROBES.values()):
        assert not faults(request, revision)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_covered(name: str) -> None:
    """By some action, or by the check-up: what nobody asks for need not be here."""
    others = {"get_accounts", "get_list", "get_bulk_suppress_profiles_jobs"}
    made = {each.operation for action in KLAVIYO.actions for each in requests_of(action, DEFAULT)}
    assert name in made | others


def test_the_revisions_that_make_a_difference_are_tried() -> None:
    """And the newest."""
    assert {each.since for each in SHAPES} <= set(REVISIONS)
    assert REVISIONS[-1] == NEWEST


@pytest.mark.parametrize(
    ("request_", "revision", "fault"),
    [
        (Request("GET", "", "get_lists", query={"page[size]": "1"}), "2026-01-15", "?page[size]"),
        (Request("POST", "", "create_list", {}), DEFAULT, "/data is missing"),
        (
            Request("POST", "", "request_profile_deletion", {"data": {"x": 1}}),
            DEFAULT,
            "/data/x is unknown",
        ),
    ],
)
def test_the_check_finds_faults(request_: Request, revision: str, fault: str) -> None:
    """Unknown parameters, unknown keys, missing keys."""
    assert fault in faults(request_, revision)


@pytest.mark.parametrize(
    ("revision", "place"),
    [("2025-01-15", "inside"), ("2026-07-15", "inside"), ("2026-10-15", "beside")],
)
def test_the_wrong_place_of_operations_in_an_event_is_noticed(revision: str, place: str) -> None:
    """The one difference that moves something."""
    other = NEWEST if place == "inside" else DEFAULT
    send = Recorder()
    action = KLAVIYO.actions["trackEvent"]
    ready = action.prepare(PAYLOADS["trackEvent"], NOW)
    action.perform(ready, account(send, revision=other))
    (request,) = send.requests
    assert any("meta is unknown" in each for each in faults(request, revision))
