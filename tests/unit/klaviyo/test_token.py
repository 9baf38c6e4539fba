"""Klaviyo's own id of a profile and the token on its links, wherever Klaviyo takes them."""

from __future__ import annotations

from typing import Any

import pytest

from destination.delivery import Delivered, Discard, Outcome
from destination.errors import Ended
from destination.klaviyo import KLAVIYO
from destination.klaviyo.token import KX_IGNORED
from tests.unit.klaviyo.klaviyo_script import NOW, Script, account, answer, refusal
from tests.unit.klaviyo.test_on_sandbox import World

ID = "01GDDKASAP8TKDDA2GRZDSVP4H"
MAIL = "ana@acme.io"
SAVED = answer(200, {"data": {"type": "profile", "id": ID}})
EVENT = {"metric_name": "Opened", "properties": {}, "unique_id": "1"}


def one(script: Script, action: str, **payload: Any) -> Outcome:
    """The outcome of the single form."""
    found = KLAVIYO.actions[action]
    try:
        return found.perform(found.prepare(payload, NOW), account(script))
    except Ended as ended:
        return ended.outcome


def test_a_profile_known_by_its_id_is_changed_and_never_made() -> None:
    """No other identifier is needed; an id that nobody has is a dead letter."""
    script = Script(SAVED)
    assert one(script, "upsertProfile", id=ID, title="Dr") == Delivered()
    (request,) = script.requests
    assert (request.method, request.path) == ("PATCH", f"/api/profiles/{ID}")
    assert request.json == {
        "data": {"type": "profile", "attributes": {"title": "Dr"}, "id": ID},
    }
    gone = one(Script(refusal(404, code="not_found")), "upsertProfile", id=ID, title="Dr")
    assert isinstance(gone, Discard)
    assert one(script, "upsertProfile", id="u-17", title="Dr") != Delivered()
    assert len(script.requests) == 1


def test_an_id_goes_with_property_operations_too() -> None:
    """Through the call that takes them."""
    script = Script(SAVED)
    assert one(script, "upsertProfile", id=ID, unset_properties=["a"]) == Delivered()
    (request,) = script.requests
    assert request.path == "/api/profile-import"
    assert request.json["data"]["id"] == ID


def test_a_token_goes_where_klaviyo_takes_it() -> None:
    """In the call that creates or updates, which is not the one for new profiles."""
    script = Script(SAVED, answer(204))
    outcome = one(script, "addProfileToList", _kx="t", list_id="L", first_name="Ana")
    assert outcome == Delivered()
    assert script.asked == [
        ("POST", "/api/profile-import"),
        ("POST", "/api/lists/L/relationships/profiles"),
    ]
    attributes = script.requests[0].json["data"]["attributes"]
    assert attributes == {"_kx": "t", "first_name": "Ana"}


@pytest.mark.parametrize("name", ["upsertProfile", "addProfileToList"])
def test_ids_and_tokens_keep_out_of_imports(name: str) -> None:
    """One that has run out would have the whole import refused."""
    batch = KLAVIYO.actions[name].batch
    assert batch
    assert batch.fits({"email": MAIL})
    assert not batch.fits({"email": MAIL, "_kx": "t"})
    assert not batch.fits({"email": MAIL, "id": ID})


def test_a_token_that_ran_out_costs_nobody_the_rest() -> None:
    """The person is known by something else; what was left out is noted."""
    world = World()
    saved = world.one("upsertProfile", email=MAIL, _kx="expired-1", title="Dr")
    assert saved == Delivered("delivered", KX_IGNORED)
    assert world.person()["title"] == "Dr"
    sent = world.one("trackEvent", profile={"email": MAIL, "_kx": "expired-1"}, **EVENT)
    assert sent == Delivered("accepted_by_klaviyo", KX_IGNORED)
    assert len(world.state["events"]) == 1


def test_a_token_that_ran_out_in_a_batch_costs_its_neighbours_nothing() -> None:
    """Whoever is known by nothing else is a dead letter."""
    world = World()
    tokens: list[dict[str, Any]] = [
        {"email": MAIL},
        {"email": "b@acme.io", "_kx": "expired-1"},
        {"_kx": "expired-2"},
        {"_kx": "t"},
    ]
    events = [{**EVENT, "profile": who, "unique_id": str(n)} for n, who in enumerate(tokens)]
    outcomes = world.many("trackEvent", events)
    done = Delivered("accepted_by_klaviyo")
    assert outcomes[0] == outcomes[3] == done
    assert outcomes[1] == Delivered("accepted_by_klaviyo", KX_IGNORED)
    assert isinstance(outcomes[2], Discard)
    assert len(world.state["events"]) == 3


def test_a_token_is_not_blamed_for_what_klaviyo_does_not_say() -> None:
    """Throttled, down or a bad key: nothing is sent again without it."""
    for response in (answer(429, retry_after="3"), answer(500), refusal(401)):
        script = Script(response)
        outcome = one(script, "upsertProfile", email=MAIL, _kx="t")
        assert not isinstance(outcome, Delivered | Discard)
        assert len(script.requests) == 1


def test_the_data_may_be_at_fault_and_not_the_token() -> None:
    """Then the refusal is that of the data."""
    script = Script(refusal(400, "/data/attributes/email"))
    outcome = one(script, "trackEvent", profile={"email": MAIL, "_kx": "t"}, **EVENT)
    assert isinstance(outcome, Discard)
    assert len(script.requests) == 2


def test_an_event_may_be_about_a_profile_by_its_id() -> None:
    """Alone and in bulk; a person's own id of that name stays a property."""
    world = World()
    world.one("upsertProfile", email=MAIL)
    known = world.person()["id"]
    about = {"profile_id": known, "profile": {"first_name": "Ana", "id": "u-17"}}
    assert isinstance(world.one("trackEvent", **about, **EVENT), Delivered)
    again = {**EVENT, **about, "unique_id": "2"}
    assert (
        world.many("trackEvent", [again, {**again, "unique_id": "3"}])
        == [Delivered("accepted_by_klaviyo")] * 2
    )
    assert len(world.state["profiles"]) == 1
    assert world.person()["first_name"] == "Ana"
    assert world.person()["properties"] == {"id": "u-17"}
    assert len(world.state["events"]) == 3
    refused = world.one("trackEvent", profile={}, profile_id="u-17", **EVENT)
    assert getattr(refused, "code", "") == "invalid_profile_id"


def test_the_same_event_of_two_profiles_by_id_is_two_events() -> None:
    """What tells them apart is the id."""
    script = Script(answer(202))
    action = KLAVIYO.actions["trackEvent"]
    assert action.batch
    other = "01GDDKASAP8TKDDA2GRZDSVP4J"
    rows = [{**EVENT, "profile": {}, "profile_id": each} for each in (ID, other, ID)]
    action.batch.perform([action.prepare(each, NOW) for each in rows], account(script))
    sent = script.requests[0].json["data"]["attributes"]["events-bulk-create"]["data"]
    assert [each["attributes"]["profile"]["data"]["id"] for each in sent] == [ID, other]


def test_a_person_is_deleted_by_the_token() -> None:
    """Looked up by it; a token and an address of different people delete nobody."""
    page = answer(200, {"data": [{"type": "profile", "id": ID, "attributes": {"email": MAIL}}]})
    script = Script(page, answer(202))
    assert one(script, "deleteProfile", _kx="t") == Delivered("accepted_by_klaviyo")
    assert script.requests[0].query["filter"] == 'equals(_kx,"t")'
    assert script.requests[1].json["data"]["attributes"]["profile"]["data"]["id"] == ID
    theirs = {"type": "profile", "id": "P2", "attributes": {"email": "b@acme.io"}}
    script = Script(page, answer(200, {"data": [theirs]}))
    outcome = one(script, "deleteProfile", _kx="t", email="b@acme.io")
    assert getattr(outcome, "code", "") == "ambiguous_identifier"
    assert all(each.method == "GET" for each in script.requests)


def test_a_preview_finds_the_person_of_a_token() -> None:
    """As on a good day."""
    action = KLAVIYO.actions["deleteProfile"]
    payload = action.prepare({"_kx": "token"}, NOW)
    assert action.perform(payload, account(KLAVIYO.rehearse)) == Delivered("accepted_by_klaviyo")


def test_a_token_that_ran_out_deletes_nobody() -> None:
    """A deletion cannot be taken back, so a doubt about who is meant ends it."""
    script = Script(refusal(400))
    outcome = one(script, "deleteProfile", _kx="expired-1", email=MAIL)
    assert getattr(outcome, "code", "") == "rejected_by_klaviyo"
    assert [each.method for each in script.requests] == ["GET"]
