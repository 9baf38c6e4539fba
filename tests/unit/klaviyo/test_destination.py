"""The table of contents of the Klaviyo package."""

from __future__ import annotations

import pytest
from msgspec import Raw

from destination.delivery import Delivered, Halt, Retry
from destination.klaviyo import KLAVIYO
from destination.klaviyo.limits import UNKNOWN, windows
from destination.registry import DESTINATIONS
from tests.unit.klaviyo.klaviyo_script import account, answer, refusal


def test_the_registry_knows_klaviyo() -> None:
    """Connections name it."""
    assert DESTINATIONS["klaviyo"] is KLAVIYO


def test_every_request_carries_key_and_revision() -> None:
    """Klaviyo's own scheme, not Bearer, and its JSON:API media type both ways."""
    headers = KLAVIYO.headers("pk_1", "2026-07-15")
    assert headers["authorization"] == "Klaviyo-API-Key pk_1"
    assert headers["revision"] == "2026-07-15"
    assert headers["accept"] == headers["content-type"] == "application/vnd.api+json"


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (answer(200, {"data": []}), Delivered),
        (refusal(401), Halt),
        (answer(403, "<html>"), Retry),
        (answer(503), Retry),
    ],
)
def test_the_probe_tells_whether_a_key_works(response: object, kind: type) -> None:
    """One cheap call answers it."""
    assert isinstance(KLAVIYO.probe(account(lambda _request: response)), kind)  # type: ignore[arg-type,return-value]  # the table holds responses


def test_every_request_that_is_made_has_its_own_rate_limit() -> None:
    """The operation ids in requests.py are those of the table."""
    from destination.klaviyo import requests
    from destination.klaviyo.resources import EventAttributes, Profile

    made = [
        requests.get_accounts(),
        requests.create_profile({}),
        requests.update_profile("P", {}),
        requests.create_or_update_profile({}, {}),
        requests.get_profiles(requests.any_of("email", ["a@acme.io"])),
        requests.merge_profiles("A", "B"),
        requests.bulk_import_profiles([], "L"),
        requests.get_bulk_import_profiles_job("J"),
        requests.get_errors_for_bulk_import_profiles_job("J"),
        requests.create_event(EventAttributes({}, Raw()), Profile({})),
        requests.bulk_create_events([]),
        requests.get_lists(),
        requests.get_list("L"),
        requests.create_list("n"),
        requests.get_profiles_for_list("L", requests.any_of("email", ["a@acme.io"])),
        requests.add_profiles_to_list("L", []),
        requests.remove_profiles_from_list("L", []),
        requests.bulk_subscribe_profiles([], "L", "s", historical=False),
        requests.bulk_unsubscribe_profiles([], "L"),
        requests.bulk_suppress_profiles([]),
        requests.bulk_unsuppress_profiles([]),
        requests.request_profile_deletion("email", "a@acme.io"),
    ]
    assert {each.operation for each in made if windows(each.operation) == UNKNOWN} <= {
        "get_accounts"
    }
    assert len({each.operation for each in made}) == len(made)
    for each in made:
        assert 200 <= KLAVIYO.rehearse(each).status < 300
        assert KLAVIYO.rehearse(each) == KLAVIYO.rehearse(each)
