"""The identifiers of a profile."""

from __future__ import annotations

from typing import Any

import pytest

from destination.delivery import Discard
from destination.errors import Ended
from destination.klaviyo.email import is_public_email
from destination.klaviyo.identifiers import (
    EVENT,
    PROFILE,
    prepare_identifiers,
    with_identifiers,
)


def refusal(payload: dict[str, Any], **options: Any) -> Discard:
    """The discard that ends a payload."""
    with pytest.raises(Ended) as caught:
        prepare_identifiers(payload, **{"allow": PROFILE, **options})
    assert isinstance(caught.value.outcome, Discard)
    return caught.value.outcome


def test_the_allowed_identifiers_come_back_clean_and_in_klaviyo_s_order() -> None:
    """Everything else of the payload stays behind, and the payload itself as it was."""
    payload = {
        "external_id": "u1",
        "phone_number": "(415) 555-2671",
        "country_code": "US",
        "email": "ana@acme.io",
        "anonymous_id": "a1",
        "first_name": "Ana",
        "_kx": "",
        "id": None,
    }
    before = dict(payload)
    found = prepare_identifiers(payload, allow=PROFILE)
    assert list(found.items()) == [
        ("email", "ana@acme.io"),
        ("phone_number", "+14155552671"),
        ("external_id", "u1"),
    ]
    assert payload == before
    assert prepare_identifiers(payload, allow=EVENT)["anonymous_id"] == "a1"


def test_a_payload_keeps_what_is_no_identifier_and_its_order() -> None:
    """What is empty, or told how to read a phone number, is left out."""
    payload = {
        "first_name": "Ana",
        "external_id": 7,
        "country_code": "US",
        "phone_number": "(415) 555-2671",
        "email": "",
        "title": None,
    }
    before = dict(payload)
    ready = with_identifiers(payload, PROFILE)
    assert list(ready.items()) == [
        ("first_name", "Ana"),
        ("external_id", "7"),
        ("phone_number", "+14155552671"),
        ("title", None),
    ]
    assert payload == before
    assert with_identifiers(ready, PROFILE) is ready
    bad = {"email": "ana@acme.io", "phone_number": "12"}
    assert with_identifiers(bad, PROFILE, on_bad_phone="drop") == {"email": "ana@acme.io"}


@pytest.mark.parametrize(
    ("payload", "code", "field"),
    [
        ({"email": "a@b"}, "invalid_email", "email"),
        ({"email": 5}, "invalid_email", "email"),
        ({"email": "a@b", "external_id": "u1"}, "invalid_email", "email"),
        ({"phone_number": "415 555 2671"}, "invalid_phone_number", "phone_number"),
        ({"phone_number": "12", "country_code": "US"}, "invalid_phone_number", "phone_number"),
        ({"phone_number": "12", "email": "ana@acme.io"}, "invalid_phone_number", "phone_number"),
        ({"external_id": "x" * 256}, "invalid_external_id", "external_id"),
        ({"external_id": "😀" * 128}, "invalid_external_id", "external_id"),
        ({"id": "nobody"[:5]}, "invalid_profile_id", "id"),
        ({"id": "01GDDKASAP8TKDDA2GRZDSVP4"}, "invalid_profile_id", "id"),
        ({}, "missing_identifier", ""),
        ({"email": "", "phone_number": None, "first_name": "Ana"}, "missing_identifier", ""),
    ],
)
def test_a_bad_identifier_ends_the_row_and_says_which(
    payload: dict[str, Any], code: str, field: str
) -> None:
    """The code is for programs, the message for people."""
    outcome = refusal(payload, allow=("id", *EVENT, "_kx"))
    assert (outcome.code, outcome.field) == (code, field)
    assert outcome.message


def test_identifiers_that_are_not_allowed_do_not_count() -> None:
    """An event may be about an anonymous id, a profile may not."""
    outcome = refusal({"anonymous_id": "a1"})
    assert outcome.code == "missing_identifier"
    assert "email, phone_number, external_id" in outcome.message
    assert prepare_identifiers({"anonymous_id": "a1"}, allow=EVENT) == {"anonymous_id": "a1"}


@pytest.mark.parametrize("external_id", ["x" * 255, "😀" * 127, "ü" * 255, "\ud800" * 255])
def test_the_length_of_an_external_id_is_counted_in_utf_16(external_id: str) -> None:
    """As Segment counts it."""
    payload = {"external_id": external_id}
    assert prepare_identifiers(payload, allow=PROFILE) == payload


@pytest.mark.parametrize("profile_id", ["01GDDKASAP8TKDDA2GRZDSVP4H", "Y6nRLr"])
def test_both_shapes_of_profile_ids_are_taken(profile_id: str) -> None:
    """Old profiles have six characters, new ones a ULID."""
    assert prepare_identifiers({"id": profile_id}, allow=("id",)) == {"id": profile_id}


def test_a_bad_phone_number_can_be_dropped_while_another_identifier_remains() -> None:
    """As Klaviyo does it itself; alone it still ends the row."""
    payload = {"phone_number": "12", "email": "ana@acme.io"}
    found = prepare_identifiers(payload, allow=PROFILE, on_bad_phone="drop")
    assert found == {"email": "ana@acme.io"}
    outcome = refusal({"phone_number": "12"}, on_bad_phone="drop")
    assert outcome.code == "invalid_phone_number"


def test_an_action_may_bring_its_own_rule_for_addresses() -> None:
    """Adding to a list is stricter than the rest."""
    payload = {"email": "ana@acme.c"}
    assert prepare_identifiers(payload, allow=PROFILE) == payload
    assert refusal(payload, is_email=is_public_email).code == "invalid_email"


def test_messages_show_the_value_but_never_at_length() -> None:
    """A dead letter tells what was wrong on its own."""
    outcome = refusal({"phone_number": "9" * 5000, "country_code": "US"})
    assert "'999" in outcome.message
    assert "'US'" in outcome.message
    assert len(outcome.message) < 150
