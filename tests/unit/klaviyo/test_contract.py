"""Every request that we make is one that Klaviyo's description allows, with no key too many."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from destination.action import Action
from destination.errors import Ended
from destination.klaviyo import KLAVIYO
from destination.sending import Request
from tests.contract.openapi import DESCRIPTION, Contract
from tests.unit.klaviyo.full_payloads import EVENT, PAYLOADS, Recorder
from tests.unit.klaviyo.klaviyo_script import NOW, Script, account, answer
from tests.unit.klaviyo.segment_cases import run


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
