"""Every request that we make is one that Klaviyo's description allows, with no key too many."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from klaviyo_script import NOW, Script, account, answer
from segment_cases import run

from destination.action import Action
from destination.errors import Ended
from destination.klaviyo import KLAVIYO
from destination.sending import Request, Response
from tests.contract.openapi import DESCRIPTION, Contract


@pytest.fixture(scope="module")
def contract() -> Contract:
    """Klaviyo's OpenAPI description; skips where the file is not at hand."""
    if not DESCRIPTION.exists():
        pytest.skip(f"Klaviyo's OpenAPI description is not at {DESCRIPTION}")
    return Contract.load()


def faults(contract: Contract, request: Request) -> list[str]:
    """What is wrong with a request."""
    return contract.check_request(request.method, request.path, request.query, request.json)


def test_requests_of_all_recorded_cases_are_allowed(contract: Contract, vectors: Path) -> None:
    """Whatever events and mappings Segment was tried with."""
    cases = json.loads((vectors / "klaviyo-actions.json").read_text())
    found = [
        (case["id"], fault)
        for case in cases
        for request in run(case).requests
        for fault in faults(contract, request)
    ]
    assert not found


PERSON = {"email": "ana@acme.io", "phone_number": "+14155552671", "external_id": "u-1"}
FULL = {
    **PERSON,
    "first_name": "Ana",
    "last_name": "Lima",
    "organization": "Acme",
    "title": "Baker",
    "locale": "pt-BR",
    "image": "https://acme.io/a.png",
    "location": {
        **dict.fromkeys(("address1", "address2", "city", "region", "zip", "country"), "x"),
        "latitude": "1.5",
        "longitude": None,
        "timezone": "Europe/Berlin",
        "ip": "1.2.3.4",
    },
    "properties": {"a": [1, {"b": None}]},
    "append_properties": {"a": 2},
    "unappend_properties": {"a": 1},
    "unset_properties": ["b", "c"],
}
EVENT = {
    "profile": {**FULL, "anonymous_id": "anon", "_kx": "t", "favourite colour": "red"},
    "metric_name": "Viewed",
    "properties": {"a": 1},
    "time": "2025-11-20T10:00:00Z",
    "value": 9.5,
    "value_currency": "EUR",
    "unique_id": "m-1",
    "backfill": True,
}
PAYLOADS: dict[str, dict[str, Any]] = {
    "upsertProfile": {**FULL, "list_name": "News"},
    "addProfileToList": {**FULL, "list_id": "L1"},
    "removeProfileFromList": {**PERSON, "list_id": "L1"},
    "removeProfile": {**PERSON, "list_name": "News"},
    "trackEvent": EVENT,
    "orderCompleted": {
        **{name: EVENT[name] for name in EVENT if name != "metric_name"},
        "products": [{"sku": "a"}, {"sku": "b"}],
    },
    "subscribeProfile": {
        **PERSON,
        "list_id": "L1",
        "historical_import": True,
        "consented_at": "2024-05-01",
    },
    "unsubscribeProfile": {**PERSON, "list_id": "L1"},
    "suppressProfile": PERSON,
    "unsuppressProfile": PERSON,
    "deleteProfile": PERSON,
    "mergeProfiles": {"external_id": "u-2", "previous_external_id": "u-1"},
}


class Recorder:
    """Klaviyo's rehearsal, writing down what is asked."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Response:
        """The rehearsed answer."""
        self.requests.append(request)
        return KLAVIYO.rehearse(request)


@pytest.mark.parametrize("bulk", [False, True])
@pytest.mark.parametrize("action", KLAVIYO.actions.values(), ids=lambda action: action.name)
def test_requests_of_a_full_payload_are_allowed(
    contract: Contract, action: Action, bulk: bool
) -> None:
    """Each action with every field it has, alone and in bulk; the rehearsal answers as described."""
    send = Recorder()
    payload = action.prepare(PAYLOADS[action.name], NOW)
    try:
        if not bulk:
            action.perform(payload, account(send))
        elif action.batch:
            action.batch.perform([payload], account(send))
    except Ended:
        pytest.fail("the rehearsal ends nothing")
    assert send.requests or (bulk and not action.batch)
    for request in send.requests:
        assert not faults(contract, request), request
        reply = KLAVIYO.rehearse(request)
        assert 200 <= reply.status < 300


def test_the_profile_of_an_event_has_its_operations_where_the_revision_wants_them() -> None:
    """Inside the attributes until 2026-07-15, beside them from 2026-10-15 on."""
    action = KLAVIYO.actions["trackEvent"]
    payload = action.prepare(EVENT, NOW)
    for revision, inside in (("2025-01-15", True), ("2026-07-15", True), ("2026-10-15", False)):
        send = Script(answer(202))
        action.perform(payload, account(send, revision=revision))
        who = send.requests[0].json["data"]["attributes"]["profile"]["data"]
        assert ("meta" in who["attributes"]) is inside
        assert ("meta" in who) is not inside
