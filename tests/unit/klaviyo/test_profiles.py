"""Saving one profile, whatever Klaviyo already knows: upsertProfile and addProfileToList."""

from __future__ import annotations

from typing import Any

import pytest

from destination.delivery import Delivered, Discard, Halt, Outcome, Retry
from destination.errors import Ended, Unanswered
from destination.klaviyo import KLAVIYO
from destination.sending import Response
from tests.unit.klaviyo.klaviyo_script import NOW, Script, account, answer, refusal

UPSERT = KLAVIYO.actions["upsertProfile"]
ADD = KLAVIYO.actions["addProfileToList"]
ANA: dict[str, Any] = {"email": "ana@acme.io", "first_name": "Ana"}
CREATED = answer(201, {"data": {"type": "profile", "id": "NEW"}})
UPDATED = answer(200, {"data": {"type": "profile", "id": "OLD"}})
MEMBER = answer(204)
CONFLICT = refusal(409, code="duplicate_profile", duplicate_profile_id="OLD")
NAMELESS = refusal(409, code="duplicate_profile")
NO_IDS = [NAMELESS, answer(409, {"errors": []}), answer(409, {"errors": 5}), answer(409, "<html>")]


def end(payload: dict[str, Any], script: Script, action: Any = UPSERT) -> Outcome:
    """The outcome of the single form."""
    try:
        outcome: Outcome = action.perform(action.prepare(payload, NOW), account(script))
    except Ended as ended:
        return ended.outcome
    return outcome


def found(*ids: str) -> Response:
    """A page of profiles."""
    return answer(
        200, {"data": [{"type": "profile", "id": each, "attributes": {}} for each in ids]}
    )


@pytest.mark.parametrize("action", [UPSERT, ADD])
def test_a_known_person_is_updated_then_made_a_member(action: Any) -> None:
    """Adding somebody known to a list updates the profile as well."""
    script = Script(CONFLICT, UPDATED, MEMBER)
    assert end({**ANA, "list_id": "L"}, script, action) == Delivered()
    assert script.asked == [
        ("POST", "/api/profiles"),
        ("PATCH", "/api/profiles/OLD"),
        ("POST", "/api/lists/L/relationships/profiles"),
    ]
    assert script.requests[1].json == {"data": {"type": "profile", "id": "OLD", "attributes": ANA}}
    assert script.requests[2].json == {"data": [{"type": "profile", "id": "OLD"}]}


@pytest.mark.parametrize(
    ("response", "kind"),
    [(refusal(400), Discard), (answer(500), Retry), (refusal(401), Halt), (answer(429), Retry)],
)
def test_nobody_is_added_when_the_profile_was_refused(response: Response, kind: type) -> None:
    """An error is what it is; no list request without an id follows it."""
    script = Script(response)
    assert isinstance(end({**ANA, "list_id": "L"}, script, ADD), kind)
    assert len(script.requests) == 1


def test_no_answer_goes_on_to_whoever_called() -> None:
    """The request may have been applied; the whole delivery is repeated."""
    with pytest.raises(Unanswered):
        end(ANA, Script(Unanswered("reset")))


@pytest.mark.parametrize("conflict", NO_IDS)
def test_a_conflict_that_names_nobody_is_looked_up(conflict: Response) -> None:
    """Then the one profile with the identifiers is updated."""
    script = Script(conflict, found("OLD"), UPDATED)
    assert isinstance(end(ANA, script), Delivered)
    assert script.asked[1:] == [("GET", "/api/profiles"), ("PATCH", "/api/profiles/OLD")]
    assert script.requests[1].query == {
        "filter": 'any(email,["ana@acme.io"])',
        "page[size]": "100",
    }


@pytest.mark.parametrize(
    ("people", "code"), [(found(), "conflict_unresolved"), (found("A", "B"), "identity_conflict")]
)
def test_a_conflict_with_nobody_or_with_two_is_not_forced(people: Response, code: str) -> None:
    """Nobody found: later. Two found: a person has to decide."""
    script = Script(NAMELESS, people)
    assert getattr(end(ANA, script), "code", "") == code
    assert len(script.requests) <= 5


def test_identifiers_of_two_profiles_are_a_dead_letter_and_no_loop() -> None:
    """The e-mail of one with the phone of another: neither profile is overwritten."""
    script = Script(CONFLICT, CONFLICT)
    outcome = end(ANA, script)
    assert getattr(outcome, "code", "") == "identity_conflict"
    assert len(script.requests) == 2


def test_a_profile_that_went_away_meanwhile_is_made_again_later() -> None:
    """Klaviyo named it, then somebody deleted or merged it."""
    outcome = end(ANA, Script(CONFLICT, refusal(404)))
    assert isinstance(outcome, Retry)
    assert (outcome.code, outcome.spends) == ("profile_gone", True)


def test_nulls_reach_the_profile_that_is_updated() -> None:
    """Which is how a property is cleared."""
    script = Script(CONFLICT, UPDATED)
    end({**ANA, "properties": {"plan": None}, "location": {"city": None}}, script)
    attributes = script.requests[1].json["data"]["attributes"]
    assert attributes["properties"] == {"plan": None}
    assert attributes["location"] == {"city": None}


def test_property_operations_go_through_the_call_that_takes_them() -> None:
    """Creating and operating in one request, which is an upsert."""
    script = Script(UPDATED, MEMBER)
    payload = {
        **ANA,
        "append_properties": {"skus": "a"},
        "unappend_properties": {"skus": "b"},
        "unset_properties": ["old"],
        "list_id": "L",
    }
    assert end(payload, script) == Delivered()
    assert script.asked[0] == ("POST", "/api/profile-import")
    assert script.requests[0].json["data"]["meta"] == {
        "patch_properties": {"append": {"skus": "a"}, "unappend": {"skus": "b"}, "unset": ["old"]}
    }
    assert script.requests[1].json == {"data": [{"type": "profile", "id": "OLD"}]}


def test_an_ignored_phone_number_is_noted() -> None:
    """Klaviyo answers success and says so in a header only."""
    created = answer(201, {"data": {"id": "NEW"}}, x_klaviyo_partial_failure="phone_number")
    assert end(ANA, Script(created)) == Delivered("delivered", "phone_number_ignored")
    listed = end({**ANA, "list_id": "L"}, Script(created, MEMBER))
    assert listed == Delivered("delivered", "phone_number_ignored")


@pytest.mark.parametrize("body", [None, "not json", {"data": []}, {"data": {"id": 7}}, [], {}])
def test_without_a_readable_id_nobody_can_be_added(body: Any) -> None:
    """Everything is sent again; it changes nothing twice."""
    outcome = end({**ANA, "list_id": "L"}, Script(answer(201, body)))
    assert getattr(outcome, "code", "") == "unreadable_answer"
    assert isinstance(end(ANA, Script(answer(201, body))), Delivered)


def test_an_unknown_list_is_waited_for() -> None:
    """Aside, so that nothing else of the person waits, and not for ever."""
    outcome = end({**ANA, "list_id": "L"}, Script(CREATED, refusal(404)))
    assert isinstance(outcome, Retry)
    assert (outcome.code, outcome.aside, outcome.spends) == ("list_not_found", "list:L", False)
    assert outcome.after == 1800


def test_the_overriding_list_goes_first_alone_and_in_bulk() -> None:
    """The same choice in both forms."""
    payload = {**ANA, "list_id": "L", "override_list_id": "O", "list_name": "N"}
    alone = Script(CREATED, MEMBER)
    end(payload, alone)
    assert alone.asked[1][1] == "/api/lists/O/relationships/profiles"
    bulk = Script(answer(202, {"data": {"id": "J"}}))
    assert UPSERT.batch
    UPSERT.batch.perform([payload], account(bulk))
    assert bulk.requests[0].json["data"]["relationships"]["lists"]["data"][0]["id"] == "O"
    assert UPSERT.batch.group(payload) == UPSERT.batch.group({**ANA, "override_list_id": "O"})
    assert UPSERT.batch.group(payload) != UPSERT.batch.group({**ANA, "list_id": "L"})


def test_a_list_without_id_or_name_is_refused_before_sending() -> None:
    """Adding to a list needs one."""
    assert getattr(end(ANA, Script(CREATED), ADD), "code", "") == "missing_list"


def test_ids_cannot_leave_their_place_in_the_path() -> None:
    """A list id from an event is quoted, dots included."""
    script = Script(CREATED, MEMBER)
    end({**ANA, "list_id": "../../accounts?x=1#"}, script)
    assert (
        script.asked[1][1]
        == "/api/lists/%2E%2E%2F%2E%2E%2Faccounts%3Fx%3D1%23/relationships/profiles"
    )


def test_what_klaviyo_knows_no_attribute_for_is_not_sent() -> None:
    """A key too many would be a refusal; the list is no attribute."""
    script = Script(CREATED)
    end({**ANA, "country_code": "US", "list_id": ""}, script)
    assert script.requests[0].json["data"]["attributes"] == ANA
