"""Deleting and merging people: irreversible, so never on a guess."""

from __future__ import annotations

from typing import Any

import pytest

from destination.delivery import Delivered, Discard, Dropped, Halt, Outcome
from destination.errors import Ended
from destination.klaviyo import KLAVIYO
from destination.sending import Response
from tests.unit.klaviyo.klaviyo_script import NOW, Script, account, answer, refusal

DELETE = KLAVIYO.actions["deleteProfile"]
MERGE = KLAVIYO.actions["mergeProfiles"]
TAKEN = answer(202)
ULID = "01GDDKASAP8TKDDA2GRZDSVP4H"


def people(**ids: dict[str, str]) -> Response:
    """A page of profiles: id -> attributes."""
    found = [{"type": "profile", "id": id_, "attributes": who} for id_, who in ids.items()]
    return answer(200, {"data": found})


def end(action: Any, payload: dict[str, Any], script: Script) -> Outcome:
    """The outcome, raised or not."""
    try:
        outcome: Outcome = action.perform(action.prepare(payload, NOW), account(script))
    except Ended as ended:
        return ended.outcome
    return outcome


def deleted(script: Script) -> dict[str, Any]:
    """The profile that the last request asks to delete."""
    found: dict[str, Any] = script.requests[-1].json["data"]["attributes"]["profile"]["data"]
    return found


@pytest.mark.parametrize(
    ("payload", "profile"),
    [
        ({"email": "ana@acme.io"}, {"attributes": {"email": "ana@acme.io"}}),
        ({"phone_number": "+14155552671"}, {"attributes": {"phone_number": "+14155552671"}}),
        ({"id": ULID, "email": "ana@acme.io"}, {"id": ULID, "attributes": {}}),
    ],
)
def test_one_identifier_is_sent_as_it_is(payload: dict[str, str], profile: dict[str, Any]) -> None:
    """Klaviyo takes exactly one; its own id is the surest."""
    script = Script(TAKEN)
    assert end(DELETE, payload, script) == Delivered("accepted_by_klaviyo")
    assert deleted(script) == {"type": "profile", **profile}
    assert len(script.requests) == 1


def test_an_external_id_is_looked_up_first() -> None:
    """It is never put where Klaviyo's own id belongs."""
    script = Script(people(P1={"external_id": "u-1"}), TAKEN)
    assert isinstance(end(DELETE, {"external_id": "u-1"}, script), Delivered)
    assert deleted(script)["id"] == "P1"


def test_identifiers_of_several_people_delete_nobody() -> None:
    """A deletion cannot be taken back."""
    script = Script(people(P1={"external_id": "u-1"}), people(P2={"email": "ana@acme.io"}))
    outcome = end(DELETE, {"external_id": "u-1", "email": "ana@acme.io"}, script)
    assert getattr(outcome, "code", "") == "ambiguous_identifier"
    assert {method for method, _ in script.asked} == {"GET"}


@pytest.mark.parametrize("answers", [[people()], [people(P1={"external_id": "u-1"}), refusal(404)]])
def test_whoever_is_unknown_or_gone_needs_no_deletion(answers: list[Response]) -> None:
    """A deletion that is repeated ends well."""
    outcome = end(DELETE, {"external_id": "u-1"}, Script(*answers))
    assert isinstance(outcome, Dropped)
    assert outcome.code == "profile_not_found"


@pytest.mark.parametrize(("response", "kind"), [(refusal(403), Halt), (refusal(400), Discard)])
def test_a_refused_deletion_says_so(response: Response, kind: type) -> None:
    """A key without that scope must not look like a deletion."""
    assert isinstance(end(DELETE, {"email": "ana@acme.io"}, Script(response)), kind)


def test_two_profiles_become_one() -> None:
    """The previous one is the source, which Klaviyo deletes."""
    both = people(NEW={"external_id": "u-2"}, OLD={"external_id": "u-1"})
    script = Script(both, answer(201, {"data": {"id": "NEW"}}))
    outcome = end(MERGE, {"external_id": "u-2", "previous_external_id": "u-1"}, script)
    assert outcome == Delivered()
    data = script.requests[-1].json["data"]
    assert data["id"] == "NEW"
    assert data["relationships"]["profiles"]["data"] == [{"type": "profile", "id": "OLD"}]


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (people(NEW={"external_id": "u-2"}), "profile_not_found"),
        (people(P={"external_id": "u-2", "email": "ana@acme.io"}), "same_profile"),
        (people(), "profile_not_found"),
    ],
)
def test_a_merge_that_is_done_or_cannot_be_asks_for_nothing(found: Response, code: str) -> None:
    """So it can be repeated."""
    script = Script(found)
    outcome = end(MERGE, {"external_id": "u-2", "previous_email": "ana@acme.io"}, script)
    assert isinstance(outcome, Dropped)
    assert outcome.code == code
    assert {method for method, _ in script.asked} == {"GET"}


@pytest.mark.parametrize(
    "payload", [{"external_id": "u-2"}, {"previous_external_id": "u-1"}, {"country_code": "US"}]
)
def test_both_sides_of_a_merge_must_be_given(payload: dict[str, str]) -> None:
    """Each by something Klaviyo knows people by."""
    assert getattr(end(MERGE, payload, Script(TAKEN)), "code", "") == "missing_identifier"
