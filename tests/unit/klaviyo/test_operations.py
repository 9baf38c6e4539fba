"""What we ask of Klaviyo needs what Klaviyo's description says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from destination.klaviyo import KLAVIYO, requests
from destination.klaviyo.operations import OPERATIONS, asked_by, operation_at, scopes_of
from destination.sending import Request
from tests.contract.openapi import DESCRIPTION
from tests.unit.klaviyo.full_payloads import PAYLOADS, Recorder
from tests.unit.klaviyo.klaviyo_script import NOW, account, refusal


@pytest.fixture(scope="module")
def described() -> dict[str, tuple[str, str, list[str]]]:
    """Operation id -> (method, path, scopes) of Klaviyo's description."""
    if not DESCRIPTION.exists():
        pytest.skip(f"Klaviyo's OpenAPI description is not at {DESCRIPTION}")
    paths = json.loads(DESCRIPTION.read_text())["paths"]
    return {
        operation["operationId"]: (method.upper(), path, operation.get("x-klaviyo-scopes", []))
        for path, methods in paths.items()
        for method, operation in methods.items()
        if isinstance(operation, dict) and "operationId" in operation
    }


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_as_described(
    described: dict[str, tuple[str, str, list[str]]], name: str
) -> None:
    """Method, path and scopes."""
    mine = OPERATIONS[name]
    method, path, scopes = described[name]
    assert mine.method == method
    assert operation_at(method, path.replace("{", "").replace("}", "")) == name
    assert set(mine.scopes) == set(scopes)


def conflicts(request: Request) -> Any:
    """A Klaviyo that knows everybody already but does not say under which id."""
    if request.operation == "create_profile":
        return refusal(409, code="duplicate_profile")
    return KLAVIYO.rehearse(request)


@pytest.mark.parametrize("listed", [{}, {"list_id": "L1"}, {"list_name": "News"}])
@pytest.mark.parametrize("name", sorted(KLAVIYO.actions))
def test_no_action_asks_for_more_than_is_listed(name: str, listed: dict[str, str]) -> None:
    """Alone and in bulk, and whatever it meets on the way."""
    action = KLAVIYO.actions[name]
    fields = {field.name for field in action.fields}
    payload = {k: v for k, v in PAYLOADS[name].items() if not k.startswith("list_")}
    payload |= {k: v for k, v in listed.items() if k in fields}
    if "List" in name or name == "removeProfile":
        payload.setdefault("list_id", "L1")
    asked: set[str] = set()
    for send in (KLAVIYO.rehearse, conflicts):
        for bulk in (False, True):
            recorder = Recorder(send)
            ready = action.prepare(payload, NOW)
            one = account(recorder)
            if not bulk:
                action.perform(ready, one)
            elif action.batch:
                bare = action.prepare(
                    {
                        k: v
                        for k, v in payload.items()
                        if "properties" not in k or k == "properties"
                    },
                    NOW,
                )
                outcomes = action.batch.perform([bare], one)
                if action.batch.poll:
                    action.batch.poll("J", [getattr(each, "key", {}) for each in outcomes], one)
            asked |= {each.operation for each in recorder.requests}
    assert asked <= set(asked_by(name, payload, batched=True))


def test_what_single_rows_need_is_less() -> None:
    """A mapping without batches needs no import."""
    alone = asked_by("upsertProfile", {}, batched=False)
    assert scopes_of(alone) == ("profiles:read", "profiles:write")
    assert "lists:write" in scopes_of(asked_by("upsertProfile", {}, batched=True))


def test_a_request_is_known_by_method_and_path() -> None:
    """Also with an id that holds anything; what is not ours is none."""
    made = requests.get_list("a/b?c")
    assert operation_at(made.method, made.path) == "get_list"
    assert operation_at("POST", "/api/profiles") == "create_profile"
    assert operation_at("POST", "/api/campaigns") == ""


def test_a_lists_name_asks_for_lists() -> None:
    """Leaving one never makes it."""
    assert "create_list" in asked_by("subscribeProfile", {"list_name": "x"}, batched=True)
    assert "create_list" not in asked_by("removeProfile", {"list_name": "x"}, batched=True)
